"""Rates of groups as a frame: what `Cube.rates` shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.fairness.metrics import RATES, tally

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Groups = tuple[Sequence[str], Sequence[tuple[str, ...]]]
"""Attributes, and each group's levels of them."""
Classes = tuple[Sequence[str], str | None]
"""Labels, and the positive one."""


def rates_of(groups: Groups, counts: Ints, classes: Classes) -> pl.DataFrame:
    """A String column per attribute, ``n``, then every rate; counts have shape [groups, true, predicted]."""
    return _frame(groups, {"n": counts.sum(axis=(1, 2))}, tally(counts, *classes))


def weighted_rates_of(groups: Groups, counts: Ints, weights: Floats, classes: Classes) -> pl.DataFrame:
    """The same over sums of weight (shape of the counts), with a column ``weight`` after ``n``."""
    rows = tally(counts, *classes)
    # What has no rows weighs nothing, though a difference of sums may leave 1e-17 there.
    cells = {
        cell: np.where(rows[cell] > 0, np.maximum(weighed, 0), 0)
        for cell, weighed in tally(np.asarray(weights), *classes).items()
    }
    counted = {"n": counts.sum(axis=(1, 2)), "weight": weights.sum(axis=(1, 2))}
    return _frame(groups, counted, cells)


def _frame(groups: Groups, counted: Mapping[str, Any], cells: Mapping[Any, Any]) -> pl.DataFrame:
    by, levels = groups
    columns: dict[str, Any] = {name: [level[i] for level in levels] for i, name in enumerate(by)}
    columns |= counted
    for name, rate in RATES.items():
        columns[name] = rate.values(cells)
    return pl.DataFrame(columns, schema_overrides=dict.fromkeys(RATES, pl.Float64))
