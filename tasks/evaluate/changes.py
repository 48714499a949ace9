"""How a rate, and the gap between groups, changed from one model to another on the same rows.

A rate whose denominator both models share (selection, TPR, FPR, accuracy) changes by the rows that only one
of them counts: Tango's score limits for paired proportions. Of units with several rows, normal limits from
the units' influence (`tasks.evaluate.influence`) with Student's t.

The change of a gap is a difference of two maxima, max a[p] - max b[q] over pairs of groups p after and q
before. It has a kink wherever two pairs lie equally far apart, at a gap of 0 always, and there neither the
normal interval of the widest pair nor a bootstrap's percentiles of the maximum hold their level. But the
change is at most max over p of (a[p] - b[q]) for any one q, and at least min over q of (a[p] - b[q]) for
any one p. So the upper limit is the largest over p of the smallest over q of the pairs' own paired upper
limits, each at its level over the number of q's (Bonferroni), which is an intersection-union test over p;
the lower limit is the mirror image. Only pairs that may be the widest are looked at: one is left out where
it is shown, at a tenth of the error rate shared by all pairs, to be narrower than another. That there is no
gap at all is one more such pair, of no variance. Where the widest pairs are settled, this is the ordinary
paired interval of their difference at 95.5%.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from tasks.evaluate.compared import Change
from tasks.evaluate.influence import (
    SIDES,
    Amount,
    Numbers,
    Side,
    Term,
    by_group,
    compared,
    freedom,
    kinds,
    smoothed,
    spread,
    together,
    worse,
)
from tasks.evaluate.joint import Joint
from tasks.evaluate.paired import paired_limits
from tasks.fairness.metrics import Rate
from tasks.fairness.scales import Scale

Floats = NDArray[np.float64]

ALPHA = 0.05
"""Intervals are two-sided, at 95%."""
SCREENING = 0.1
"""Share of the error rate that is spent on leaving pairs out: half of it before, half after."""
UNDEFINED = Change(before=None, after=None, change=None, low=None, high=None)


def rate_changes(joint: Joint, rate: Rate, label: str | None) -> list[tuple[Change, tuple[int, int, int]]]:
    """A rate of every group; its denominator is to count true classes alone.

    Args:
        joint: the groups.
        rate: selection, TPR, FPR or accuracy.
        label: the class held against the rest; None for accuracy.

    Returns:
        The change of each group with (rows, those that only the second model counts, those that only the
        first does).
    """
    before, inside = kinds(rate, label, joint.labels, "before")
    after, _ = kinds(rate, label, joint.labels, "after")
    n, gained, lost, both = (
        (joint.counts * part).sum(axis=(1, 2, 3)).astype(int).tolist()
        for part in (inside, after * (1 - before), before * (1 - after), before * after)
    )
    limits = _clustered_limits(joint, rate, label) if joint.unit is not None else None
    found = []
    for i, rows in enumerate(n):
        counts = (rows, gained[i], lost[i])
        if rows == 0:
            found.append((UNDEFINED, counts))
            continue
        low, high = paired_limits(gained[i], lost[i], rows, ALPHA / 2) if limits is None else limits[i]
        change = Change(
            before=(both[i] + lost[i]) / rows,
            after=(both[i] + gained[i]) / rows,
            change=(gained[i] - lost[i]) / rows,
            low=low,
            high=high,
        )
        found.append((change, counts))
    return found


def _clustered_limits(
    joint: Joint, rate: Rate, label: str | None
) -> list[tuple[float, float] | tuple[None, None]]:
    """Limits of each group's change, its units being what was sampled."""
    found: list[tuple[float, float] | tuple[None, None]] = []
    amount = Amount((Term(1.0, rate, label),))
    for i in range(len(joint.names)):
        group = joint.only(np.array([i]))
        sides = [by_group(group, smoothed(group), amount, side) for side in SIDES]
        free = freedom(group)
        if free < 1:
            found.append((None, None))
            continue
        change = float(sides[1].value[0] - sides[0].value[0])
        wide = float(student.isf(ALPHA / 2, free)) * float(np.sqrt(spread(group, sides[1], sides[0])[0, 0]))
        found.append((max(-1.0, change - wide), min(1.0, change + wide)))
    return found


def metric_change(joint: Joint, amounts: Sequence[tuple[Amount, NDArray[np.bool_]]], scale: Scale) -> Change:
    """A metric over groups, with the interval that this module's docstring describes.

    Args:
        joint: the groups.
        amounts: what is compared, each with the groups that are judged by it, shape [groups].
        scale: how. The metric is the worst over the amounts.
    """
    before, after = (_metric(joint, amounts, scale, side) for side in SIDES)
    if before is None or after is None:
        return UNDEFINED.model_copy(update={"before": before, "after": after})
    change = after - before
    low, high = _limits(joint, amounts, scale)
    return Change(
        before=before,
        after=after,
        change=change,
        low=None if low is None else min(low, change),
        high=None if high is None else max(high, change),
    )


def _metric(
    joint: Joint, amounts: Sequence[tuple[Amount, NDArray[np.bool_]]], scale: Scale, side: Side
) -> float | None:
    """The metric as measured; None where a judged group's amount is undefined, or nothing is compared."""
    worst = []
    for amount, judged in amounts:
        values = by_group(joint, joint.counts.astype(float), amount, side).value[judged]
        if not np.isfinite(values).all():
            return None
        worst.append(worse(values, scale))
    values = np.concatenate(worst)
    values = values[np.isfinite(values)]
    return None if not len(values) else float(values.max()) * scale.sign + 0.0


def _limits(
    joint: Joint, amounts: Sequence[tuple[Amount, NDArray[np.bool_]]], scale: Scale
) -> tuple[float, float] | tuple[None, None]:
    judged = np.any([judged for _, judged in amounts], axis=0)
    free = freedom(joint.only(np.flatnonzero(judged)))
    if free < 1:
        return None, None
    counts, sides = smoothed(joint), []
    for side in SIDES:
        parts = [_equal(scale, counts.size)]
        for amount, own in amounts:
            numbers = by_group(joint, counts, amount, side)
            parts.append(compared(Numbers(numbers.value[own], numbers.influence[own]), scale))
        sides.append(_widest(joint, together(parts), free))
    before, after = sides
    centre = after.value[:, None] - before.value[None, :]
    error = np.sqrt(spread(joint, after, before))
    level = ALPHA / 2 * (1 - SCREENING)
    wide = [float(student.isf(level / len(side.value), free)) * error for side in sides]
    high = float((centre + wide[0]).min(axis=1).max())
    low = float((centre - wide[1]).max(axis=0).min())
    return (low, high) if scale.sign > 0 else (-high, -low)


def _equal(scale: Scale, cells: int) -> Numbers:
    """What a scale finds of equal groups, the best there is; nothing where groups stand alone."""
    best = np.full(int(np.isfinite(scale.equality)), scale.sign * scale.equality)
    return Numbers(best, np.zeros((len(best), cells)))


def _widest(joint: Joint, side: Numbers, free: float) -> Numbers:
    """The pairs of one model that may be its widest."""
    value = side.value
    level = ALPHA * SCREENING / 2 / max(1, len(value) - 1)
    top = int(value.argmax())
    best = Numbers(value[[top]], side.influence[[top]])
    narrower = value[top] - value - float(student.isf(level, free)) * np.sqrt(spread(joint, best, side)[0])
    kept = narrower <= 0
    return Numbers(value[kept], side.influence[kept])
