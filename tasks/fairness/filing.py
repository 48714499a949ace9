"""The parts of the cube's JSON that have rules of their own: tables of counts and of weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

ROUNDING = 1e-9
"""Relative error that sums of weights may carry."""


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
