"""Counts over the full crossing of the attributes: the form in which sample and population meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

Array = NDArray[np.float64]
JOINER = " x "


@dataclass(frozen=True, slots=True)
class Table:
    """Counts by cell.

    Attributes:
        levels: attribute -> its levels; their order is the order of the axes of ``counts``.
        counts: one axis per attribute; rows of a sample, or persons of a population.
    """

    levels: Mapping[str, tuple[str, ...]]
    counts: Array

    @property
    def attributes(self) -> tuple[str, ...]:
        """The axes, in order."""
        return tuple(self.levels)

    @property
    def total(self) -> float:
        """Sum over all cells."""
        return float(self.counts.sum())

    def margin(self, attributes: Sequence[str]) -> Array:
        """Counts summed over every other attribute, with axes in the order of ``attributes``."""
        kept = [name for name in self.levels if name in attributes]
        others = tuple(axis for axis, name in enumerate(self.levels) if name not in attributes)
        summed: Array = self.counts.sum(axis=others)
        return summed.transpose([kept.index(name) for name in attributes])

    def names(self, attributes: Sequence[str]) -> list[str]:
        """Name of each cell of ``margin(attributes)``, flattened: "Female x White"."""
        grids = np.meshgrid(*(np.array(self.levels[name], object) for name in attributes), indexing="ij")
        return [JOINER.join(cell) for cell in zip(*(grid.ravel() for grid in grids), strict=True)]

    def widened(self, levels: Mapping[str, Sequence[str]]) -> Table:
        """The same counts with ``levels`` added, empty, behind the levels that are there."""
        added = {name: sorted(set(levels[name]) - set(own)) for name, own in self.levels.items()}
        widths = [(0, len(more)) for more in added.values()]
        wide = {name: (*own, *added[name]) for name, own in self.levels.items()}
        return Table(levels=wide, counts=np.pad(self.counts, widths))


def tabulate(frame: pl.DataFrame, levels: Mapping[str, Sequence[str]], weight: str | None = None) -> Table:
    """Count the rows of ``frame``, or add up its column ``weight``, by cell of ``levels``.

    Raises:
        polars.exceptions.InvalidOperationError: a row has a level that ``levels`` does not list.
    """
    shape = tuple(len(own) for own in levels.values())
    amount = pl.len() if weight is None else pl.col(weight).sum()
    cells = frame.group_by(list(levels)).agg(amount.cast(pl.Float64).alias("\0amount"))
    places = tuple(
        cells[name].replace_strict(list(own), list(range(len(own))), return_dtype=pl.Int64).to_numpy()
        for name, own in levels.items()
    )
    counts = np.zeros(shape)
    counts[places] = cells["\0amount"].to_numpy()
    return Table(levels={name: tuple(own) for name, own in levels.items()}, counts=counts)


def effective_rows(described: pl.DataFrame) -> float:
    """Rows that the sample is worth when rows of one unit say the same: (sum m)^2 / sum m^2.

    m is the number of rows of a unit. This is the design effect of clusters that agree wholly
    (Kish 1965, section 5.4), the worst case, and true of a person's own attributes. Without a column
    ``unit``, or with one row a unit, it is the number of rows.
    """
    if "unit" not in described.columns:
        return float(described.height)
    sizes: Array = described.group_by("unit").len()["len"].cast(pl.Float64).to_numpy()
    return float(sizes.sum() ** 2 / (sizes**2).sum())
