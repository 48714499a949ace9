"""Steps during training in the loop: the gap falls, runs go on to the same bytes, processes agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from tasks.errors import Refusal
from tasks.mitigate.constraint import Constrained
from tasks.model.device import deterministic
from tasks.plan.plan import Plan
from tasks.plan.training import BinaryCrossEntropy
from tasks.train import loop
from tasks.train.fitting import begin
from tasks.train.objective import objective_of
from tasks.train.prepare import Prepared, prepare
from tests.train.conftest import Sample, sample
from tests.train.test_train import Killed, files, kill_after, recipe, run

__all__ = ["sample"]
CONSTRAINT = {"kind": "constraint", "metric": "demographic_parity", "attribute": "sex", "slack": 0.02}
ADVERSARY = {"kind": "adversary", "metric": "demographic_parity", "attribute": "sex"}


def under(plan: Plan, *steps: dict[str, Any]) -> Plan:
    document = plan.model_dump(mode="json")
    document["recipe"]["mitigation"] = list(steps)
    return Plan.model_validate(document)


def state_of(prepared: Prepared, plan: Plan) -> loop.State:
    with deterministic(1):
        objective = objective_of(plan, prepared.fit.labels)
        state = begin(prepared.features, objective, plan, torch.device("cpu"), prepared.fit)
        training = plan.recipe.training
        loop.run(state, prepared.fit, prepared.validation, objective, training, 1, [])
    return state


def rate_gap(sample: Sample, plan: Plan) -> tuple[float, float]:
    """Gap by sex of the mean probability over all rows, and accuracy, by the weights that were kept."""
    prepared = prepare(sample.frame, sample.described, None, under(plan, CONSTRAINT))
    state = state_of(prepare(sample.frame, sample.described, None, plan), plan)
    state.network.load_state_dict(state.best)
    rule = objective_of(plan, prepared.fit.labels).rule
    scores = loop.score(state.network, prepared.fit, rule)
    groups, positive = prepared.fit.groups, scores[:, 1]
    assert groups is not None
    gap = float(positive[groups == 1].mean() - positive[groups == 0].mean())
    return gap, float((scores.argmax(dim=1) == prepared.fit.labels).float().mean())


@pytest.fixture(scope="module")
def long(sample: Sample) -> Plan:
    return recipe(under(sample.plan), "training", epochs=12, batch=64, patience=None)


@pytest.fixture(scope="module")
def unconstrained(sample: Sample, long: Plan) -> tuple[float, float]:
    return rate_gap(sample, long)


@pytest.mark.parametrize("step", [CONSTRAINT, ADVERSARY], ids=["constraint", "adversary"])
def test_the_gap_falls(
    sample: Sample, long: Plan, unconstrained: tuple[float, float], step: dict[str, Any]
) -> None:
    gap, right = rate_gap(sample, under(long, step))
    assert unconstrained[0] > 0.14
    assert abs(gap) < 0.06
    assert right > 0.78  # of whom 76% are of one class


@pytest.mark.parametrize("step", [CONSTRAINT, ADVERSARY], ids=["constraint", "adversary"])
def test_a_killed_run_goes_on_to_the_same_bytes(sample: Sample, tmp_path: Path, step: dict[str, Any]) -> None:
    plan = under(sample.plan, step)
    undisturbed = run(sample, tmp_path / "whole", plan=plan)
    with pytest.raises(Killed):
        run(sample, tmp_path / "killed", plan=plan, callbacks=[kill_after(2)])
    resumed = run(sample, tmp_path / "killed", plan=plan)
    assert resumed.resumed_from == 2
    assert resumed.history == undisturbed.history
    assert files(tmp_path / "killed") == files(tmp_path / "whole")


@pytest.mark.parametrize("step", [CONSTRAINT | {"metric": "equalized_odds"}, ADVERSARY])
def test_any_rule_members_precision_and_accumulation(sample: Sample, step: dict[str, Any]) -> None:
    plan = recipe(under(sample.plan, step), "training", epochs=2, batch=100)
    forms = [
        recipe(plan, "training", loss=BinaryCrossEntropy(kind="binary_cross_entropy")),
        recipe(plan, "model", members=3),
        recipe(plan, "training", precision="bfloat16"),
        recipe(plan, "training", accumulate=3),
    ]
    for form in forms:
        state = state_of(prepare(sample.frame, sample.described, None, form), form)
        assert state.pressure is not None
        assert all(value.isfinite().all() for value in state.pressure.state_dict().values())
        assert state.best_epoch > 0


def test_accumulated_batches_press_as_a_larger_batch(sample: Sample) -> None:
    still = recipe(under(sample.plan, CONSTRAINT), "model", dropout=0.0)
    small, large = (
        recipe(still, "training", epochs=2, batch=batch, accumulate=of) for batch, of in ((100, 3), (300, 1))
    )
    prepared = prepare(sample.frame, sample.described, None, still)
    one, other = state_of(prepared, small), state_of(prepared, large)
    assert isinstance(one.pressure, Constrained)
    assert isinstance(other.pressure, Constrained)
    assert torch.allclose(one.pressure.exponents, other.pressure.exponents, atol=1e-4)


def test_the_epoch_is_kept_whose_loss_and_priced_excess_are_least(sample: Sample, tmp_path: Path) -> None:
    plan = recipe(under(sample.plan, CONSTRAINT | {"bound": 5, "rate": 20}), "training", batch=64)
    trained = run(sample, tmp_path, plan=plan)
    costs = [epoch.validation_loss + 5 * epoch.excess for epoch in trained.history]
    assert trained.best_epoch == costs.index(min(costs)) + 1
    assert any(epoch.excess for epoch in trained.history)


def test_an_attribute_of_one_level_is_refused(sample: Sample) -> None:
    one = sample.described.with_columns(sex=pl.lit("Male"))
    for step in (CONSTRAINT, ADVERSARY):
        with pytest.raises(Refusal, match=r"by 'sex': a constraint on an attribute absent from training"):
            prepare(sample.frame, one, None, under(sample.plan, step))


def test_levels_too_small_for_the_gate_are_not_told_apart(sample: Sample) -> None:
    document = under(sample.plan, CONSTRAINT | {"attribute": "race"}).model_dump(mode="json")
    found = {}
    for policy in ("inconclusive", "report"):
        document["judgement"]["too_small"] = {"policy": policy, "smallest_denominator": 100}
        groups = prepare(sample.frame, sample.described, None, Plan.model_validate(document)).fit.groups
        assert groups is not None
        found[policy] = sorted(torch.bincount(groups + 1).tolist())
    assert found["inconclusive"][0] == 0
    assert len([count for count in found["report"][1:] if count >= 100]) == 2
    assert sum(found["report"]) == sum(found["inconclusive"])


@pytest.mark.parametrize(
    ("step", "key", "ends"),
    [(CONSTRAINT, "slack", (0.0, 0.1)), (CONSTRAINT, "bound", (1, 5)), (ADVERSARY, "strength", (0.1, 3))],
)
def test_strengths_can_be_searched(
    sample: Sample, step: dict[str, Any], key: str, ends: tuple[float, float]
) -> None:
    document = under(sample.plan, step).model_dump(mode="json")
    search = {f"mitigation.0.{key}": {"low": ends[0], "high": ends[1]}}
    document["recipe"]["tuning"] = {"trials": 2, "search": search}
    changed = Plan.model_validate(document).changed({f"mitigation.0.{key}": ends[1]})
    assert getattr(changed.recipe.mitigation[0], key) == ends[1]
