"""Points of ROC and calibration curves by group, from the cube's score bins: no row is read again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tasks.fairness.cube import Cube
from tasks.fairness.scores import ScoreBins

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
POINTS = 10  # of a calibration curve: neighbouring score bins are joined
SMALLEST_POINT = 10  # rows below which a calibration point is noise and is left out
SMALLEST_CLASS = 5  # rows of either class below which a ROC curve is a few steps


def roc_points(positives: Ints, negatives: Ints) -> tuple[Floats, Floats]:
    """False and true positive rates (bins + 1,) at every edge, from the highest threshold down."""
    fpr = np.concatenate([[0.0], np.cumsum(negatives[::-1]) / negatives.sum()])
    tpr = np.concatenate([[0.0], np.cumsum(positives[::-1]) / positives.sum()])
    return fpr, tpr


def calibration_points(bins: ScoreBins, positives: Ints, negatives: Ints) -> tuple[Floats, Floats]:
    """Mean score and share of positives of up to ten joined bins with enough rows.

    A point lies at the mean of its bins' middles, weighted by their rows.
    """
    edges = np.array([0.0, *bins.edges, 1.0])
    middles, rows = (edges[:-1] + edges[1:]) / 2, positives + negatives
    points = []
    for joined in np.array_split(np.arange(len(rows)), min(POINTS, len(rows))):
        n = int(rows[joined].sum())
        if n >= SMALLEST_POINT:
            points.append(((middles[joined] * rows[joined]).sum() / n, positives[joined].sum() / n))
    found = np.array(points, dtype=np.float64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def classes_by_level(cube: Cube, bins: ScoreBins, attribute: str) -> Iterator[tuple[str, Ints, Ints]]:
    """Levels with rows: name, rows of the positive class by bin, rows of the other classes by bin.

    Args:
        cube: with a positive class.
        bins: its score bins.
        attribute: one of its axes.
    """
    positive = cube.labels.index(str(cube.positive))
    for level, table in zip(cube.axes[attribute], bins.tables[attribute], strict=True):
        if table.sum():
            yield level, table[positive], table.sum(axis=0) - table[positive]
