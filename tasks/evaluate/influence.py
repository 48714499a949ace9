"""Rates of both models with their influence functions: how every cell of the joint table moves each rate.

A rate is a ratio of sums of cells, r = sum(E n) / sum(O n), so one row in cell c moves it by
(E_c - r O_c) / sum(O n) (the delta method; Agresti 2013, Categorical Data Analysis, 16.1). Variances and
covariances of any smooth functions of rates of either model are then sums over cells, or over sampling
units where the plan names them: sum over units of the product of what their rows move (Cochran 1977, 9.2).

Every stratum of group x true class is first given two more rows, spread evenly over its cells, as Agresti
and Min (2005, Statistics in Medicine 24:729) do for matched pairs: no rate of a small group is then without
variance, and the coverage of the normal interval is near its level down to some twenty rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tasks.evaluate.joint import Joint
from tasks.fairness.links import IDENTITY, Link
from tasks.fairness.metrics import Rate, tally
from tasks.fairness.scales import Scale, pairs_of

Floats = NDArray[np.float64]
Side = Literal["before", "after"]
SIDES: tuple[Side, Side] = ("before", "after")

ADDED = 2.0
"""Rows added to each stratum of group x true class."""
STEP = 1e-6
"""Of numerical derivatives: of links, and of what is compared."""


@dataclass(frozen=True)
class Term:
    """A rate with its weight in a sum.

    Attributes:
        weight: may be negative.
        rate: of each group.
        label: the class held against the rest; None for right and wrong rows.
    """

    weight: float
    rate: Rate
    label: str | None


@dataclass(frozen=True)
class Amount:
    """What a metric compares between groups: a function of a sum of rates.

    Attributes:
        terms: the sum.
        link: the function.
        prior: events and other rows added to each share, as the metric's scale wants.
    """

    terms: tuple[Term, ...]
    link: Link = IDENTITY
    prior: float = 0.0


@dataclass(frozen=True, eq=False)
class Numbers:
    """Numbers with the influence of each cell.

    Attributes:
        value: shape [numbers]; nan where undefined.
        influence: what one row in a cell moves, shape [numbers, cells].
    """

    value: Floats
    influence: Floats


def kinds(rate: Rate, label: str | None, labels: Sequence[str], side: Side) -> tuple[Floats, Floats]:
    """What a row of each kind adds to a rate's numerator and denominator.

    Returns:
        Two arrays of shape [true, before, after]; constant along the other model's axis.
    """
    classes = len(labels)
    each = np.eye(classes * classes, dtype=np.int64).reshape(-1, classes, classes)
    cells = tally(each, labels, label)
    found = (
        np.asarray(part, float).reshape(classes, classes)
        for part in (rate.numerator(cells), rate.denominator(cells))
    )
    shape = (classes, classes, classes)
    events, inside = (
        np.broadcast_to(part[:, :, None] if side == "before" else part[:, None, :], shape) for part in found
    )
    return events, inside


def smoothed(joint: Joint) -> Floats:
    """The counts with the rows that are added."""
    return np.asarray(joint.counts + ADDED / len(joint.labels) ** 2)


def by_group(joint: Joint, counts: Floats, amount: Amount, side: Side) -> Numbers:
    """An amount of every group, by one of the two models.

    Args:
        joint: the groups.
        counts: its counts, as they are or smoothed.
        amount: what is wanted.
        side: of which model.
    """
    groups, size = len(joint.names), counts[0].size
    total, influence = np.zeros(groups), np.zeros((groups, groups, size))
    own = np.arange(groups)
    for term in amount.terms:
        events, inside = kinds(term.rate, term.label, joint.labels, side)
        top = (counts * events).sum(axis=(1, 2, 3)) + amount.prior
        bottom = (counts * inside).sum(axis=(1, 2, 3)) + 2 * amount.prior
        known = np.where(bottom > 0, bottom, np.nan)
        share = top / known
        slope = (events.ravel() - share[:, None] * inside.ravel()) / known[:, None]
        total += term.weight * share
        influence[own, own] += term.weight * slope
    value = np.where(np.isinf(linked := amount.link.of(total)), np.nan, linked)
    slopes = (amount.link.of(total + STEP) - amount.link.of(total - STEP)) / (2 * STEP)
    with np.errstate(invalid="ignore"):  # 0 times infinity, of a value that is undefined
        return Numbers(value, (influence * slopes[:, None, None]).reshape(groups, -1))


def compared(numbers: Numbers, scale: Scale) -> Numbers:
    """What a scale compares, each signed so that more is worse: the metric is the largest of them.

    Args:
        numbers: of each group.
        scale: pairs of groups, or each group by itself.
    """
    value = worse(numbers.value, scale)
    influence = np.zeros((len(value), numbers.influence.shape[1]))
    for i in range(len(numbers.value)):
        step = np.zeros(len(numbers.value))
        step[i] = STEP
        slope = (worse(numbers.value + step, scale) - worse(numbers.value - step, scale)) / (2 * STEP)
        moved = np.isfinite(slope) & (slope != 0)
        influence[moved] += slope[moved, None] * numbers.influence[i]
    return Numbers(value, influence)


def worse(values: Floats, scale: Scale) -> Floats:
    """What a scale compares of these values, signed so that more is worse; nan where undefined."""
    pairs = np.array(pairs_of(scale, range(len(values))), int).reshape(-1, 2)
    found = scale.sign * scale.value(values)[pairs[:, 0], pairs[:, 1]]
    return np.where(np.isfinite(found), found, np.nan)


def together(parts: Sequence[Numbers]) -> Numbers:
    """Numbers one after the other, without those that are undefined."""
    value = np.concatenate([part.value for part in parts])
    influence = np.concatenate([part.influence for part in parts])
    known = np.isfinite(value)
    return Numbers(value[known], influence[known])


def spread(joint: Joint, one: Numbers, other: Numbers) -> Floats:
    """Variance of every one[p] - other[q], shape [p, q].

    Rows that were added are units of their own.
    """
    if joint.unit is None or joint.cell is None or joint.rows is None:
        weight = smoothed(joint).ravel()
        return _spread(one.influence, other.influence, weight)
    added = np.full(joint.counts.size, ADDED / len(joint.labels) ** 2)
    starts = np.flatnonzero(np.diff(joint.unit, prepend=-1))
    units = len(starts)
    mine, theirs = (
        np.add.reduceat(each.influence[:, joint.cell] * joint.rows, starts, axis=1) for each in (one, other)
    )
    clustered = _spread(mine, theirs, np.ones(units)) * (units / max(1, units - 1))
    return clustered + _spread(one.influence, other.influence, added)


def _spread(one: Floats, other: Floats, weight: Floats) -> Floats:
    """Weighted squares of the differences of rows, without making the differences."""
    squares = [(each * each) @ weight for each in (one, other)]
    found = squares[0][:, None] + squares[1][None, :] - 2 * (one * weight) @ other.T
    return np.maximum(found, 0.0)


def freedom(joint: Joint) -> float:
    """Degrees of freedom: units of the group that has fewest, less one; infinite where rows are the units."""
    if joint.unit is None or joint.cell is None:
        return float("inf")
    group = joint.cell // joint.counts[0].size
    held = np.unique(np.stack([group, joint.unit]), axis=1)[0]
    fewest = np.bincount(held, minlength=len(joint.names)).min()
    return float(fewest - 1)
