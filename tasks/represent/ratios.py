"""Representation ratios with intervals and verdicts.

The reference is taken as fixed: a census, or a survey so large and so weighted that its own error
is small beside the sample's. The intervals hold the sample's error alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from tasks.fairness.verdict import Verdict
from tasks.represent.records import Ratio
from tasks.represent.table import JOINER, Array, Table

Limits = tuple[float, float]


def clopper_pearson(events: Array, rows: float, level: float) -> tuple[Array, Array]:
    """Exact binomial limits, each one-sided at ``level`` (Clopper and Pearson 1934).

    With effective counts that are no integers this is Korn and Graubard's interval (1998).

    Args:
        events: counts in [0, rows].
        rows: rows, or the effective number of them.
        level: error of each side, in (0, 0.5).

    Returns:
        lower and upper limits, in [0, 1].
    """
    with np.errstate(invalid="ignore"):  # the ends, where beta has no such shape, are set below
        low = stats.beta.ppf(level, events, rows - events + 1)
        high = stats.beta.ppf(1 - level, events + 1, rows - events)
    return np.where(events <= 0, 0.0, low), np.where(events >= rows, 1.0, high)


def ratios(
    sample: Table,
    reference: Table,
    attributes: Sequence[tuple[str, ...]],
    limits: Limits | None,
    *,
    alpha: float,
    rows: float,
    raked: Table | None = None,
) -> tuple[Ratio, ...]:
    """Sample share / population share of every level, with its 95% interval and its verdict.

    PASS takes two one-sided tests at ``alpha`` (Schuirmann 1987): both limits of the level's
    1 - 2 alpha interval lie within ``limits``. "Every level passes" is claimed only when each passes
    alone (an intersection-union test), so ``alpha`` is not divided. FAIL takes an interval wholly
    outside ``limits`` at alpha / (2 x levels compared) a side (Bonferroni). Else INCONCLUSIVE, as is a
    level that the reference does not have.

    Args:
        sample: counts of rows.
        reference: counts of persons over the same levels.
        attributes: attributes and crossings to compare.
        limits: [low, high] of the ratio, or None to give no verdicts.
        alpha: error of a PASS at the limit, and of any FAIL within the limits.
        rows: effective number of rows (see ``effective_rows``).
        raked: the sample's counts after raking.
    """
    compared = sum(reference.margin(names).size for names in attributes)
    return tuple(
        ratio
        for names in attributes
        for ratio in _of_attribute(sample, reference, names, limits, alpha, compared, rows, raked)
    )


def _of_attribute(
    sample: Table,
    reference: Table,
    names: tuple[str, ...],
    limits: Limits | None,
    alpha: float,
    compared: int,
    rows: float,
    raked: Table | None,
) -> list[Ratio]:
    counts, persons = sample.margin(names).ravel(), reference.margin(names).ravel()
    share, target = counts / counts.sum(), persons / persons.sum()
    low, high = clopper_pearson(share * rows, rows, 0.025)
    verdicts = None if limits is None else _verdicts(share, target, limits, alpha, compared, rows)
    after = None if raked is None else raked.margin(names).ravel() / raked.total
    return [
        Ratio(
            attribute=JOINER.join(names),
            level=level,
            n=int(counts[i]),
            sample_share=float(share[i]),
            population_share=float(target[i]),
            ratio=float(share[i] / target[i]) if target[i] > 0 else None,
            low=float(low[i] / target[i]) if target[i] > 0 else None,
            high=float(high[i] / target[i]) if target[i] > 0 else None,
            raked_share=None if after is None else float(after[i]),
            verdict=None if verdicts is None else verdicts[i],
        )
        for i, level in enumerate(reference.names(names))
        if counts[i] > 0 or persons[i] > 0  # a crossing that nobody has, here or there
    ]


def _verdicts(
    share: Array, target: Array, limits: Limits, alpha: float, compared: int, rows: float
) -> list[Verdict]:
    floor, ceiling = limits[0] * target, limits[1] * target
    low, high = clopper_pearson(share * rows, rows, alpha)
    far_low, far_high = clopper_pearson(share * rows, rows, alpha / (2 * compared))
    passed = (target > 0) & (low >= floor) & (high <= ceiling)
    failed = (target > 0) & ((far_high < floor) | (far_low > ceiling))
    return [
        Verdict.PASS if good else Verdict.FAIL if bad else Verdict.INCONCLUSIVE
        for good, bad in zip(passed, failed, strict=True)
    ]
