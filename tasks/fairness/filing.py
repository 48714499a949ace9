"""The cube's one form in bytes: canonical JSON, and the rules of what is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks.evidence.digest import canonical_json
from tasks.fairness.scores import ScoreBins
from tasks.fairness.units import Units

if TYPE_CHECKING:
    from tasks.fairness.cube import Cube

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SCHEMA = 2
ROUNDING = 1e-9
"""Relative error that sums of weights may carry."""


def write(cube: Cube) -> bytes:
    """Canonical JSON and a line's end; `margins` are there for a raked cube alone."""
    bins, units = cube.score_bins, cube.units
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "axes": [{"name": name, "levels": list(levels)} for name, levels in cube.axes.items()],
        "labels": list(cube.labels),
        "positive": cube.positive,
        "counts": cube.counts.tolist(),
        "score_bins": None if bins is None else bins.to_value(cube.axes, cube.labels),
        "weights": None if cube.weights is None else cube.weights.tolist(),
        "squares": None if cube.squares is None else cube.squares.tolist(),
        "units": None if units is None else units.to_value(),
    }
    if cube.margins:
        content["margins"] = [margin.to_value() for margin in cube.margins]
    return canonical_json(content) + b"\n"


def read(value: dict[str, Any]) -> dict[str, Any]:
    """The cube's attributes but its margins, from what `write` wrote.

    Raises:
        ValueError: for another schema, or tables that do not fit the axes or one another.
    """
    if value.get("schema") != SCHEMA:
        raise ValueError(f"cube of schema {SCHEMA} is expected, found {value.get('schema')!r}")
    axes = {axis["name"]: tuple(axis["levels"]) for axis in value["axes"]}
    labels = tuple(value["labels"])
    shape = (*(len(levels) for levels in axes.values()), len(labels), len(labels))
    counts = read_counts(value["counts"], shape)
    bins, units = value["score_bins"], value["units"]
    weights, squares = read_weights(value["weights"], value["squares"], counts)
    return {
        "axes": axes,
        "labels": labels,
        "positive": value["positive"],
        "counts": counts,
        "score_bins": None if bins is None else ScoreBins.from_value(bins, axes, labels),
        "weights": weights,
        "squares": squares,
        "units": None if units is None else Units.from_value(units, counts),
    }


def read_counts(value: Any, shape: tuple[int, ...]) -> Ints:
    """Counts of a shape.

    Raises:
        ValueError: for another shape, fractions or negative counts.
    """
    counts = np.array(value)
    if counts.shape != shape or (counts.size and counts.dtype.kind != "i") or (counts < 0).any():
        raise ValueError(f"non-negative counts of shape {shape} are expected, found {counts.shape}")
    return counts.astype(np.int64)


def read_weights(weights: Any, squares: Any, counts: Ints) -> tuple[Floats | None, Floats | None]:
    """Sums of weight and of squared weight of the cells that the counts count.

    Raises:
        ValueError: where one is without the other, or they can't be those of so many rows.
    """
    if weights is None and squares is None:
        return None, None
    if weights is None or squares is None:
        raise ValueError("sums of weight and of squared weight are expected together, found one")
    sums, seconds = np.array(weights, np.float64), np.array(squares, np.float64)
    if sums.shape != counts.shape or seconds.shape != counts.shape:
        raise ValueError(f"weights and squares of shape {counts.shape} are expected, found {sums.shape}")
    filled = counts > 0
    # n rows with weight sum S and square sum Q: S^2/n <= Q <= S^2.
    possible = (sums**2 <= counts * seconds * (1 + ROUNDING)) & (seconds <= sums**2 * (1 + ROUNDING))
    positive = (sums > 0) == filled
    if not (np.isfinite(sums).all() and positive.all() and possible.all()):
        raise ValueError("weights above 0 in the cells that have rows are expected, found others")
    return sums, seconds
