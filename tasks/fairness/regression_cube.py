"""The audit cube of a regression: one table an attribute and crossing, enough to judge every limit again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import polars as pl

from tasks.evidence.digest import canonical_json
from tasks.fairness.regression import RegressionTable
from tasks.plan.base import crossing

KIND = "regression"
SCHEMA = 1


@dataclass(frozen=True, eq=False)
class RegressionCube:
    """What is kept of a regression's test rows.

    Attributes:
        tables: one for each attribute or crossing, by its name.
    """

    tables: Mapping[str, RegressionTable]

    @classmethod
    def from_arrays(
        cls,
        y_true: Any,
        y_pred: Any,
        groups: Mapping[str, Any],
        attributes: Iterable[str],
        edges: Sequence[float],
        label_range: tuple[float, float],
    ) -> Self:
        """Sum rows.

        Args:
            y_true: shape [rows].
            y_pred: shape [rows].
            groups: a column of levels for each attribute.
            attributes: attributes and crossings (``sex x race``) to keep, each once.
            edges: inner edges of the histogram of predictions.
            label_range: smallest and largest value.

        Raises:
            ValueError: as `RegressionTable.from_arrays`.
        """
        frame = pl.DataFrame({name: pl.Series(own, dtype=pl.String) for name, own in groups.items()})
        tables = {}
        for name in attributes:
            levels = [pl.col(part).fill_null("unknown") for part in crossing(name)]
            group = frame.select(pl.concat_str(levels, separator=" x ")).to_series()
            tables[name] = RegressionTable.from_arrays(y_true, y_pred, name, group, edges, label_range)
        return cls(tables)

    @property
    def rows(self) -> int:
        """Rows in all; every table holds each of them once."""
        return max((int(table.rows.sum()) for table in self.tables.values()), default=0)

    def merge(self, other: RegressionCube) -> RegressionCube:
        """Add another part of the rows.

        Raises:
            ValueError: for other attributes, ranges or edges.
        """
        if set(self.tables) != set(other.tables):
            raise ValueError(
                f"tables by {', '.join(self.tables)} are expected, found {', '.join(other.tables)}"
            )
        return RegressionCube({name: own.merge(other.tables[name]) for name, own in self.tables.items()})

    def to_json(self) -> bytes:
        """The cube's one form in bytes."""
        tables = [table.to_value() for table in self.tables.values()]
        return canonical_json({"kind": KIND, "schema": SCHEMA, "tables": tables}) + b"\n"

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: for another kind or schema, or tables that can't be read.
        """
        value: Mapping[str, Any] = json.loads(content)
        if (value.get("kind"), value.get("schema")) != (KIND, SCHEMA):
            found = f"{value.get('kind')!r} of schema {value.get('schema')!r}"
            raise ValueError(f"a cube of kind {KIND!r}, schema {SCHEMA} is expected, found {found}")
        tables = [RegressionTable.from_value(each) for each in value["tables"]]
        return cls({table.attribute: table for table in tables})
