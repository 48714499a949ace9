"""What training's settings leave no room for, and what follows from those that are left unsaid."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from tasks.errors import PlanError
from tasks.plan.load import load_plan
from tasks.plan.plan import Plan
from tasks.plan.training import Cosine

DATA = Path("data")


def adult(*settings: str) -> Plan:
    return load_plan("adult", DATA, [f"recipe.training.{setting}" for setting in settings])


def test_workers_do_not_share_a_batch_that_is_normalised_as_a_whole() -> None:
    shared = "recipe.training.workers=2"
    assert load_plan("mnist-cnn", DATA, [shared, "recipe.model.norm=group"]).recipe.training.workers == 2
    with pytest.raises(
        PlanError, match=r"recipe\.model\.norm: group or none is expected with 2 workers .* found batch"
    ):
        load_plan("mnist-cnn", DATA, [shared])


def test_every_worker_has_a_row_of_each_batch() -> None:
    assert adult("workers=4", "batch=4").recipe.training.workers == 4
    with pytest.raises(PlanError, match=r"recipe\.training\.batch: at least 4, .* found 2: .*accumulate"):
        adult("workers=4", "batch=2", "accumulate=8")


def test_a_warm_up_that_was_left_out_follows_the_epochs_of_a_change() -> None:
    plan = adult("epochs=4")
    assert warmup(plan.changed({"training.epochs": 1})) == 0.5
    assert warmup(plan.changed({"training.batch": 64})) == 1
    with pytest.raises(ValidationError, match="warmup_epochs: fewer than"):
        adult("epochs=4", "schedule={warmup_epochs: 1.0}").changed({"training.epochs": 1})


def warmup(plan: Plan) -> float:
    schedule = plan.recipe.training.schedule
    assert isinstance(schedule, Cosine)
    return schedule.warmup_epochs


def test_a_warm_up_ends_before_training_does() -> None:
    with pytest.raises(
        PlanError, match=r"warmup_epochs: fewer than recipe\.training\.epochs \(2\) .*, found 2"
    ):
        adult("epochs=2", "schedule={warmup_epochs: 2}")
    with pytest.raises(PlanError, match=r"warmup_epochs: fewer than .* \(1\) is expected, found 1"):
        adult("epochs=1", "schedule={warmup_epochs: 1}")
    assert warmup(adult("epochs=2")) == warmup(adult("epochs=2", "schedule={warmup_epochs: 1.0}")) == 1
    assert adult("epochs=1", "schedule={kind: constant}").recipe.training.schedule.kind == "constant"


def test_a_warm_up_left_unsaid_takes_half_of_a_single_epoch() -> None:
    single = adult("epochs=1")
    assert warmup(single) == warmup(adult("epochs=1", "schedule={kind: cosine}")) == 0.5
    assert Plan.model_validate(single.model_dump(mode="json")).digests == single.digests
    assert warmup(adult("epochs=1", "schedule={warmup_epochs: 0.2}")) == 0.2


def test_a_seed_has_the_bits_that_torch_looks_at() -> None:
    """It would draw the same for 1 and for 2^32 + 1."""
    assert load_plan("adult", DATA, [f"recipe.seed={2**32 - 1}"]).recipe.seed == 2**32 - 1
    for strange in (-1, 2**32 + 1):
        with pytest.raises(PlanError, match=r"recipe\.seed"):
            load_plan("adult", DATA, [f"recipe.seed={strange}"])
