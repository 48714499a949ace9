"""Several processes train the network that one would."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.errors import Refusal
from tasks.plan.plan import Plan
from tasks.train.loop import State
from tasks.train.records import Trained
from tests.train.conftest import Sample
from tests.train.test_train import Killed, files, recipe, run

STEPS = 100
EPOCHS = 40


def shared(plan: Plan, workers: int, **changed: object) -> Plan:
    """The plan without dropout and at a constant number of epochs."""
    return recipe(recipe(plan, "model", dropout=0.0), "training", patience=None, workers=workers, **changed)


def losses(trained: Trained) -> list[float]:
    return [epoch.train_loss for epoch in trained.history]


def test_the_losses_of_a_hundred_steps_agree_with_one_process(sample: Sample, tmp_path: Path) -> None:
    # A batch of all rows, so each epoch is one step and its loss is that step's.
    one, two = (
        run(sample, tmp_path / str(n), plan=shared(sample.plan, n, epochs=STEPS, batch=2000)) for n in (1, 2)
    )
    assert len(one.history) == len(two.history) == STEPS
    assert losses(two) == pytest.approx(losses(one), abs=1e-4)
    assert losses(one)[-1] < losses(one)[0] - 0.1
    assert (one.workers, two.workers) == (1, 2)


def test_uneven_shares_count_each_row_once(sample: Sample, tmp_path: Path) -> None:
    # 101 rows a batch: one process has 51 of them, the other 50; the last batch is smaller still.
    found = []
    told: list[int] = []
    for n in (1, 2):
        plan = shared(sample.plan, n, batch=101)
        found.append(
            run(sample, tmp_path / str(n), plan=plan, callbacks=[lambda s: told.append(len(s.history))])
        )
    assert losses(found[1]) == pytest.approx(losses(found[0]), abs=1e-4)
    assert told[:4] == [1, 2, 3, 4]
    assert told[-1] == 4  # the processes' last epoch is told too


def kill_early(state: State) -> None:
    """The epochs are told as they are seen, so that one may be passed over."""
    if len(state.history) < EPOCHS:
        raise Killed


def test_workers_go_on_from_a_checkpoint_to_the_same_bytes(sample: Sample, tmp_path: Path) -> None:
    plan = recipe(sample.plan, "training", workers=2, epochs=EPOCHS, patience=None)
    run(sample, tmp_path / "undisturbed", plan=plan)
    with pytest.raises(Killed):
        run(sample, tmp_path / "killed", plan=plan, callbacks=[kill_early])
    resumed = run(sample, tmp_path / "killed", plan=plan)
    assert resumed.resumed_from is not None
    assert files(tmp_path / "killed") == files(tmp_path / "undisturbed")


def test_what_a_worker_refuses_is_refused(sample: Sample, tmp_path: Path) -> None:
    wild = sample.plan.recipe.training.optimizer.model_copy(update={"rate": 1e30})
    plan = recipe(sample.plan, "training", workers=2, optimizer=wild, clip_norm=None)
    with pytest.raises(Refusal, match=r"epoch 1, batch .* the loss is"):
        run(sample, tmp_path, plan=plan)
    assert not (tmp_path / "model").exists()
