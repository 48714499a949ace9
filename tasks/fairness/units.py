"""The cube by sampling unit: rows of one unit (a template, a person, a speaker) are not independent.

The table is sparse and anonymous: units are numbered by what they hold, not by their names, so the same
rows give the same bytes whatever the units are called and whichever shard was counted first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Units:
    """One entry for each unit and cell that has rows, sorted by unit, then cell.

    Attributes:
        unit: 0 to units - 1, shape [entries]; units are in the order of (entries, cells, counts, weights).
        cell: flat index into the cube's counts, shape [entries].
        counts: rows of that unit in that cell, at least 1, shape [entries].
        weights: sum of their weights, shape [entries]; None = every row weighs 1.
    """

    unit: Ints
    cell: Ints
    counts: Ints
    weights: Floats | None = None

    @classmethod
    def of(cls, entries: pl.DataFrame) -> Self:
        """Sum entries (see `entries_of`) of any number of parts by unit and cell, and number the units."""
        names = entries["unit"].rank("dense").to_numpy().astype(np.int64)
        weights = entries["weights"].to_numpy() if "weights" in entries.columns else None
        return cls._summed(names, entries["cell"].to_numpy(), entries["counts"].to_numpy(), weights)

    @classmethod
    def single(cls, counts: Ints) -> Self:
        """Every row a unit of its own."""
        cell = np.repeat(np.arange(counts.size), counts.ravel())
        return cls(np.arange(len(cell)), cell, np.ones(len(cell), np.int64))

    @classmethod
    def _summed(cls, unit: Ints, cell: Ints, counts: Ints, weights: Floats | None) -> Self:
        """Entries summed by unit and cell, units renumbered."""
        cells = int(cell.max(initial=0)) + 1
        order, starts = _runs(unit * cells + cell)
        first = order[starts]
        numbers = np.cumsum(np.diff(unit[first], prepend=unit[first[:1]]) > 0, dtype=np.int64)
        weighed = None if weights is None else np.add.reduceat(weights[order], starts)
        return cls._numbered(numbers, cell[first], np.add.reduceat(counts[order], starts), weighed)

    @classmethod
    def _numbered(cls, unit: Ints, cell: Ints, counts: Ints, weights: Floats | None) -> Self:
        """Number the units by what they hold; entries come sorted by unit and cell, each pair once."""
        sizes = np.bincount(unit)
        starts = np.cumsum(sizes) - sizes
        kept: list[NDArray[Any]] = [cell, counts] if weights is None else [cell, counts, weights]
        order: list[Ints] = []
        for size in np.unique(sizes):
            entries = starts[sizes == size][:, None] + np.arange(size)
            keys = [column[entries[:, i]] for i in range(size) for column in kept]
            order.append(entries[np.lexsort(keys[::-1])].ravel())
        chosen = np.concatenate(order) if order else np.zeros(0, np.int64)
        numbers = np.repeat(np.arange(len(sizes)), np.sort(sizes))
        return cls(numbers, cell[chosen], counts[chosen], None if weights is None else weights[chosen])

    @property
    def size(self) -> int:
        """Number of units."""
        return int(self.unit[-1]) + 1 if len(self.unit) else 0

    @property
    def are_rows(self) -> bool:
        """Whether every unit is one row."""
        return int(self.counts.sum()) == self.size

    def moved(self, places: Ints) -> Units:
        """The same units over other cells.

        Args:
            places: new flat index of each old cell, shape [old cells]; cells may fall together.
        """
        return Units._summed(self.unit, places[self.cell], self.counts, self.weights)

    def plus(self, other: Units) -> Units:
        """The units of both; no unit may be in both."""
        weights = None
        if self.weights is not None and other.weights is not None:
            weights = np.concatenate([self.weights, other.weights])
        return Units._summed(
            np.concatenate([self.unit, other.unit + self.size]),
            np.concatenate([self.cell, other.cell]),
            np.concatenate([self.counts, other.counts]),
            weights,
        )

    def weighed(self) -> Units:
        """The same units with weights, 1 for a row that had none."""
        if self.weights is not None:
            return self
        return Units(self.unit, self.cell, self.counts, self.counts.astype(np.float64))

    def to_value(self) -> dict[str, Any]:
        """As in the cube's JSON: a list for each attribute."""
        return {
            "unit": self.unit.tolist(),
            "cell": self.cell.tolist(),
            "counts": self.counts.tolist(),
            "weights": None if self.weights is None else self.weights.tolist(),
        }

    @classmethod
    def from_value(cls, value: Mapping[str, Any], counts: Ints) -> Self:
        """Read what `to_value` wrote.

        Raises:
            ValueError: for units whose rows are not those of the cube's counts.
        """
        unit, cell, rows = (np.array(value[name], np.int64) for name in ("unit", "cell", "counts"))
        weights = None if value["weights"] is None else np.array(value["weights"], np.float64)
        lengths = {len(column) for column in (unit, cell, rows, unit if weights is None else weights)}
        fits = len(lengths) == 1 and bool(((cell >= 0) & (cell < counts.size) & (rows > 0)).all())
        if not fits or (np.bincount(cell, rows, counts.size) != counts.ravel()).any():
            raise ValueError("units whose rows sum to the cube's counts are expected, found others")
        return cls(unit, cell, rows, weights)


def entries_of(unit: pl.Series, cell: Ints, weight: Floats | None) -> pl.DataFrame:
    """Rows of one part summed by unit and cell, under the units' names.

    Args:
        unit: name of each row's unit, shape [rows], of any type that sorts.
        cell: flat index of each row's cell, shape [rows].
        weight: of each row, shape [rows].

    Raises:
        ValueError: where a row has no unit.
    """
    lacking = unit.is_null() | unit.is_nan() if unit.dtype.is_float() else unit.is_null()
    if lacking.any():
        raise ValueError(
            f"unit: {lacking.sum()} of {len(unit)} rows have none: give each row that stands alone "
            "an identifier of its own"
        )
    columns: dict[str, Any] = {"unit": unit, "cell": cell, "counts": np.ones(len(cell), np.int64)}
    return summed_entries(pl.DataFrame(columns if weight is None else {**columns, "weights": weight}))


def summed_entries(entries: pl.DataFrame) -> pl.DataFrame:
    """Entries summed by unit and cell, in the order of the units' names, then cells.

    Args:
        entries: ``unit``, ``cell`` and ``counts``, with ``weights`` where rows have them.
    """
    cell = entries["cell"].to_numpy()
    names = entries["unit"].rank("dense").to_numpy().astype(np.int64)
    order, starts = _runs(names * (int(cell.max(initial=0)) + 1) + cell)
    sums = {
        name: np.add.reduceat(entries[name].to_numpy()[order], starts)
        for name in ("counts", "weights")
        if name in entries.columns
    }
    first = order[starts]
    return pl.DataFrame({"unit": entries["unit"].gather(first), "cell": cell[first], **sums})


def _runs(keys: Ints) -> tuple[Ints, Ints]:
    """Order of the rows by key (in their own order where it is the same), and where each key starts in it."""
    order = np.argsort(keys, kind="stable")
    return order, np.flatnonzero(np.diff(keys[order], prepend=-1))


def units_or_rows(units: Units | None, counts: Ints, weights: Floats | None) -> Units:
    """The units of a cube; the rows of one without units are units of one row.

    Raises:
        ValueError: for rows with weights, whose own weights are no longer known.
    """
    if units is None and weights is not None and (weights != counts).any():
        raise ValueError("one cube has weights by unit and the other has none: count both with `unit`")
    table = Units.single(counts) if units is None else units
    return table if weights is None else table.weighed()
