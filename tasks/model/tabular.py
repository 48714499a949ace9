"""From a table with the source's own columns to tensors; what it can't take, it refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from .columns import Category, Codes, Flags, Floats, Number
from .inputs import Front, Inputs, Table, column_of, refuse
from .table_front import Columns


class Wanted(NamedTuple):
    """A column to learn: ``kind`` is category, integer or number."""

    name: str
    kind: str
    hidden: bool


@dataclass(frozen=True)
class TabularFeatures:
    """What the columns learned, in the order in which the network takes them.

    Attributes:
        embedding: width of the vector that stands for a category or a number.
        categories: the columns of categories.
        numbers: the columns of numbers.
        nulls: spellings of a missing value.
    """

    embedding: int
    categories: tuple[Category, ...]
    numbers: tuple[Number, ...]
    nulls: tuple[str, ...]

    @classmethod
    def fit(
        cls, frame: Table, columns: Sequence[Wanted], nulls: Sequence[str], bins: int, embedding: int
    ) -> TabularFeatures:
        """Learn from the rows of ``frame`` (pandas or polars): give it fit rows alone.

        Args:
            frame: table that has every one of ``columns``.
            columns: which columns to take, and as what.
            nulls: spellings of a missing value.
            bins: quantile bins of a number, at least 1.
            embedding: width of a column's vector.

        Raises:
            ValueError: a column is empty or holds no numbers where it should.
        """
        categories = tuple(
            Category.fit(c.name, values_of(frame, c.name), nulls, hidden=c.hidden)
            for c in columns
            if c.kind == "category"
        )
        numbers = tuple(
            Number.fit(
                c.name,
                values_of(frame, c.name),
                nulls,
                integer=c.kind == "integer",
                bins=bins,
                hidden=c.hidden,
            )
            for c in columns
            if c.kind != "category"
        )
        return cls(embedding, categories, numbers, tuple(nulls))

    def encode(self, frame: Table) -> Inputs:
        """Encode a pandas or polars table; columns that the model does not take are ignored.

        Raises:
            ValueError: names every column that is missing, and by row every value of a wrong type,
                missing or never seen in training, with the values that are known.
        """
        columns: tuple[Category | Number, ...] = (*self.categories, *self.numbers)
        problems = [f"column {c.name!r} is missing" for c in columns if c.name not in frame.columns]
        codes = [
            c.encode(values_of(frame, c.name), self.nulls, problems)
            for c in self.categories
            if c.name in frame.columns
        ]
        numbers = [
            c.encode(values_of(frame, c.name), self.nulls, problems)
            for c in self.numbers
            if c.name in frame.columns
        ]
        refuse(problems)
        return _tensors(len(frame), codes, numbers)

    def unknown_rows(self, frame: Table) -> Flags:
        """Which rows (n,) hold a category, or lack a value, in a way that no training row did."""
        strange = np.zeros(len(frame), bool)
        for category in self.categories:
            codes = category.encode(values_of(frame, category.name), self.nulls, [])
            strange |= (codes < 0) | ((codes == 0) & (not category.missing))
        for number in self.numbers:
            if not number.missing:
                strange |= np.isnan(number.encode(values_of(frame, number.name), self.nulls, []))
        return strange

    def front(self) -> Front:
        """A new first part of a network for these columns."""
        return Columns(self.categories, self.numbers, self.embedding)

    def to_json(self) -> dict[str, Any]:
        """As model.json keeps it."""
        return {"kind": "tabular", **asdict(self)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> TabularFeatures:
        """The opposite of ``to_json``."""
        return cls(
            stored["embedding"],
            tuple(Category(**{**c, "known": tuple(c["known"])}) for c in stored["categories"]),
            tuple(Number(**{**n, "edges": tuple(n["edges"])}) for n in stored["numbers"]),
            tuple(stored["nulls"]),
        )


def values_of(frame: Table, name: str) -> pd.Series:
    """One column as pandas; polars' texts as categories, for an object a row takes ten times the memory."""
    column = frame[name]
    if isinstance(column, pd.Series) or str(column.dtype) != "String":
        return column_of(frame, name)
    distinct = column.drop_nulls().unique(maintain_order=True)
    codes = column.replace_strict(distinct, range(len(distinct)), default=-1)
    return pd.Series(pd.Categorical.from_codes(codes.to_numpy(), pd.Index(distinct.to_list())))


def _tensors(rows: int, codes: list[Codes], numbers: list[Floats]) -> Inputs:
    """Codes (n, categories; 0 is "missing"), standardised numbers (0 where missing) and where they are."""
    largest = max((int(column.max(initial=0)) for column in codes), default=0)
    narrow = [column.astype(np.min_scalar_type(-1 - largest)) for column in codes]  # signed: torch adds to it
    coded = np.stack(narrow, axis=1) if codes else np.zeros((rows, 0), np.int8)
    standard = np.stack(numbers, axis=1) if numbers else np.zeros((rows, 0))
    absent = np.isnan(standard)
    return Inputs(
        {
            "codes": torch.from_numpy(coded),
            "numbers": torch.from_numpy(np.where(absent, 0.0, standard).astype(np.float32)),
            "absent": torch.from_numpy(absent),
        }
    )
