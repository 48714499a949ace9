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
        maker: number of the step that made the row (a copy drawn again, swapped or altered, or generated); 0
            of one that came with the training part; shape (n,).
        number: of the step at work, from 1.
    """

    frame: pl.DataFrame
    described: pl.DataFrame
    weights: npt.NDArray[np.float64]
    maker: npt.NDArray[np.int64]
    number: int = 1

    @classmethod
    def of(cls, frame: pl.DataFrame, described: pl.DataFrame, weights: npt.NDArray[np.float64]) -> Sample:
        """Rows that no step has touched."""
        return cls(frame, described, weights, np.zeros(frame.height, np.int64))

    @property
    def made(self) -> npt.NDArray[np.bool_]:
        """Which rows (n,) a step made."""
        return self.maker > 0

    def at(self, rows: npt.NDArray[np.int64]) -> Sample:
        """Some of the rows, in the order of their positions; a position may occur again."""
        return self._replace(
            frame=self.frame[rows],
            described=self.described[rows],
            weights=self.weights[rows],
            maker=self.maker[rows],
        )

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
        made = Sample.of(typed, described, self.weights[rows])
        return made._replace(number=self.number).as_made()

    def as_made(self) -> Sample:
        """The same rows, all of them made by the step at work."""
        return self._replace(maker=np.full(len(self.maker), self.number))

    def plus(self, other: Sample) -> Sample:
        """These rows and then the other's."""
        return self._replace(
            frame=pl.concat([self.frame, other.frame.select(self.frame.columns)]),
            described=pl.concat([self.described, other.described.select(self.described.columns)]),
            weights=np.concatenate([self.weights, other.weights]),
            maker=np.concatenate([self.maker, other.maker]),
        )
