"""A plan that predicts a number: its predictions, their sums and its performance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.evaluate.classes import Noisy
from tasks.evaluate.paired import compare_squares
from tasks.evaluate.performance import mae, r2
from tasks.evaluate.records import Estimate, Paired
from tasks.fairness.cube import Cube
from tasks.fairness.regression_cube import RegressionCube
from tasks.model.columns import Codes
from tasks.model.rule import Rule, Scores
from tasks.plan.data import Number
from tasks.plan.judgement import Judgement

SCHEMA: Mapping[str, pl.DataType] = MappingProxyType(
    {"row_id": pl.UInt32(), "row_digest": pl.String(), "prediction": pl.Float32()}
)
FLOAT = "prediction"
ADDS_EXACTLY = False
"""Sums of numbers differ in their last bit with the order of the rows."""
ALIKE = 1e-4
"""Share of the label's range within which two predictions are one: last bits differ between processors."""
BANDS = 10
"""Bands of the label by which the training part is counted."""


def number_of(judgement: Judgement) -> Number:
    """The label of a plan that predicts a number."""
    label = judgement.data.label
    assert isinstance(label, Number)  # noqa: S101 - `kinds` asks no other
    return label


def problems(predictions: pl.DataFrame) -> Iterator[str]:
    """What is wrong with predictions of the right types."""
    if strange := int((~predictions["prediction"].is_finite()).sum()):
        yield f"{strange} predictions are no finite number"


def answers(
    scores: Scores,
    rule: Rule,  # noqa: ARG001 - a number means itself everywhere
    judgement: Judgement,  # noqa: ARG001
    on: str,  # noqa: ARG001
    groups: Codes | None = None,  # noqa: ARG001
    noisy: Noisy | None = None,  # noqa: ARG001 - numbers are answered without noise
) -> pl.DataFrame:
    """``prediction`` of each row: the model's number, of scores (n, 1)."""
    return pl.DataFrame({"prediction": pl.Series(scores[:, 0], dtype=pl.Float32)})


def served(answer: Mapping[str, NDArray[Any]], judgement: Judgement) -> pl.DataFrame:  # noqa: ARG001 - as for classes
    """``prediction`` of what a registered model gave, by column."""
    return pl.DataFrame({"prediction": pl.Series(answer["prediction"].astype(np.float32), dtype=pl.Float32)})


def count(
    predictions: pl.DataFrame, described: pl.DataFrame, judgement: Judgement, score_edges: Sequence[float]
) -> RegressionCube:
    """The audit cube: a table for each attribute, and for each crossing that a limit names.

    Raises:
        ValueError: for numbers outside of the label's range.
    """
    label = number_of(judgement)
    named = dict.fromkeys([*judgement.protected, *(limit.attribute for limit in judgement.limits)])
    return RegressionCube.from_arrays(
        described["label"].cast(pl.Float64).to_numpy(),
        predictions["prediction"].cast(pl.Float64).to_numpy(),
        {name: described[name] for name in judgement.protected},
        named,
        score_edges,
        (label.minimum, label.maximum),
    )


def count_labels(described: pl.DataFrame, judgement: Judgement) -> Cube:
    """Counts of a part without predictions, by group and band of the label (tenths of the rows)."""
    label = described["label"].cast(pl.Float64)
    shares = np.linspace(0, 1, BANDS + 1)[1:-1]
    edges = np.unique(np.quantile(label.to_numpy(), shares, method="inverted_cdf"))
    names = [f"below {edges[0]:g}", *(f"from {edge:g}" for edge in edges)]
    bands = np.array(names)[np.searchsorted(edges, label.to_numpy(), side="right")]
    groups = {name: described[name] for name in judgement.protected}
    positive = names[-1] if len(names) == 2 else None
    return Cube.from_labels(bands, groups, labels=names, positive=positive)


def estimate(predictions: pl.DataFrame, label: pl.Series, judgement: Judgement) -> tuple[Estimate, ...]:  # noqa: ARG001 - as for classes
    """R2 and the mean absolute error.

    Raises:
        Refusal: for a test part whose true values are all the same.
    """
    truth, told = (column.cast(pl.Float64).to_numpy() for column in (label, predictions["prediction"]))
    return r2(truth, told), mae(truth, told)


def changed(one: pl.Series, other: pl.Series, judgement: Judgement) -> int:
    """Rows of which two models' numbers lie more than `ALIKE` of the label's range apart."""
    label = number_of(judgement)
    apart = np.abs(one.cast(pl.Float64).to_numpy() - other.cast(pl.Float64).to_numpy())
    return int((apart > ALIKE * (label.maximum - label.minimum)).sum())


def compare(new: pl.Series, old: pl.Series, truth: pl.Series, margin: float, alpha: float) -> Paired:
    """R2 of two models on the same rows; see :func:`tasks.evaluate.paired.compare_squares`."""
    one, other, true = (column.cast(pl.Float64).to_numpy() for column in (new, old, truth))
    return compare_squares(one, other, true, margin, alpha)
