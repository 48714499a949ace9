"""Rows in batches: each is counted and let go; what is held grows with the units, never with the rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Required, TypedDict

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.fairness.columns import UNKNOWN
from tasks.fairness.counting import places
from tasks.fairness.intake import Counted, count_rows
from tasks.fairness.units import Units, summed_entries

Axes = Sequence[tuple[str, ...]]
HELD = 1 << 18
"""Entries that wait to be summed, at least: each sum costs a sort of all."""


class Roles(TypedDict, total=False):
    """Which column of a frame is what; `score_edges` are as in `Cube.from_arrays`."""

    y_true: Required[str]
    y_pred: Required[str]
    groups: Required[Sequence[str]]
    score: str | None
    score_edges: Sequence[float] | None
    weight: str | None
    unit: str | None


def count_batches(
    frames: Iterable[pl.DataFrame],
    *,
    y_true: str,
    y_pred: str,
    groups: Sequence[str],
    score: str | None = None,
    score_edges: Sequence[float] | None = None,
    weight: str | None = None,
    unit: str | None = None,
) -> Iterator[Counted]:
    """Count each frame; arguments are names of columns, `score_edges` as in `Cube.from_arrays`.

    Raises:
        ValueError: as `count_rows`, and for a level called like missing values that another frame has.
    """
    marks: dict[str, set[str]] = defaultdict(set)
    for frame in frames:
        if not len(frame):
            continue
        counted = count_rows(
            frame[y_true],
            frame[y_pred],
            {name: frame[name] for name in groups},
            score=None if score is None else frame[score],
            score_edges=score_edges,
            weight=None if weight is None else frame[weight],
            unit=None if unit is None else frame[unit],
        )
        for axis, name in enumerate(groups):
            marks[name] |= _unknown(counted, axis, frame[name])
            if len(marks[name]) > 1:
                raise ValueError(
                    f"{name}: a level is called {UNKNOWN!r}, as missing values in other rows would be: "
                    "rename the level, or fill in the missing values"
                )
        yield counted


def _unknown(counted: Counted, axis: int, values: pl.Series) -> set[str]:
    """What the level of unknown values holds: missing ones or rows called so; `count_rows` refuses both."""
    levels = list(counted.axes.values())[axis]
    if UNKNOWN not in levels or not counted.counts.take(levels.index(UNKNOWN), axis=axis).any():
        return set()
    empty = values.dtype in (pl.String, pl.Categorical, pl.Enum) and (values.cast(pl.String) == "").any()
    return {"missing" if values.null_count() or empty else "called"}


class UnitRows:
    """Rows by sampling unit and cell, of batches in any of which a unit may have rows."""

    def __init__(self) -> None:
        """Start without rows."""
        self._axes: list[tuple[str, ...]] = []
        self._summed = 0
        self._parts: list[pl.DataFrame] = []

    def add(self, axes: Axes, entries: pl.DataFrame) -> None:
        """Add the entries (`units.entries_of`) of a batch, over the names along each of its axes."""
        wider = [
            tuple(dict.fromkeys((*old, *new))) for old, new in zip(self._axes or axes, axes, strict=True)
        ]
        self._move(wider)
        self._parts.append(_moved(entries, axes, wider))
        if sum(map(len, self._parts)) > 2 * max(HELD, self._summed):
            self._sum()

    def units(self, axes: Axes) -> Units | None:
        """All units over the names along each axis of the whole; None where no batch had any."""
        if not self._parts:
            return None
        self._move([tuple(names) for names in axes])
        self._sum()
        return Units.of(self._parts[0])

    def _move(self, axes: list[tuple[str, ...]]) -> None:
        self._parts = [_moved(part, self._axes, axes) for part in self._parts]
        self._axes = axes

    def _sum(self) -> None:
        parts, self._parts = pl.concat(self._parts), []
        self._parts = [summed_entries(parts)]
        self._summed = len(self._parts[0])


def _moved(entries: pl.DataFrame, old: Axes, new: Axes) -> pl.DataFrame:
    if list(old) == list(new):
        return entries
    cells: NDArray[np.int64] = places(old, new)[entries["cell"].to_numpy()]
    return entries.with_columns(cell=cells)
