"""Several processes train the network that one would."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from tasks.errors import AssayError, NotEnoughMemory, Refusal
from tasks.model.device import deterministic
from tasks.plan.mitigation import Constraint
from tasks.plan.plan import Plan
from tasks.train import loop, workers
from tasks.train.fitting import begin
from tasks.train.objective import objective_of
from tasks.train.prepare import prepare
from tasks.train.records import Trained
from tests.train.conftest import Sample
from tests.train.test_train import files, recipe, run

STEPS = 100
EPOCHS = 40
WAITED = 20  # seconds


def shared(plan: Plan, workers: int, **changed: object) -> Plan:
    """The plan without dropout and at a constant number of epochs."""
    return recipe(recipe(plan, "model", dropout=0.0), "training", patience=None, workers=workers, **changed)


def constrained(plan: Plan) -> Plan:
    step = Constraint(kind="constraint", metric="demographic_parity", attribute="sex", rate=20.0)
    return plan.model_copy(update={"recipe": plan.recipe.model_copy(update={"mitigation": [step]})})


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


@dataclass(frozen=True)
class Thrice:
    """One of three that have the same rows."""

    rank: int = 0
    size: int = 3

    def add_up(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Leave the gradients: their scale does not matter here."""

    def total(self, values: torch.Tensor) -> torch.Tensor:
        return values + values + values


def test_what_a_network_does_not_learn_stays_as_it_is_frozen(sample: Sample) -> None:
    plan = shared(sample.plan, 1, epochs=1)
    with deterministic(1):
        prepared = prepare(sample.frame, sample.described, None, plan)
        objective = objective_of(plan, prepared.fit.labels)
        state = begin(prepared.features, objective, plan, torch.device("cpu"), prepared.fit)
        rows = prepared.fit, prepared.validation
        loop.run(state, *rows, objective, plan.recipe.training, 1, [], Thrice())
    edges = prepared.features.front().get_buffer("numbers.low")
    assert torch.equal(
        state.network.front.get_buffer("numbers.low"), edges
    )  # a third of three is not the whole


class Undisturbed(NamedTuple):
    """Training by two that nothing stopped; of a batch of 101 rows one has 51, the other 50.

    It is under a constraint, whose multipliers follow from the sums of both.
    """

    plan: Plan
    trained: Trained
    folder: Path
    told: list[int]


@pytest.fixture(scope="module")
def undisturbed(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    plan = constrained(shared(sample.plan, 2, epochs=EPOCHS, batch=101))
    folder, told = tmp_path_factory.mktemp("undisturbed"), list[int]()
    trained = run(sample, folder, plan=plan, callbacks=[lambda state: told.append(len(state.history))])
    return Undisturbed(plan, trained, folder, told)


def test_uneven_shares_count_each_row_once(sample: Sample, undisturbed: Undisturbed, tmp_path: Path) -> None:
    one = run(sample, tmp_path, plan=constrained(shared(sample.plan, 1, epochs=EPOCHS, batch=101)))
    assert losses(undisturbed.trained)[:4] == pytest.approx(losses(one)[:4], abs=1e-4)
    free = run(sample, tmp_path / "free", plan=shared(sample.plan, 1, epochs=4, batch=101))
    assert losses(free)[3] < losses(one)[3] - 1e-3  # the multipliers weigh something by then


def test_epochs_are_told_as_they_are_seen_and_the_last_is(undisturbed: Undisturbed) -> None:
    assert undisturbed.told == sorted(set(undisturbed.told))
    assert undisturbed.told[-1] == EPOCHS


RUN = """
import os, pickle, signal, sys
from pathlib import Path
from tasks.train.train import train
frame, described, plan, folder = pickle.loads(Path(sys.argv[1]).read_bytes())
kill = lambda state: os.kill(os.getpid(), signal.SIGKILL)
train(frame, described, None, plan, folder / "model", folder / "checkpoints", [kill])
"""


def of_this(folder: Path) -> list[str]:
    """The running workers whose temporary folder is in ``folder``."""
    found = subprocess.run(["pgrep", "-f", str(folder)], capture_output=True, text=True, check=False)
    return found.stdout.split()


def test_workers_die_with_their_parent_and_another_goes_on_to_the_same_bytes(
    sample: Sample, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    job, folder = tmp_path / "job", tmp_path / "killed"
    job.write_bytes(pickle.dumps((sample.frame, sample.described, undisturbed.plan, folder)))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary)}
    killed = subprocess.run([sys.executable, "-c", RUN, job], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    ended = time.monotonic() + WAITED
    while of_this(temporary) and time.monotonic() < ended:
        time.sleep(0.1)
    assert not of_this(temporary)
    assert not list(temporary.glob("assay-workers-*"))  # which held the rows
    resumed = run(sample, folder, plan=undisturbed.plan)
    assert resumed.resumed_from is not None
    assert resumed.resumed_from < EPOCHS  # they did not end because they were done
    assert files(folder) == files(undisturbed.folder)


def test_what_a_worker_refuses_is_refused(sample: Sample, tmp_path: Path) -> None:
    wild = sample.plan.recipe.training.optimizer.model_copy(update={"rate": 1e30})
    plan = recipe(sample.plan, "training", workers=2, optimizer=wild, clip_norm=None)
    with pytest.raises(Refusal, match=r"epoch 1, batch .* the loss is"):
        run(sample, tmp_path, plan=plan)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    "error", [NotEnoughMemory("too little"), Refusal("not a number"), AssayError("else")]
)
def test_what_ends_a_worker_is_raised_where_a_search_may_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: AssayError
) -> None:
    monkeypatch.setattr(workers, "_end_with_parent", lambda _: None)
    monkeypatch.setattr(workers, "_fit_share", ended_by(error))
    with pytest.raises(SystemExit):
        workers.main(tmp_path)
    with pytest.raises(type(error), match=str(error)) as raised:
        workers._raise_failure(tmp_path, 1)
    assert type(raised.value) is type(error)


def ended_by(error: AssayError) -> Callable[[Path], None]:
    def end(_: Path) -> None:
        raise error

    return end
