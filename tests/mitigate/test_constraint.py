"""The constraint: multipliers, penalty and excess against figures worked by hand."""

from __future__ import annotations

from math import exp, log

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.mitigate.constraint import Constrained
from tasks.mitigate.pressure import cells_of
from tasks.model.rule import ClassRule
from tasks.plan.mitigation import Constraint

ONE = ClassRule(("no", "yes"), "yes", 0.5, (), 1)
TWO = ClassRule(("yes", "no"), "yes", 0.5, (), 2)


def alone(values: torch.Tensor) -> torch.Tensor:
    return values


def twice(values: torch.Tensor) -> torch.Tensor:
    return 2 * values


def constrained(metric: str, labels: list[int], groups: list[int], **settings: float) -> Constrained:
    own = {"slack": 0.1, "bound": 4.0, "rate": 2.0} | settings
    step = Constraint.model_validate({"kind": "constraint", "metric": metric, "attribute": "sex"} | own)
    return Constrained(step, ONE, cells_of(torch.tensor(labels), torch.tensor(groups), 2))


def odds(*probabilities: float) -> torch.Tensor:
    """Outputs (1, n, 1) whose probabilities these are."""
    return torch.logit(torch.tensor(probabilities)).view(1, -1, 1)


LABELS, GROUPS = [0, 1, 0, 1], [0, 0, 1, 1]
PROBABILITIES = odds(0.9, 0.7, 0.3, 0.1)  # means 0.8 and 0.2, of all 0.5


def asked(found: Constrained, outputs: torch.Tensor, losses: torch.Tensor | None = None) -> torch.Tensor:
    rows = outputs.shape[1]
    given_losses = torch.zeros(rows) if losses is None else losses
    return found(outputs, torch.tensor(LABELS[:rows]), torch.tensor(GROUPS[:rows]), given_losses)


def test_one_step_of_the_exponentiated_gradient() -> None:
    found = constrained("demographic_parity", LABELS, GROUPS)
    assert found.multipliers().flatten().tolist() == pytest.approx([4 / 5] * 4)
    assert float(asked(found, PROBABILITIES)) == pytest.approx(0, abs=1e-6)  # above and below are equal
    found.settle(alone)
    # Violations: 0.3 - 0.1 above in the first level and below in the second, -0.3 - 0.1 the other way round.
    high, low = (4 * exp(x) / (1 + 2 * exp(0.4) + 2 * exp(-0.8)) for x in (0.4, -0.8))
    assert found.multipliers().flatten().tolist() == pytest.approx([high, low, low, high])
    # Of four rows: (high - low) x 0.3 + (low - high) x -0.3 is the penalty on their mean loss.
    assert float(asked(found, PROBABILITIES)) == pytest.approx(4 * 0.6 * (high - low))


def test_equalized_odds_bounds_each_level_within_each_class() -> None:
    found = constrained("equalized_odds", LABELS, GROUPS, rate=1.0)
    asked(found, PROBABILITIES)
    found.settle(alone)
    above, below = found.exponents
    # Of class 0 the probabilities are 0.9 and 0.3, of class 1 0.7 and 0.1: each 0.3 from their mean.
    assert above.tolist() == [pytest.approx([0.2, 0.2]), pytest.approx([-0.4, -0.4])]
    assert below.tolist() == [pytest.approx([-0.4, -0.4]), pytest.approx([0.2, 0.2])]


def test_bounded_group_loss_weighs_the_group_that_loses_more() -> None:
    found = constrained("bounded_group_loss", LABELS, GROUPS, slack=0.5, rate=1.0, bound=3.0)
    losses = torch.tensor([0.2, 0.4, 1.0, 1.4])
    asked(found, PROBABILITIES, losses)
    found.settle(alone)
    assert found.exponents.flatten().tolist() == pytest.approx([0.3 - 0.5, 1.2 - 0.5])
    first, second = (3 * exp(x) / (1 + exp(-0.2) + exp(0.7)) for x in (-0.2, 0.7))
    assert float(asked(found, PROBABILITIES, losses)) == pytest.approx(4 * (first * 0.3 + second * 1.2))


@pytest.mark.parametrize("metric", ["demographic_parity", "equalized_odds"])
def test_descent_lowers_the_higher_rate_and_raises_the_lower(metric: str) -> None:
    found = constrained(metric, LABELS, GROUPS)
    asked(found, PROBABILITIES)
    found.settle(alone)
    outputs = PROBABILITIES.clone().requires_grad_()
    asked(found, outputs).backward()
    assert outputs.grad is not None
    assert (outputs.grad.flatten().sign() == torch.tensor([1.0, 1.0, -1.0, -1.0])).all()


def test_within_the_slack_the_multipliers_fall_toward_nothing() -> None:
    found = constrained("demographic_parity", LABELS, GROUPS)
    for _ in range(30):
        asked(found, odds(0.52, 0.52, 0.48, 0.48))
        found.settle(alone)
    assert float(found.multipliers().sum()) < 0.1


def test_the_multipliers_sum_stays_below_the_bound_however_long_the_gap_stays() -> None:
    found = constrained("demographic_parity", LABELS, GROUPS)
    for _ in range(500):
        asked(found, PROBABILITIES)
        found.settle(alone)
    assert float(found.multipliers().sum()) == pytest.approx(4.0)
    assert found.multipliers()[0, 0] == pytest.approx(2.0)


def test_a_cell_without_rows_is_not_bounded_and_an_unknown_level_adds_nothing() -> None:
    found = constrained("equalized_odds", [0, 1, 0, 0], [0, 0, 1, -1])
    assert found.multipliers()[:, 1, 1].tolist() == [0, 0]
    outputs = PROBABILITIES.clone().requires_grad_()
    rows = torch.tensor([0, 1, 0, 0]), torch.tensor([0, 0, 1, -1])
    for _ in range(2):
        penalty = found(outputs, *rows, torch.zeros(4))
        found.settle(alone)
    penalty.backward()
    assert outputs.grad is not None
    assert outputs.grad.flatten()[3] == 0
    assert found.multipliers().isfinite().all()


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 1), st.integers(-1, 2), st.floats(0.01, 0.99)), min_size=1, max_size=20
    ),
    at=st.integers(1, 20),
    metric=st.sampled_from(["demographic_parity", "equalized_odds", "bounded_group_loss"]),
)
@settings(deadline=None, derandomize=True, max_examples=40)
def test_batches_in_any_division_are_one(rows: list[tuple[int, int, float]], at: int, metric: str) -> None:
    """What is added is a sum over rows: so accumulated batches and several processes agree with one."""
    every = [*rows, *((label, level, 0.5) for label in (0, 1) for level in (0, 1, 2))]
    labels, groups = (torch.tensor([row[i] for row in every]) for i in (0, 1))
    outputs = odds(*(row[2] for row in every))
    losses = outputs[0, :, 0].abs()
    whole, parts = (constrained(metric, labels.tolist(), groups.tolist()) for _ in range(2))
    for _ in range(2):
        one = whole(outputs, labels, groups, losses)
        two = sum(
            parts(outputs[:, part], labels[part], groups[part], losses[part])
            for part in (slice(at), slice(at, None))
        )
        assert float(two) == pytest.approx(float(one), abs=1e-3)
        whole.settle(alone)
        parts.settle(alone)
        assert torch.allclose(whole.exponents, parts.exponents, atol=1e-4)


def test_sums_are_those_of_all_processes() -> None:
    one, half = (constrained("demographic_parity", LABELS, GROUPS) for _ in range(2))
    asked(one, PROBABILITIES)
    half.sums[:] = torch.tensor([[0.8], [0.2], [0.0]])  # of two processes that sum the same
    one.settle(alone)
    half.settle(twice)
    assert torch.allclose(half.exponents, one.exponents)
    assert not half.sums.any()


def test_the_rate_is_of_the_positive_class_by_any_rule() -> None:
    """One output, two, the positive class first or last, and several members, whose mean decides."""
    step = constrained("demographic_parity", LABELS, GROUPS).step
    cells = cells_of(torch.tensor(LABELS), torch.tensor(GROUPS), 2)
    one, two = Constrained(step, ONE, cells), Constrained(step, TWO, cells)
    members = torch.cat([odds(0.8, 0.8, 0.4, 0.1), odds(1 - 1e-7, 0.6, 0.2, 0.1)])
    asked(one, members)
    asked(two, torch.cat([members, torch.zeros_like(members)], dim=2))
    assert one.sums.flatten().tolist() == pytest.approx([1.6, 0.4, 0.0], abs=1e-5)
    assert two.sums.flatten().tolist() == pytest.approx([1.6, 0.4, 0.0], abs=1e-5)


def test_excess_is_the_gap_of_decisions_beyond_the_slack() -> None:
    labels, groups = torch.tensor([0, 0, 1, 1, 0, 0, 1, 1, 1]), torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, -1])
    positive = torch.tensor([0.6, 0.1, 0.9, 0.5, 0.4, 0.3, 0.7, 0.49, 0.0])
    scores = torch.stack([1 - positive, positive], dim=1)
    # Decided: the first level 1 of 2 and 2 of 2, the second 0 of 2 and 1 of 2; of all 3 and 1 of 4.
    for metric in ("demographic_parity", "equalized_odds"):
        found = constrained(metric, LABELS, GROUPS)
        assert found.excess(scores, labels, groups) == pytest.approx(0.5 - 0.1)
    losses = [-log(p) for p in (0.4, 0.9, 0.9, 0.5)], [-log(p) for p in (0.6, 0.7, 0.7, 0.49)]
    worst = max(sum(own) / 4 for own in losses)
    found = constrained("bounded_group_loss", LABELS, GROUPS, slack=0.3)
    assert found.excess(scores, labels, groups) == pytest.approx(worst - 0.3)
    found = constrained("bounded_group_loss", LABELS, GROUPS, slack=0.6)
    assert found.excess(scores, labels, groups) == 0


def test_a_bound_on_the_loss_has_to_be_given() -> None:
    given_bound = {"kind": "constraint", "metric": "bounded_group_loss", "attribute": "sex"}
    with pytest.raises(ValidationError, match="slack"):
        Constraint.model_validate(given_bound)
    assert Constraint.model_validate(given_bound | {"slack": 2.5}).slack == 2.5
    with pytest.raises(ValidationError, match="below 1"):
        Constraint.model_validate(
            {"kind": "constraint", "metric": "equalized_odds", "attribute": "sex", "slack": 1}
        )
