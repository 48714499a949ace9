"""What training hands on."""

from __future__ import annotations

from tasks.evidence.records import FileRef, Record


class Epoch(Record):
    """One pass over the training rows; losses as the objective has them; the metric is accuracy, or R2."""

    epoch: int
    train_loss: float
    validation_loss: float
    validation_metric: float
    rate: float


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
        flops: floating-point operations of training, estimated (6 x parameters x rows seen).
        device: "cpu", "cuda" or "mps"; with ``threads`` and ``torch`` what bytes depend on.
        threads: CPU threads used.
        torch: version.
        score_edges: rising inner edges of the score bins, quantiles of the validation scores.
        fit_rows: rows learned from.
        validation_rows: rows that chose the epoch.
        set_aside_rows: validation rows left out, for a category that no fit row has.
        resumed_from: epoch of the checkpoint that this run went on from, None for a clean start.
        refused_checkpoints: sentences on checkpoints found truncated or altered.
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
    torch: str
    score_edges: tuple[float, ...] = ()
    fit_rows: int
    validation_rows: int
    set_aside_rows: int = 0
    resumed_from: int | None = None
    refused_checkpoints: tuple[str, ...] = ()
