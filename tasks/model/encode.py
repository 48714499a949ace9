"""From a table with the source's own columns to tensors; what it can't take, it refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
import torch

from .columns import Category, Codes, Flags, Floats, Number

if TYPE_CHECKING:
    import polars as pl

Table: TypeAlias = "pd.DataFrame | pl.DataFrame"


@dataclass(frozen=True)
class Encoded:
    """Rows as tensors.

    Attributes:
        codes: int64 (n, categories); 0 is "missing".
        numbers: float32 (n, numbers), standardised; 0 where missing.
        absent: float32 (n, numbers), 1 where missing.
    """

    codes: torch.Tensor
    numbers: torch.Tensor
    absent: torch.Tensor

    def rows(self, which: slice | torch.Tensor) -> Encoded:
        """The same for some of the rows."""
        return Encoded(self.codes[which], self.numbers[which], self.absent[which])

    def to(self, device: torch.device) -> Encoded:
        """The same on another device."""
        return Encoded(self.codes.to(device), self.numbers.to(device), self.absent.to(device))


class Wanted(NamedTuple):
    """A column to learn: ``kind`` is category, integer or number."""

    name: str
    kind: str
    hidden: bool


@dataclass(frozen=True)
class Encoders:
    """What the columns learned, in the order in which the network takes them.

    Attributes:
        categories: the columns of categories.
        numbers: the columns of numbers.
        nulls: spellings of a missing value.
    """

    categories: tuple[Category, ...]
    numbers: tuple[Number, ...]
    nulls: tuple[str, ...]

    @classmethod
    def fit(cls, frame: Table, columns: Sequence[Wanted], nulls: Sequence[str], bins: int) -> Encoders:
        """Learn from the rows of ``frame`` (pandas or polars): give it fit rows alone.

        Args:
            frame: table that has every one of ``columns``.
            columns: which columns to take, and as what.
            nulls: spellings of a missing value.
            bins: quantile bins of a number, at least 1.

        Raises:
            ValueError: a column is empty or holds no numbers where it should.
        """
        categories = tuple(
            Category.fit(c.name, _column(frame, c.name), nulls, hidden=c.hidden)
            for c in columns
            if c.kind == "category"
        )
        numbers = tuple(
            Number.fit(
                c.name, _column(frame, c.name), nulls, integer=c.kind == "integer", bins=bins, hidden=c.hidden
            )
            for c in columns
            if c.kind != "category"
        )
        return cls(categories, numbers, tuple(nulls))

    def encode(self, frame: Table) -> Encoded:
        """Encode a pandas or polars table; columns that the model does not take are ignored.

        Raises:
            ValueError: names every column that is missing, and by row every value of a wrong type,
                missing or never seen in training, with the values that are known.
        """
        columns: tuple[Category | Number, ...] = (*self.categories, *self.numbers)
        problems = [f"column {c.name!r} is missing" for c in columns if c.name not in frame.columns]
        codes = [
            c.encode(_column(frame, c.name), self.nulls, problems)
            for c in self.categories
            if c.name in frame.columns
        ]
        numbers = [
            c.encode(_column(frame, c.name), self.nulls, problems)
            for c in self.numbers
            if c.name in frame.columns
        ]
        if problems:
            lines = "".join(f"\n  - {problem}" for problem in problems)
            plural = "problem" if len(problems) == 1 else "problems"
            raise ValueError(f"{len(problems)} {plural} in the table (rows counted from 0):{lines}")
        return _tensors(len(frame), codes, numbers)

    def unknown_rows(self, frame: Table) -> Flags:
        """Which rows (n,) hold a category, or lack a value, in a way that no training row did."""
        strange = np.zeros(len(frame), bool)
        for category in self.categories:
            codes = category.encode(_column(frame, category.name), self.nulls, [])
            strange |= (codes < 0) | ((codes == 0) & (not category.missing))
        for number in self.numbers:
            if not number.missing:
                strange |= np.isnan(number.encode(_column(frame, number.name), self.nulls, []))
        return strange

    def to_json(self) -> dict[str, Any]:
        """As model.json keeps it."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Encoders:
        """The opposite of ``to_json``."""
        return cls(
            tuple(Category(**{**c, "known": tuple(c["known"])}) for c in stored["categories"]),
            tuple(Number(**{**n, "edges": tuple(n["edges"])}) for n in stored["numbers"]),
            tuple(stored["nulls"]),
        )


def _column(frame: Table, name: str) -> pd.Series:
    """One column as pandas, whichever kind of table it comes from."""
    column = frame[name]
    if isinstance(column, pd.Series):
        return column.reset_index(drop=True)
    return pd.Series(column.to_numpy())


def _tensors(rows: int, codes: list[Codes], numbers: list[Floats]) -> Encoded:
    coded = np.stack(codes, axis=1) if codes else np.zeros((rows, 0), np.int64)
    standard = np.stack(numbers, axis=1) if numbers else np.zeros((rows, 0))
    absent = np.isnan(standard)
    return Encoded(
        torch.from_numpy(coded),
        torch.from_numpy(np.where(absent, 0.0, standard).astype(np.float32)),
        torch.from_numpy(absent.astype(np.float32)),
    )
