"""Training on a dataset version: its training part read, weighed by the raking, never its test part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tasks.evidence.records import Dataset
from tasks.ingest.described import describe
from tasks.ingest.parts import read_part
from tasks.plan import Plan
from tasks.represent.raking import weights_for
from tasks.represent.records import Raked
from tasks.train.loop import Callback
from tasks.train.records import Trained
from tasks.train.train import train


def train_part(
    dataset: Dataset,
    raked: Raked | None,
    plan: Plan,
    folder: Path,
    checkpoints: Path,
    callbacks: Sequence[Callback] = (),
) -> Trained:
    """Train on the dataset's training part and freeze the model in ``folder / "model"``.

    Args:
        dataset: pinned.
        raked: weights by cell, None without raking.
        plan: its recipe says how.
        folder: the dossier's folder.
        checkpoints: where training may go on after a crash.
        callbacks: called after each epoch.
    """
    frame = read_part(dataset, "train", plan.judgement)
    described = describe(frame, plan.judgement)
    weights = None if raked is None else weights_for(described, raked)
    return train(frame, described, weights, plan, folder / "model", checkpoints, callbacks)
