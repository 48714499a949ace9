"""The freeze: the model's files, digested, and the record of how it came about, however it was trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from tasks.evaluate.predict import noise_of
from tasks.evidence.digest import digest_of, write_atomically
from tasks.evidence.records import FileRef
from tasks.model.predictor import Predictor
from tasks.plan.plan import Plan
from tasks.train.checkpoint import Checkpoints
from tasks.train.loop import State
from tasks.train.records import Trained, evaluations_of


def freeze(predictor: Predictor, folder: Path) -> tuple[FileRef, ...]:
    """Write the model's files, each whole or not at all, and digest them."""
    contents = predictor.contents()
    for name, content in contents.items():
        write_atomically(folder / name, content)
    return tuple(FileRef.of(folder / name, relative_to=folder) for name in contents)


def frozen(
    predictor: Predictor,
    state: State,
    plan: Plan,
    device: torch.device,
    saved: Checkpoints,
    folder: Path,
    *,
    fit_rows: int,
    passes: int,
    **own: Any,
) -> Trained:
    """Freeze a model in ``folder``, remove the checkpoints that it is the result of, and say how it was made.

    Args:
        predictor: with the weights of the best epoch.
        state: as training left it.
        plan: carried out.
        device: that it was trained on.
        saved: its checkpoints.
        folder: gets the files.
        fit_rows: learned from.
        passes: over them.
        own: further fields of the record, of which each way to train has its own.
    """
    predictor = replace(predictor, noise=noise_of(plan))
    files = freeze(predictor, folder)
    saved.clear()
    parameters = sum(parameter.numel() for parameter in predictor.network.parameters())
    return Trained(
        folder=folder.name,
        files=files,
        digest=digest_of(sorted((file.path, file.sha256) for file in files)),
        history=tuple(state.history),
        best_epoch=state.best_epoch,
        parameters=parameters,
        flops=2 * parameters * evaluations_of(plan.recipe.model, fit_rows, passes),
        fit_rows=fit_rows,
        device=device.type,
        threads=plan.operations.compute.threads,
        workers=plan.recipe.training.workers,
        torch=torch.__version__,
        score_edges=predictor.rule.score_edges,
        refused_checkpoints=tuple(saved.refused),
        **own,
    )
