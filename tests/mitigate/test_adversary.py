"""The adversary: whose gradient is turned, what it sees, and that every level weighs the same."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tasks.mitigate.adversary import Adversarial
from tasks.mitigate.pressure import cells_of
from tasks.model.rule import ClassRule
from tasks.plan.mitigation import Adversary

ONE = ClassRule(("no", "yes"), "yes", 0.5, (), 1)
TWO = ClassRule(("yes", "no"), "yes", 0.5, (), 2)
LABELS = torch.tensor([0, 0, 0, 1, 1, 1, 0, 1])
GROUPS = torch.tensor([0, 0, 0, 0, 1, 1, 1, -1])


def adversarial(metric: str, strength: float = 1.0, rule: ClassRule = ONE) -> Adversarial:
    torch.manual_seed(1)
    step = Adversary.model_validate(
        {"kind": "adversary", "metric": metric, "attribute": "sex", "strength": strength}
    )
    return Adversarial(step, rule, cells_of(LABELS, GROUPS, 2))


def added(found: Adversarial, outputs: torch.Tensor) -> torch.Tensor:
    return found(outputs, LABELS, GROUPS, torch.zeros(len(LABELS)))


OUTPUTS = torch.linspace(2, -2, 8).view(1, 8, 1)


def test_the_networks_gradient_is_turned_and_the_adversarys_is_not() -> None:
    found, strong = adversarial("equalized_odds"), adversarial("equalized_odds", strength=3.0)
    plain = OUTPUTS.clone().requires_grad_()
    seen = torch.cat([plain[0] * nn.functional.one_hot(LABELS, 2), nn.functional.one_hot(LABELS, 2)], dim=1)
    each = nn.functional.cross_entropy(found.guesser(seen), GROUPS.clamp_min(0), reduction="none")
    by_hand = (each * found.balance[GROUPS, LABELS]).sum()
    by_hand.backward()
    own = [parameter.grad.clone() for parameter in found.parameters()]
    found.zero_grad()
    for pressure, strength in ((found, 1), (strong, 3)):
        outputs = OUTPUTS.clone().requires_grad_()
        value = added(pressure, outputs)
        value.backward()
        assert value.item() == pytest.approx(by_hand.item())
        assert torch.allclose(outputs.grad, -strength * plain.grad)
        assert all(torch.allclose(p.grad, g) for p, g in zip(pressure.parameters(), own, strict=True))


def test_levels_weigh_the_same_and_under_equalized_odds_within_each_class() -> None:
    known = GROUPS >= 0
    weights = adversarial("demographic_parity").balance[GROUPS, LABELS]
    assert [float(weights[GROUPS.eq(level)].sum()) for level in (0, 1)] == pytest.approx([3.5, 3.5])
    weights = adversarial("equalized_odds").balance[GROUPS, LABELS]
    for label, each in ((0, 2.0), (1, 1.5)):
        cells = [float(weights[GROUPS.eq(g) & LABELS.eq(label)].sum()) for g in (0, 1)]
        assert cells == pytest.approx([each, each])
    assert float(weights[~known]) == 0


def test_rows_of_no_level_teach_nothing() -> None:
    outputs = OUTPUTS.clone().requires_grad_()
    added(adversarial("equalized_odds"), outputs).backward()
    assert outputs.grad.flatten()[-1] == 0
    assert (outputs.grad.flatten()[:-1] != 0).all()


@pytest.mark.parametrize(("metric", "answers"), [("demographic_parity", 1), ("equalized_odds", 2)])
def test_the_label_is_seen_under_equalized_odds_alone(metric: str, answers: int) -> None:
    """Where the output says nothing, and the label is all that tells the group, guesses differ or do not."""
    found = adversarial(metric)
    flat = torch.zeros(1, 8, 1)
    told = []
    for labels in (LABELS, 1 - LABELS):
        found.balance = torch.ones_like(found.balance)
        told.append(found(flat, labels, GROUPS, torch.zeros(8)).item())
    assert len(set(told)) == answers


def test_it_sees_the_odds_of_the_positive_class_by_any_rule() -> None:
    members = torch.cat([OUTPUTS - 1, OUTPUTS + 1])
    one = added(adversarial("equalized_odds"), OUTPUTS).item()
    assert added(adversarial("equalized_odds"), members).item() == pytest.approx(one)
    two = adversarial("equalized_odds", rule=TWO)
    assert added(two, torch.cat([OUTPUTS / 2, -OUTPUTS / 2], dim=2)).item() == pytest.approx(one)


def test_its_excess_is_the_gap_itself() -> None:
    positive = torch.tensor([0.9, 0.1, 0.1, 0.9, 0.9, 0.1, 0.1, 0.9])
    scores = torch.stack([1 - positive, positive], dim=1)
    # True positive rates 1 of 1 and 1 of 2, false ones 1 of 3 and 0 of 1; selected 2 of 4 and 1 of 3.
    assert adversarial("equalized_odds").excess(scores, LABELS, GROUPS) == pytest.approx(0.5)
    assert adversarial("demographic_parity").excess(scores, LABELS, GROUPS) == pytest.approx(1 / 6)
