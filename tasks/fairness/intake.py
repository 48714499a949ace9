"""Rows on their way into the cube: checked, encoded and counted; what the rows mean is settled after all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.fairness.columns import UNKNOWN, Codes, encode, natural_order
from tasks.fairness.counting import arrange, cell_of_each_row, count, places, weigh
from tasks.fairness.metrics import RATES
from tasks.fairness.scores import ScoreBins, binned, uniform_edges
from tasks.fairness.spelling import name_of
from tasks.fairness.units import entries_of

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

MAXIMUM_CELLS = 20_000_000
JOINT_CELLS = 1 << 16
"""Up to so many cells with the score's bins among them, one pass counts both."""
CROSSING = " x "
"""Stands between attributes in the name of a crossing."""
RESERVED = frozenset({"n", "weight", "label", "unit", *RATES})
"""Names that no attribute may have: they are columns of `Cube.rates`."""


class Counted(NamedTuple):
    """Rows counted over the levels and classes that occur among them (or were declared).

    Attributes:
        axes: attribute -> levels, in natural order.
        classes: of truth and prediction, in natural order.
        counts: shape [levels of each axis ..., true class, predicted class].
        score_bins: None without a score.
        weights: sums of weight, shape of the counts; None without weights.
        squares: sums of squared weight, likewise.
        entries: rows by unit and cell (`tasks.fairness.units.entries_of`); None without units.
    """

    axes: dict[str, tuple[str, ...]]
    classes: tuple[str, ...]
    counts: Ints
    score_bins: ScoreBins | None
    weights: Floats | None
    squares: Floats | None
    entries: pl.DataFrame | None


def count_rows(
    y_true: Any,
    y_pred: Any,
    groups: Mapping[str, Any],
    *,
    score: Any = None,
    score_edges: Sequence[float] | None = None,
    weight: Any = None,
    unit: Any = None,
) -> Counted:
    """Count rows in one pass; arguments as in `Cube.from_arrays`.

    Raises:
        ValueError: for lengths that differ, missing classes, bad scores, weights or units, taken names.
    """
    check_names(groups)
    truth, guess = encode("y_true", y_true), encode("y_pred", y_pred)
    columns = {name: encode(name, values, missing=UNKNOWN) for name, values in groups.items()}
    every = [*columns.values(), truth, guess]
    extra: dict[str, Any] = {} if score is None else {"score": binned(score, score_edges)}
    heavy = None if weight is None else _weights(weight)
    names = None if unit is None else _unit_names(unit)
    extra |= {key: value for key, value in (("weight", heavy), ("unit", names)) if value is not None}
    _check_sizes({"y_true": truth, "y_pred": guess, **columns}, extra)

    raw, bins = _counts(columns, truth, guess, extra.get("score"), score_edges)
    found = [_found(column, raw, axis) for axis, column in enumerate(every)]
    axes = {name: tuple(sorted(few, key=natural_order)) for name, few in zip(columns, found, strict=False)}
    classes = tuple(sorted({*found[-2], *found[-1]}, key=natural_order))
    old, new = [tuple(column.levels) for column in every], [*axes.values(), classes, classes]
    if bins is not None:
        own = {name: tuple(column.levels) for name, column in columns.items()}
        bins = bins.arranged((own, tuple(truth.levels)), (axes, classes))
    sums = squares = entries = None
    if heavy is not None:
        sums, squares = (arrange(table, old, new) for table in weigh(every, heavy))
    if names is not None:
        entries = entries_of(names, places(old, new)[cell_of_each_row(every)], heavy)
    return Counted(axes, classes, arrange(raw, old, new), bins, sums, squares, entries)


def _counts(
    columns: Mapping[str, Codes],
    truth: Codes,
    guess: Codes,
    bins: Codes | None,
    edges: Sequence[float] | None,
) -> tuple[Ints, ScoreBins | None]:
    """Counts over the columns' own levels, and score bins where there are scores."""
    every = [*columns.values(), truth, guess]
    if bins is None:
        return count(every), None
    inner = uniform_edges() if edges is None else tuple(float(edge) for edge in edges)
    if prod(len(column.levels) for column in [*every, bins]) > JOINT_CELLS:
        return count(every), ScoreBins.of(inner, columns, truth, bins)
    joint = count([*every, bins])
    last = len(every)
    tables = {
        name: np.einsum(joint, list(range(last + 1)), [axis, last - 2, last])
        for axis, name in enumerate(columns)
    }
    return joint.sum(axis=-1), ScoreBins(inner, tables)


def check_names(groups: Mapping[str, Any]) -> None:
    """Refuse attributes whose names are taken.

    Raises:
        ValueError: for the audit's own columns, and names that read as a crossing.
    """
    if taken := sorted(RESERVED & set(groups)):
        raise ValueError(f"an attribute can't be called {', '.join(taken)}: the audit's own columns are")
    if crossed := [name for name in groups if CROSSING in f" {name} "]:
        raise ValueError(
            f"an attribute can't be called {crossed[0]!r}: {CROSSING!r} stands between two of them"
        )


def _check_sizes(columns: Mapping[str, Codes], extra: Mapping[str, Any]) -> None:
    lengths = {name: len(column) for name, column in [*columns.items(), *extra.items()]}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"columns of one length are expected, found {lengths}")
    if empty := [name for name, column in columns.items() if not column.levels]:
        raise ValueError(f"rows are expected, found none in {', '.join(empty)}")
    if (cells := prod(max(1, len(column.levels)) for column in columns.values())) > MAXIMUM_CELLS:
        raise ValueError(f"at most {MAXIMUM_CELLS} cells are counted, the columns' levels make {cells}")


def _weights(weight: Any) -> Floats:
    values = np.asarray(weight)
    if values.ndim != 1 or values.dtype.kind not in "fiu":
        raise ValueError(
            f"weight: one number a row is expected, found {values.dtype} of shape {values.shape}"
        )
    wrong = int((~((values > 0) & np.isfinite(values))).sum())
    if wrong:
        raise ValueError(
            f"weight: finite numbers above 0 are expected, {wrong} of {len(values)} are missing, zero, "
            "negative or infinite: leave out the rows that should not count"
        )
    return values.astype(np.float64, copy=False)


def _unit_names(unit: Any) -> pl.Series:
    return unit if isinstance(unit, pl.Series) else pl.Series("unit", unit)


def _found(column: Codes, raw: Ints, axis: int) -> list[str]:
    """Levels that occur; `Codes` whose levels were declared keep them all (see `encode`)."""
    present = raw.sum(axis=tuple(i for i in range(raw.ndim) if i != axis)) > 0
    return [level for level, seen in zip(column.levels, present, strict=True) if seen or column.declared]


def settled_classes(found: Sequence[str], labels: Sequence[Any] | None) -> tuple[str, ...]:
    """The classes: those given, else those found.

    Raises:
        ValueError: for classes not given or given twice, or spellings that do not go together.
    """
    seen = set(found)
    if seen & {"False", "True"} and seen & {"0", "1"}:
        raise ValueError("truth and prediction are spelled alike, found both 0/1 and True/False")
    if labels is not None:
        classes = tuple(name_of(label) for label in labels)
        if len(set(classes)) < len(classes):
            raise ValueError(f"labels: each class once is expected, found {list(classes)}")
        if strange := sorted(seen - set(classes)):
            raise ValueError(f"classes {list(classes)} are expected, found also {strange}")
        return classes
    for pair in (("0", "1"), ("False", "True")):
        if seen <= set(pair):
            return pair
    return tuple(sorted(seen, key=natural_order))


def settled_positive(classes: tuple[str, ...], positive: Any) -> str | None:
    """The positive class: the one given, else 1 or True of two; None of more than two.

    Raises:
        ValueError: for another than the classes, or two classes that do not say which it is.
    """
    if positive is not None:
        if (name := name_of(positive)) not in classes:
            raise ValueError(f"positive {positive!r} is none of the classes {list(classes)}")
        return name
    if classes in {("0", "1"), ("False", "True")}:
        return classes[1]
    if len(classes) == 2:
        raise ValueError(f"`positive` must name one of the classes {list(classes)}")
    return None
