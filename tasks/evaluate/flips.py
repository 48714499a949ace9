"""How often an answer changes with the term alone: pairs of texts that are made from one frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from tasks.evaluate.changes import ALPHA, UNDEFINED
from tasks.evaluate.compared import Change
from tasks.evaluate.joint import Joint
from tasks.plan.data import Text
from tasks.plan.judgement import Judgement

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def framed(judgement: Judgement) -> bool:
    """Whether the rows of a unit are texts of one frame, which differ in the term alone."""
    return isinstance(judgement.data, Text) and judgement.unit in judgement.data.frames


def flip_change(joint: Joint) -> Change:
    """The flip rate without and with a step, paired by frame.

    Of a frame it is the share of pairs of its rows, both of one true class, whose predicted classes differ
    (counterfactual token fairness, Garg et al. 2019, counted in pairs); over frames the mean. The interval is
    Student's t of the frames' differences: frames are what was sampled, rows of one are not independent.

    Args:
        joint: of rows with units, every unit a frame.

    Returns:
        Undefined where no frame has two rows of one class; without interval where one frame alone has, or all
        moved by the same.
    """
    assert joint.unit is not None  # noqa: S101 - `framed` asks for a unit
    assert joint.cell is not None  # noqa: S101 - they stand and fall together
    assert joint.rows is not None  # noqa: S101
    _, true, before, after = np.unravel_index(joint.cell, joint.counts.shape)
    stratum = joint.unit * len(joint.labels) + true
    sides = [_pairs(stratum * len(joint.labels) + told, joint) for told in (before, after)]
    pairs = sides[0][1]
    with_pairs = pairs > 0
    if not with_pairs.any():
        return UNDEFINED
    first, second = (differing[with_pairs] / pairs[with_pairs] for differing, _ in sides)
    moved = second - first
    change, low, high = float(moved.mean()), None, None
    if len(moved) > 1 and moved.std():  # frames that all moved alike tell nothing of how others would
        error = float(moved.std(ddof=1)) / len(moved) ** 0.5
        wide = float(student.isf(ALPHA / 2, len(moved) - 1)) * error
        low, high = max(-1.0, change - wide), min(1.0, change + wide)
    return Change(before=float(first.mean()), after=float(second.mean()), change=change, low=low, high=high)


def _pairs(cell: Ints, joint: Joint) -> tuple[Floats, Floats]:
    """Of each unit: pairs of rows of one true class that are told apart, and all such pairs."""
    assert joint.unit is not None  # noqa: S101 - see above
    classes, units = len(joint.labels), int(joint.unit.max()) + 1
    told = np.bincount(cell, joint.rows, minlength=units * classes**2).reshape(units, classes, classes)
    rows = told.sum(axis=2)
    pairs = (rows * (rows - 1) / 2).sum(axis=1)
    alike = (told * (told - 1) / 2).sum(axis=(1, 2))
    return pairs - alike, pairs
