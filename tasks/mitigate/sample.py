"""Rows to learn from, as steps before training take and leave them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from tasks.ingest.described import describe, typed_column
from tasks.plan.judgement import Judgement


class Sample(NamedTuple):
    """Fit rows: never validation or test rows.

    Attributes:
        frame: typed rows, n of them.
        described: a column per protected attribute, and ``label``; the same rows in the same order.
        weights: positive, shape (n,).
        made: which rows a step made: copies drawn again, swapped, altered or generated; shape (n,).
    """

    frame: pl.DataFrame
    described: pl.DataFrame
    weights: npt.NDArray[np.float64]
    made: npt.NDArray[np.bool_]

    def at(self, rows: npt.NDArray[np.int64]) -> Sample:
        """Some of the rows, in the order of their positions; a position may occur again."""
        return Sample(self.frame[rows], self.described[rows], self.weights[rows], self.made[rows])

    def copies(self, rows: npt.NDArray[np.int64], frame: pl.DataFrame, judgement: Judgement) -> Sample:
        """Copies of some rows that a step has changed: made, and described by what they now are.

        Args:
            rows: positions of those that they are copies of, shape (m,); a position may occur again.
            frame: the changed rows, m of them.
            judgement: says what describes a row.
        """
        columns = judgement.data.described()
        typed = frame.with_columns(
            typed_column(name, column) for name, column in columns.items() if name in frame.columns
        )
        described = describe(typed, judgement).select(self.described.columns)
        return Sample(typed, described, self.weights[rows], np.ones(len(rows), bool))

    def as_made(self) -> Sample:
        """The same rows, all of them made by a step."""
        return self._replace(made=np.ones(len(self.made), bool))

    def plus(self, other: Sample) -> Sample:
        """These rows and then the other's."""
        return Sample(
            pl.concat([self.frame, other.frame.select(self.frame.columns)]),
            pl.concat([self.described, other.described.select(self.described.columns)]),
            np.concatenate([self.weights, other.weights]),
            np.concatenate([self.made, other.made]),
        )
