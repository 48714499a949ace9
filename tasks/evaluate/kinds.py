"""The kinds of label: one module each, that knows what a prediction is and how it is counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

import polars as pl
from numpy.typing import NDArray

from tasks.evaluate import classes, numbers
from tasks.evaluate.classes import Noisy
from tasks.evaluate.records import Estimate, Paired
from tasks.fairness.counts import Counts
from tasks.fairness.cube import Cube
from tasks.model.columns import Codes
from tasks.model.rule import Rule, Scores
from tasks.plan.data import Classes, Number
from tasks.plan.judgement import Judgement


class Kind(Protocol):
    """What a kind of label can do; the modules say it at length.

    Attributes:
        SCHEMA: columns and types of predictions.csv.
        FLOAT: the column that is spelled as the shortest decimal of a 32-bit float.
        ADDS_EXACTLY: whether cubes of parts of the rows add up to the bytes of the whole's.
    """

    @property
    def SCHEMA(self) -> Mapping[str, pl.DataType]: ...  # noqa: N802, D102 - a module's constant
    @property
    def FLOAT(self) -> str: ...  # noqa: N802, D102 - a module's constant
    @property
    def ADDS_EXACTLY(self) -> bool: ...  # noqa: N802, D102 - a module's constant

    def problems(self, predictions: pl.DataFrame) -> Iterator[str]:
        """What is wrong with predictions of the right types."""

    def answers(
        self,
        scores: Scores,
        rule: Rule,
        judgement: Judgement,
        on: str,
        groups: Codes | None = None,
        noisy: Noisy | None = None,
    ) -> pl.DataFrame:
        """What the model said of each row of a set, beside row_id and row_digest."""

    def served(self, answer: Mapping[str, NDArray[Any]], judgement: Judgement) -> pl.DataFrame:
        """The same of what a registered model gave."""

    def count(
        self,
        predictions: pl.DataFrame,
        described: pl.DataFrame,
        judgement: Judgement,
        score_edges: Sequence[float],
    ) -> Counts:
        """The audit cube."""

    def count_labels(self, described: pl.DataFrame, judgement: Judgement) -> Cube:
        """Counts of a part without predictions."""

    def estimate(
        self, predictions: pl.DataFrame, label: pl.Series, judgement: Judgement
    ) -> tuple[Estimate, ...]:
        """Performance with its intervals."""

    def changed(self, one: pl.Series, other: pl.Series, judgement: Judgement) -> int:
        """Of how many rows two models say something else."""

    def compare(
        self, new: pl.Series, old: pl.Series, truth: pl.Series, margin: float, alpha: float
    ) -> Paired:
        """Two models on the same rows."""


KINDS: Mapping[type, Kind] = MappingProxyType({Classes: classes, Number: numbers})


def kind_of(judgement: Judgement) -> Kind:
    """The module for a plan's label."""
    return KINDS[type(judgement.data.label)]
