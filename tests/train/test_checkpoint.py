"""Checkpoints that are harmed or removed while another process looks at them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from tasks.errors import AssayError
from tasks.train import checkpoint, workers
from tasks.train.checkpoint import Checkpoints
from tasks.train.loop import Callback, State
from tasks.train.records import Epoch

from .conftest import Sample
from .test_train import recipe, run

KEY = "of this run"


def fresh() -> State:
    torch.manual_seed(0)
    network = torch.nn.Linear(3, 1)
    return State(network, torch.optim.Adam(network.parameters()))  # type: ignore[arg-type] # any module does


def learn(state: State, saved: Checkpoints, epochs: int) -> None:
    """Stand for rank 0: train some epochs more, and leave their checkpoints."""
    for _ in range(epochs):
        n = len(state.history) + 1
        state.optimizer.zero_grad()
        state.network(torch.full((1, 3), float(n))).sum().backward()  # type: ignore[arg-type]
        state.optimizer.step()
        state.record(Epoch(epoch=n, train_loss=1.0, validation_loss=1 / n, validation_metric=0.5, rate=0.001))
        saved(state)


def harm(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def newest(folder: Path) -> Path:
    return max(folder.iterdir())


def follower(saved: Checkpoints) -> tuple[State, list[int], list[Callback]]:
    """A process that follows, and the epochs that it was told of."""
    told: list[int] = []
    return fresh(), told, [lambda state: told.append(len(state.history))]


def test_a_harmed_checkpoint_is_told_of_once_however_often_it_is_looked_at(tmp_path: Path) -> None:
    learning = fresh()
    learn(learning, Checkpoints(tmp_path, KEY), 3)
    harmed = newest(tmp_path)
    harm(harmed)
    saved = Checkpoints(tmp_path, KEY)
    state, told, callbacks = follower(saved)
    assert saved.begin(state) == 2
    for _ in range(5):
        workers._follow(state, saved, callbacks)
    assert told == []
    assert len(saved.refused) == 1
    assert harmed.name in saved.refused[0]

    # Its epoch is trained again, to the same bytes under the same name, which is as good as any.
    rank0, writing = fresh(), Checkpoints(tmp_path, KEY)
    assert writing.resume(rank0) == 2
    learn(rank0, writing, 1)
    assert newest(tmp_path).name == harmed.name
    for _ in range(5):
        workers._follow(state, saved, callbacks)
    assert told == [3]
    learn(rank0, writing, 1)
    harm(newest(tmp_path))  # now while it is followed
    for _ in range(5):
        workers._follow(state, saved, callbacks)
    assert told == [3]
    assert len(saved.refused) == 2
    assert torch.equal(state.network.weight, learning.network.weight)  # type: ignore[arg-type]


@pytest.mark.parametrize("removed", ["before it is digested", "before it is opened"])
def test_a_checkpoint_removed_after_it_was_listed_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, removed: str
) -> None:
    rank0, writing = fresh(), Checkpoints(tmp_path, KEY)
    learn(rank0, writing, 2)
    digest, looked = checkpoint.digest_file, []

    def late(path: Path) -> str:
        """Look at a file before or after rank 0 removes it."""
        looked.append(path.name)
        found = digest(path) if removed == "before it is opened" else ""
        if len(looked) == 1:
            learn(rank0, writing, 2)
            assert not path.exists()
        return found or digest(path)

    monkeypatch.setattr(checkpoint, "digest_file", late)
    saved, state = Checkpoints(tmp_path, KEY), fresh()
    assert saved.resume(state) == 4
    assert saved.refused == []
    assert state.history == rank0.history
    assert len(looked) == 2


def test_an_epoch_before_the_last_is_no_result_of_workers(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_launcher", lambda *_: [sys.executable, "-S", "-c", ""])  # they leave none
    with pytest.raises(AssayError, match=r"found is that of epoch 0 of 4. Start again"):
        run(sample, tmp_path, plan=recipe(sample.plan, "training", workers=2))
    assert not (tmp_path / "model").exists()
