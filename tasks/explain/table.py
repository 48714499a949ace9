"""A model of a table as a function of its columns: a matrix with one number a column, in; outputs, out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from tasks.explain.budget import Budget
from tasks.model.columns import Category, Number
from tasks.model.inputs import Inputs, Table
from tasks.model.predictor import Predictor
from tasks.model.rule import NumberRule
from tasks.model.tabular import TabularFeatures

Floats: TypeAlias = npt.NDArray[np.float64]
Codes: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TableModel:
    """A frozen model as a function of its own columns.

    A matrix (n, d) holds a row's codes of categories, then its numbers in standardised units (NaN where
    missing), then, for a model that reads a group in its decisions, the group's position.

    Attributes:
        predictor: the model.
        budget: told of every row that the network is asked for.
    """

    predictor: Predictor
    budget: Budget

    @property
    def features(self) -> TabularFeatures:
        """What the columns learned."""
        found = self.predictor.features
        assert isinstance(found, TabularFeatures)  # noqa: S101 - the parts of tables alone make one
        return found

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the d columns; that of a group is in words."""
        own: tuple[Category | Number, ...] = (*self.features.categories, *self.features.numbers)
        return (*(column.name for column in own), *self._by)

    @property
    def _by(self) -> tuple[str, ...]:
        by = self.predictor.rule.by
        return () if by is None else (f"decision by {' x '.join(own.name for own in by.attributes)}",)

    @property
    def decides(self) -> bool:
        """Whether a class is predicted, so that an output near 0 is a decision that is nearly another."""
        return not isinstance(self.predictor.rule, NumberRule)

    @property
    def of(self) -> str:
        """What is explained, in words."""
        rule = self.predictor.rule
        if isinstance(rule, NumberRule):
            return "the predicted number, in the label's unit"
        if self.positive is None:
            return "probability of the predicted class"
        return f"probability of {rule.positive!r} less the threshold of a positive decision"

    @property
    def classes(self) -> tuple[str, ...]:
        """Of a model that decides."""
        rule = self.predictor.rule
        return () if isinstance(rule, NumberRule) else rule.classes

    @property
    def positive(self) -> int | None:
        """Position of the positive one of two classes; None where there is no such one."""
        rule = self.predictor.rule
        if isinstance(rule, NumberRule) or len(rule.classes) > 2 or rule.positive is None:
            return None
        return rule.classes.index(rule.positive)

    def matrix(self, frame: Table) -> Floats:
        """Rows (n, d) of a typed table."""
        inputs = self.features.encode(frame)
        numbers = inputs["numbers"].numpy().astype(np.float64)
        numbers[inputs["absent"].numpy()] = np.nan
        parts = [inputs["codes"].numpy().astype(np.float64), numbers]
        if (groups := self.predictor.groups(frame)) is not None:
            parts.append(groups[:, None].astype(np.float64))
        return np.concatenate(parts, axis=1)

    def outputs(self, matrix: Floats) -> Floats:
        """Margins or numbers (n, 1), or probabilities (n, classes) where there are more than two."""
        scores = self._scores(matrix)
        rule = self.predictor.rule
        if isinstance(rule, NumberRule) or self.positive is None:
            return scores.astype(np.float64)
        of_positive = scores[:, [self.positive]].astype(np.float64)
        if rule.by is None:
            return of_positive - rule.threshold
        return of_positive - rule.by.thresholds(self._groups(matrix))[:, None]

    def decided(self, matrix: Floats) -> Codes:
        """Position of each row's class (n,); of numbers 0."""
        rule, scores = self.predictor.rule, self._scores(matrix)
        if isinstance(rule, NumberRule):
            return np.zeros(len(matrix), np.int64)
        return rule.decide(scores, self._groups(matrix) if rule.by is not None else None)

    def explained(self, matrix: Floats) -> Codes:
        """Which output (n,) is explained of each row: the only one, or that of the predicted class."""
        return np.asarray(self.outputs(matrix).argmax(axis=1), np.int64)

    def with_predictor(self, predictor: Predictor) -> TableModel:
        """The same columns, another network."""
        return replace(self, predictor=predictor)

    def _groups(self, matrix: Floats) -> Codes:
        return matrix[:, -1].astype(np.int64)

    def _scores(self, matrix: Floats) -> npt.NDArray[np.float32]:
        self.budget.spend(len(matrix))
        size, rule = self.predictor.network.rows_at_once, self.predictor.rule
        pieces = [self._inputs(matrix[start : start + size]) for start in range(0, len(matrix), size)]
        with torch.inference_mode():
            found = torch.cat([rule.scores(self.predictor.network(piece)) for piece in pieces]).numpy()
        return rule.calibrated(found, self._groups(matrix) if rule.by is not None else None)

    def _inputs(self, matrix: Floats) -> Inputs:
        categories = len(self.features.categories)
        numbers = matrix[:, categories : categories + len(self.features.numbers)]
        absent = np.isnan(numbers)
        return Inputs(
            {
                "codes": torch.from_numpy(matrix[:, :categories].astype(np.int64)),
                "numbers": torch.from_numpy(np.where(absent, 0.0, numbers).astype(np.float32)),
                "absent": torch.from_numpy(absent),
            }
        )


def one_of(outputs: Floats, which: Codes) -> Floats:
    """The chosen output (n,) of each row of (n, outputs)."""
    return np.take_along_axis(outputs, which[:, None], axis=1)[:, 0]


def with_background(
    model: TableModel, rows: Floats, which: Codes, background: Floats, kept: npt.NDArray[np.bool_]
) -> Floats:
    """Mean output (n,) over the background, whose values stand where a row's are not kept.

    Args:
        model: asked for n x m rows.
        rows: (n, d).
        which: output (n,) of each row.
        background: (m, d).
        kept: (n, d).
    """
    mixed = np.where(kept[:, None, :], rows[:, None, :], background[None, :, :])
    flat = model.outputs(mixed.reshape(-1, rows.shape[1]))
    of_rows = one_of(flat, np.repeat(which, len(background))).reshape(len(rows), -1)
    return np.asarray(of_rows.mean(axis=1), np.float64)
