"""Training on a dataset version: its training part read, weighed by the raking, never its test part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from tasks.evidence.records import Dataset
from tasks.ingest.described import describe
from tasks.ingest.parts import read_part
from tasks.plan import Plan
from tasks.represent.raking import weights_for
from tasks.represent.records import Raked
from tasks.train.loop import Callback
from tasks.train.records import Trained
from tasks.train.train import train


class Rows(NamedTuple):
    """The training part: typed rows, what describes them, and raking weights (None: all 1)."""

    frame: pl.DataFrame
    described: pl.DataFrame
    weights: npt.NDArray[np.float64] | None


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
    rows = training_rows(dataset, raked, plan)
    if plan.recipe.federated is not None:
        # Flower takes a second to import.
        from tasks.train.federated import train_federated  # noqa: PLC0415

        return train_federated(rows.frame, rows.described, plan, folder / "model", checkpoints, callbacks)
    return train(*rows, plan, folder / "model", checkpoints, callbacks)


def training_rows(dataset: Dataset, raked: Raked | None, plan: Plan) -> Rows:
    """The training part: typed rows, what describes them, and their raking weights."""
    frame = read_part(dataset, "train", plan.judgement)
    described = describe(frame, plan.judgement)
    return Rows(frame, described, None if raked is None else weights_for(described, raked))
