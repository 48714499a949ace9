"""What training hands on."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from tasks.evidence.records import FileRef, Record
from tasks.mitigate.records import Decision
from tasks.plan.model import Model, Pretrained
from tasks.privacy.records import Spent

GRADIENT = 3
"""Evaluations, rows through a network, that one row's gradient counts: a backward pass is twice a forward one
(Kaplan et al. 2020, section 2.1)."""


def evaluations_of(model: Model, rows: int, passes: int) -> int:
    """Evaluations that training counts: a gradient a row and pass, less where blocks were frozen.

    Args:
        model: of the recipe.
        rows: learned from.
        passes: over them.
    """
    if not isinstance(model, Pretrained):
        return GRADIENT * rows * passes
    head = min(passes, model.head_epochs)  # no gradient goes back beyond the head
    each = 1 + (GRADIENT - 1) * (model.layers - model.frozen_layers) / model.layers
    return int(rows * (head + each * (passes - head)))


class Epoch(Record):
    """One pass over the training rows; losses as the objective has them; the metric is accuracy, or R2.

    Attributes:
        train_loss: None under differential privacy, which it would tell past.
        excess: how far validation rows are beyond what a step against bias during training asks for.
        clients: of federated training, those that the epoch, a round, was made of.
        lost: a sentence on each of the others.
    """

    epoch: int
    train_loss: float | None
    validation_loss: float
    validation_metric: float
    rate: float
    excess: float = 0.0
    clients: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


class Trained(Record):
    """A frozen model: weights, encoders, thresholds, digested before the test part is opened.

    Attributes:
        folder: within the dossier; holds all of ``files``; what is registered and shipped.
        files: weights.safetensors, model.json (architecture, encoders, decision rule) ...
        digest: SHA-256 over the sorted (path, sha256) of ``files``: the freeze.
        history: one entry an epoch.
        best_epoch: the epoch whose weights were kept.
        validation: metric name -> value on the validation part.
        parameters: number of trained parameters.
        flops: floating-point operations of training, estimated: 2 x parameters x evaluations, of which a
            gradient counts three.
        device: "cpu", "cuda" or "mps"; with ``threads`` and ``torch`` what bytes depend on.
        threads: CPU threads used.
        workers: processes that trained on shares of each batch.
        torch: version.
        score_edges: rising inner edges of the score bins, quantiles of the validation scores.
        fit_rows: rows learned from.
        made_rows: how many of these a step against bias made: copies, altered or generated rows.
        made_by: how many steps of each kind made; none of a record from before they were told apart.
        validation_rows: rows that chose the epoch.
        set_aside_rows: validation rows left out, for a category that no fit row has.
        clients: of federated training, all that there were; ``history`` says who took part in each round.
        resumed_from: epoch of the checkpoint that this run went on from, None for a clean start.
        decision: how the model decides by group, where a step after training says so.
        refused_checkpoints: sentences on checkpoints found truncated or altered.
        privacy: what the model may tell of any row it learned from; None where nothing is promised.
    """

    folder: str
    files: tuple[FileRef, ...]
    digest: str
    history: tuple[Epoch, ...]
    best_epoch: int
    validation: dict[str, float]
    parameters: int
    flops: int
    device: str
    threads: int
    workers: int = 1
    torch: str
    score_edges: tuple[float, ...] = ()
    fit_rows: int
    made_rows: int = 0
    made_by: dict[str, int] = Field(default_factory=dict)
    validation_rows: int
    set_aside_rows: int = 0
    clients: tuple[str, ...] = ()
    decision: Decision | None = None
    resumed_from: int | None = None
    refused_checkpoints: tuple[str, ...] = ()
    privacy: Spent | None = None

    @property
    def evaluations(self) -> int:
        """What training counts as rows through the network."""
        return self.flops // (2 * max(1, self.parameters))


class Trial(Record):
    """One trial of a search, measured on validation rows.

    Attributes:
        number: from 0.
        settings: key below ``recipe`` -> value.
        performance: the metric searched for; None where there is no model, or the metric is undefined.
        gaps: limit in words -> the gate's metric between the groups that it judges; None where undefined.
        undefined: limit in words -> why it is, of these.
        excess: by how much the worst gap lies beyond its limit less the headroom; at most 0 is within.
        epochs: trained.
        because: why it could not be trained or measured, else empty.
    """

    number: int
    settings: dict[str, Any]
    performance: float | None = None
    gaps: dict[str, float | None] = Field(default_factory=dict)
    undefined: dict[str, str] = Field(default_factory=dict)
    excess: float | None = None
    epochs: int = 0
    because: str = ""


class Tuned(Record):
    """What a search found; empty where the plan asks for none.

    Attributes:
        aim: the plan's.
        metric: the performance searched for.
        headroom: the plan's.
        trials: in order.
        front: numbers of the trials that no other beats in performance and in the worst gap.
        chosen: number of the trial whose settings train the model.
        changes: those settings.
        because: why this one.
        refused_trials: sentences on the files of trials that were found truncated or altered.
    """

    aim: str = ""
    metric: str = ""
    headroom: float = 0.0
    trials: tuple[Trial, ...] = ()
    front: tuple[int, ...] = ()
    chosen: int | None = None
    changes: dict[str, Any] = Field(default_factory=dict)
    because: str = ""
    refused_trials: tuple[str, ...] = ()
