"""The test part, opened once: predictions are filed, counted into the cube and scored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from tasks.errors import EvidenceError
from tasks.evaluate.kinds import kind_of
from tasks.evaluate.predictions import check_predictions, write_predictions
from tasks.evaluate.records import CUBE, PREDICTIONS, Estimate, Evaluated, file_of
from tasks.evidence.digest import write_atomically
from tasks.evidence.records import FileRef
from tasks.fairness.counts import Counts
from tasks.fairness.cube import Cube
from tasks.plan.judgement import TEST, Judgement

TENTHS = tuple(i / 10 for i in range(1, 10))
"""Edges of the bins in which calibration is compared."""
HUNDREDTHS = tuple(i / 100 for i in range(1, 100))
"""Edges of an audit set's score bins: no validation rows have its classes, so no quantiles could be taken."""


def evaluate(
    predictions: pl.DataFrame,
    described: pl.DataFrame,
    judgement: Judgement,
    score_edges: Sequence[float],
    folder: Path,
    on: str = TEST,
) -> Evaluated:
    """File predictions.csv and cube.json in the dossier, and estimate the performance.

    Args:
        predictions: one row per test row: row_id, row_digest, score (of classes), prediction.
        described: the same rows in the same order: a column per protected attribute, ``label``, and
            ``unit`` where the plan names one.
        judgement: names the classes and the protected attributes, all of which are axes of the cube.
        score_edges: inner edges of the score's bins, fixed on validation rows.
        folder: the dossier's folder.
        on: the set of rows; files of an audit set bear its name, and the judgement is its own.

    Raises:
        EvidenceError: where predictions and rows do not agree.
        Refusal: for rows of one class.
    """
    typed = check_predictions(predictions, judgement, file_of(PREDICTIONS, on))
    cube = count_predictions(typed, described, judgement, score_edges)
    return file_counted(typed, cube, described["label"], judgement, folder, on)


def file_counted(
    predictions: pl.DataFrame, cube: Counts, label: pl.Series, judgement: Judgement, folder: Path, on: str
) -> Evaluated:
    """File checked predictions of a set of rows with their cube, and estimate the performance.

    Raises:
        Refusal: for rows of one class.
    """
    told, counts = (folder / file_of(file, on) for file in (PREDICTIONS, CUBE))
    performance = estimate(predictions, label, judgement)
    write_predictions(predictions, judgement, told)
    write_atomically(counts, cube.to_json())
    return Evaluated(
        rows=len(predictions),
        predictions=FileRef.of(told, folder),
        cube=FileRef.of(counts, folder),
        performance=performance,
    )


def count_predictions(
    predictions: pl.DataFrame, described: pl.DataFrame, judgement: Judgement, score_edges: Sequence[float]
) -> Counts:
    """The audit cube of predictions over the described rows; replay counts with the same function.

    Raises:
        EvidenceError: for other rows, a missing attribute or unit, classes that the plan does not name, or
            numbers outside of the label's range.
    """
    if len(predictions) != len(described):
        raise EvidenceError(
            f"one prediction a row is expected, found {len(predictions)} for {len(described)} rows"
        )
    wanted = ["label", *judgement.protected, *([] if judgement.unit is None else ["unit"])]
    if lacking := [name for name in wanted if name not in described.columns]:
        raise EvidenceError(
            f"columns {', '.join(wanted)} are expected in the described rows, missing: {lacking}"
        )
    try:
        return kind_of(judgement).count(predictions, described, judgement, score_edges)
    except ValueError as error:
        raise EvidenceError(f"predictions can't be counted: {error}") from error


def count_labels(described: pl.DataFrame, judgement: Judgement) -> Cube:
    """Counts of a part without predictions: of the training part, for `judge(training_counts=...)`.

    Sampling units are left out: no interval is made of these counts, only expected denominators.
    """
    return kind_of(judgement).count_labels(described, judgement)


def estimate(predictions: pl.DataFrame, label: pl.Series, judgement: Judgement) -> tuple[Estimate, ...]:
    """The performance: accuracy, macro-F1 and AUC of classes, R2 and mean absolute error of a number.

    Raises:
        Refusal: for a test part with one class, or one number.
    """
    return kind_of(judgement).estimate(predictions, label, judgement)


def quantile_edges(scores: npt.ArrayLike, bins: int = 100) -> tuple[float, ...]:
    """Inner edges of score bins: quantiles of validation scores, each once, and the tenths.

    Calibration is compared in tenths: a bin that reached across one would hide which side its rows are on.

    Args:
        scores: of the validation part, in [0, 1], shape [rows].
        bins: wanted; ties leave fewer.

    Returns:
        At most ``bins + 8`` rising edges.
    """
    shares = np.linspace(0, 1, bins + 1)[1:-1]
    edges = np.unique(np.quantile(np.asarray(scores, float), shares, method="inverted_cdf"))
    return tuple(float(edge) for edge in np.union1d(edges, TENTHS))
