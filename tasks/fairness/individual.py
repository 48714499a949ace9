"""Individual fairness: is like treated alike, and how unequally are errors spread.

These compare persons, not groups, so they stand beside the metric table. Generalized entropy follows
from the cube; consistency and flips need the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import log
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from tasks.evidence.records import Record
from tasks.fairness.bounds import lower_limit, upper_limit
from tasks.fairness.cube import Cube
from tasks.fairness.metrics import tally

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Order = Literal[0, 1, 2]


def consistency(features: ArrayLike, predictions: ArrayLike, neighbours: int = 5) -> float:
    """1 - mean |y_i - mean prediction of the k nearest other rows| (Zemel et al. 2013, section 5).

    The distance is Euclidean on the features as given, so scale them first. A row is not its own
    neighbour. Equal rows are one place: where a place holds more rows than are still wanted, its mean
    prediction stands for those taken, so that the result does not depend on the order of rows.

    Args:
        features: shape [rows, features], finite.
        predictions: shape [rows], in [0, 1]: classes 0 and 1, or scores.
        neighbours: k, at least 1 and below the number of rows.

    Returns:
        In [0, 1]; 1 where every row is predicted as its neighbours are.

    Raises:
        ValueError: for shapes that differ, values missing or out of range, or too few rows.
    """
    x, y = np.asarray(features, float), np.asarray(predictions, float)
    if x.ndim != 2 or y.shape != (len(x),):
        raise ValueError(
            f"features [rows, n] and predictions [rows] are expected, found {x.shape}, {y.shape}"
        )
    if not (np.isfinite(x).all() and ((y >= 0) & (y <= 1)).all()):
        raise ValueError(
            "finite features and predictions in [0, 1] are expected, some are missing or outside"
        )
    if not 1 <= neighbours < len(x):
        raise ValueError(f"1 to {len(x) - 1} neighbours are expected, found {neighbours}")
    places, place, rows = np.unique(x, axis=0, return_inverse=True, return_counts=True)
    place = place.reshape(-1)
    sums: Floats = np.bincount(place, weights=y).astype(np.float64)
    # k + 1 places hold k other rows at least: each holds one, and one is the row's own.
    found = cKDTree(places).query(places, k=min(neighbours + 1, len(places)))[1].reshape(len(places), -1)
    others, others_sum = _others(found, rows, sums, place, y)
    before = np.cumsum(others, axis=1) - others
    taken = np.clip(neighbours - before, 0, others)
    means = np.divide(others_sum, others, out=np.zeros_like(others_sum), where=others > 0)
    return float(1 - np.abs(y - (taken * means).sum(axis=1) / neighbours).mean())


def _others(found: Ints, rows: Ints, sums: Floats, place: Ints, y: Floats) -> tuple[Floats, Floats]:
    """Rows at each place near a row, nearest first, and the sum of their predictions, without the row.

    Shapes [rows, places near].
    """
    near = found[place]
    own = near == place[:, None]
    return rows[near] - own.astype(float), sums[near] - own * y[:, None]


def generalized_entropy(cube: Cube, alpha: Order = 2, by: Sequence[str] = ()) -> float | None:
    """Inequality of the benefits b = prediction - truth + 1 over persons (Speicher et al. 2018).

    GE_a = sum((b/m)^a - 1) / (n a (a - 1)), with m the mean benefit; its limits are the Theil index
    mean((b/m) ln(b/m)) at 1 and the mean log deviation -mean(ln(b/m)) at 0. A benefit is 2 for a false
    positive, 1 when right, 0 for a false negative, so the confusion counts are enough.

    Args:
        cube: one class against the rest: its positive class.
        alpha: 0, 1 (Theil) or 2 (half the squared coefficient of variation).
        by: with attributes, the part of the inequality that lies between their groups: everybody
            gets the mean benefit of the group.

    Returns:
        At least 0, and 0 when all benefit alike; None without rows, where nobody benefits, and at 0
        where some benefit is 0 (the logarithm has no value there).

    Raises:
        ValueError: for a cube without a positive class, or an attribute that it lacks.
    """
    if cube.positive is None:
        raise ValueError(f"a positive class is needed, the cube has the classes {list(cube.labels)}")
    cells = tally(cube.cells(by)[1], cube.labels, cube.positive)
    right = cells["tp"] + cells["tn"]
    n = right + cells["fp"] + cells["fn"]
    if by:
        benefits, people = (right + 2.0 * cells["fp"])[n > 0] / n[n > 0], n[n > 0]
    else:
        benefits, people = np.array([0.0, 1.0, 2.0]), np.array([cells["fn"][0], right[0], cells["fp"][0]])
        benefits, people = benefits[people > 0], people[people > 0]
    return _entropy(benefits, people / max(1, people.sum()), alpha)


def _entropy(benefits: Floats, shares: Floats, alpha: Order) -> float | None:
    mean = float(benefits @ shares)
    if mean == 0 or (alpha == 0 and (benefits == 0).any()):
        return None
    terms = [_term(float(benefit) / mean, alpha) for benefit in benefits]
    return max(0.0, float(np.dot(shares, terms)))


def _term(ratio: float, alpha: Order) -> float:
    if alpha == 0:
        return -log(ratio)
    if alpha == 1:
        return ratio * log(ratio) if ratio else 0.0
    return (ratio**2 - 1) / 2


class FlipRate(Record):
    """How often a prediction changes when only the protected attribute does.

    Attributes:
        attribute: the column that was changed.
        n: rows predicted twice.
        left_out: rows whose value has no counterpart.
        flips: rows whose prediction changed.
        rate: flips / n in [0, 1], None without rows.
        low: lower limit of the Clopper-Pearson interval, None without rows.
        high: upper limit likewise.
        level: of the interval, two-sided.
        changes: (value, counterpart, prediction before, prediction after) -> rows, where it changed.
    """

    attribute: str
    n: int
    left_out: int
    flips: int
    rate: float | None
    low: float | None
    high: float | None
    level: float
    changes: tuple[tuple[str, str, str, str, int], ...]


def flip_rate(
    predict: Callable[[pl.DataFrame], Any],
    frame: pl.DataFrame,
    attribute: str,
    counterparts: Mapping[Any, Any],
    level: float = 0.95,
) -> FlipRate:
    """Counterfactual flip rate: predict twice, the second time with only the attribute changed.

    It shows what the model does with the attribute itself; columns that stand for it (proxies) keep
    their values, so a rate of 0 is no proof of fairness (Kusner et al. 2017; Garg et al. 2019).

    Args:
        predict: classes for a frame, one a row, the same for the same rows.
        frame: the rows.
        attribute: the column to change.
        counterparts: value -> the value put in its place, such as ``{"Female": "Male", "Male": "Female"}``;
            for identity terms in a text, have ``predict`` read a column of terms.
        level: of the interval, in (0, 1).

    Raises:
        ValueError: for a column that the frame lacks, a value that stands for itself, or predictions
            that are not one a row.
    """
    if attribute not in frame.columns:
        raise ValueError(f"no column {attribute!r} in the frame, there are: {', '.join(frame.columns)}")
    if same := [value for value, other in counterparts.items() if value == other]:
        raise ValueError(
            f"a counterpart is another value, {len(same)} of `counterparts` stand for themselves"
        )
    rows = frame.filter(pl.col(attribute).is_in(list(counterparts)))
    dtype = frame.schema[attribute]
    swapped = rows.with_columns(
        pl.col(attribute).replace_strict(list(counterparts), list(counterparts.values()), return_dtype=dtype)
    )
    before, after = _predictions(predict, rows), _predictions(predict, swapped)
    changed = before != after
    n, flips = rows.height, int(changed.sum())
    events, of, tail = np.array([flips]), np.array([n]), (1 - level) / 2
    return FlipRate(
        attribute=attribute,
        n=n,
        left_out=frame.height - n,
        flips=flips,
        rate=flips / n if n else None,
        low=float(lower_limit(events, of, tail)[0]) if n else None,
        high=float(upper_limit(events, of, tail)[0]) if n else None,
        level=level,
        changes=_changes(rows[attribute], swapped[attribute], before, after),
    )


def _predictions(predict: Callable[[pl.DataFrame], Any], rows: pl.DataFrame) -> pl.Series:
    if not rows.height:
        return pl.Series([], dtype=pl.String)
    found = np.asarray(predict(rows))
    if found.shape != (rows.height,):
        raise ValueError(f"one prediction a row is expected ({rows.height}), found shape {found.shape}")
    return pl.Series([str(value) for value in found.tolist()], dtype=pl.String)


def _changes(
    value: pl.Series, other: pl.Series, before: pl.Series, after: pl.Series
) -> tuple[tuple[str, str, str, str, int], ...]:
    names = ("value", "other", "before", "after")
    columns = dict(zip(names, (value.cast(pl.String), other.cast(pl.String), before, after), strict=True))
    table = pl.DataFrame(columns).filter(pl.col("before") != pl.col("after"))
    return tuple(table.group_by(names).len().sort(names).iter_rows())
