"""How far a sample's distribution of an attribute is from the population's: effect sizes and their verdicts.

The reference is taken as fixed, as in `tasks.represent.ratios`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special, stats

from tasks.fairness.verdict import Verdict
from tasks.plan.judgement import EffectLimits
from tasks.represent.records import Effect
from tasks.represent.table import JOINER, Array, Table

LEAST_EXPECTED = 20.0
"""Rows expected of every level before an effect is judged: below it the bounds were seen to err."""
LEAST_OBSERVED = 5.0
"""Rows of every level before a PSI is judged, whose logarithm runs away at an empty level."""


def effects(sample: Table, reference: Table, names: tuple[str, ...], rows: float) -> dict[str, float]:
    """How far the sample's distribution of one attribute is from the population's.

    Cohen's w = sqrt(sum (p - q)^2 / q) (Cohen 1988, chapter 7); PSI = sum (p - q) ln(p / q); the
    Jensen-Shannon distance, root of the divergence in nats, 0 to 0.833; and the p-value of the G-test,
    for information: at a million rows every p-value is tiny. Levels without reference are left out
    here, since w and PSI are infinite for them; they are problems of their own. For the PSI an empty
    level counts as half a row.

    Args:
        sample: counts of rows.
        reference: counts of persons over the same levels.
        names: the attribute or crossing.
        rows: effective number of rows, for the G-test and the half row.
    """
    counts, persons = sample.margin(names).ravel(), reference.margin(names).ravel()
    known = persons > 0
    p = counts[known] / max(counts[known].sum(), 1.0)
    q = persons[known] / persons.sum()
    floored = np.maximum(p, 0.5 / rows)
    g = 2 * rows * max(special.rel_entr(p, q).sum(), 0.0)
    return {
        "cohen_w": float(np.sqrt(_chi_square(p, q))),
        "psi": _population_stability(floored, q),
        "js_distance": float(np.sqrt(_jensen_shannon(p, q))),
        "g_test_p": float(stats.chi2.sf(g, q.size - 1)) if q.size > 1 else 1.0,
    }


def _chi_square(p: Array, q: Array) -> float:
    return float(((p - q) ** 2 / q).sum())


def _population_stability(p: Array, q: Array) -> float:
    return float(((p - q) * np.log(p / q)).sum())


def _jensen_shannon(p: Array, q: Array) -> float:
    middle = (p + q) / 2
    return max(0.0, float((special.rel_entr(p, middle) + special.rel_entr(q, middle)).sum() / 2))


@dataclass(frozen=True, slots=True)
class _Divergence:
    """An effect's square, on whose root the bounds are taken: near equality that root is a length.

    Attributes:
        value: of the sample's shares p and the population's q.
        slope: its derivative by each share of p, for p > 0.
        unit: root of the divergence per unit of Cohen's w, where p is near q.
        power: effect = root ** power.
    """

    value: Callable[[Array, Array], float]
    slope: Callable[[Array, Array], Array]
    unit: float
    power: int


DIVERGENCES: Mapping[str, _Divergence] = {
    "cohen_w": _Divergence(_chi_square, lambda p, q: 2 * (p - q) / q, 1.0, 1),
    "psi": _Divergence(_population_stability, lambda p, q: np.log(p / q) + 1 - q / p, 1.0, 2),
    "js_distance": _Divergence(_jensen_shannon, lambda p, q: np.log(2 * p / (p + q)) / 2, 8**-0.5, 1),
}


def judge_effects(
    sample: Table,
    reference: Table,
    attributes: Sequence[tuple[str, ...]],
    limits: EffectLimits,
    *,
    alpha: float,
    rows: float,
) -> tuple[Effect, ...]:
    """Judge every limit on every attribute, with an interval by the delta method.

    PASS needs the upper bound below the limit. The bound is root + z s on the divergence's root, s its
    standard error, at alpha / 2; it takes no credit for the upward bias of a distance, so many levels
    make it cautious. FAIL needs the lower bound above the limit, at alpha / (2 x effects judged): there the
    bias counts, so the bound inverts the noncentral chi-square of levels - 1 degrees of freedom, which
    the squared root follows in units of s (Steiger and Fouladi 1997, for Cohen's w). Both levels are half
    of what is claimed because the bounds are asymptotic: by simulation over 2 to 20 levels, shares down
    to 0.5% and 100 to 30,000 rows the error at the limit was below alpha (at .01 at most .9 of it).

    INCONCLUSIVE is everything else, and what has no bound: a level that the population lacks, one of
    which fewer than 20 rows are expected, and for the PSI one that has fewer than 5.

    Args:
        sample: counts of rows.
        reference: counts of persons over the same levels.
        attributes: attributes and crossings judged.
        limits: the plan's.
        alpha: error of a PASS, and of any FAIL over all effects judged.
        rows: effective number of rows.
    """
    wanted = {name: limit for name, limit in limits.model_dump().items() if limit is not None}
    level = alpha / (2 * len(wanted) * len(attributes))
    found = []
    for names in attributes:
        counts, persons = sample.margin(names).ravel(), reference.margin(names).ravel()
        p, q = counts / counts.sum(), persons / persons.sum()
        here = effects(sample, reference, names, rows)
        for effect, limit in wanted.items():
            reason = _unbounded(effect, p, q, rows)
            bounds = None if reason else _bounds(DIVERGENCES[effect], p, q, rows, alpha / 2, level)
            found.append(_judged(JOINER.join(names), effect, here[effect], limit, bounds, reason))
    return tuple(found)


def _unbounded(effect: str, p: Array, q: Array, rows: float) -> str:
    """Why no bound can be given, or ""."""
    if np.any((q == 0) & (p > 0)):
        return "the sample has a level that the population lacks"
    least = float(q[q > 0].min() * rows)
    if least < LEAST_EXPECTED:
        return f"{least:.1f} rows are expected of its rarest level, {LEAST_EXPECTED:g} are needed"
    if effect == "psi" and (fewest := float(p[q > 0].min() * rows)) < LEAST_OBSERVED:
        return f"its rarest level has {fewest:.1f} rows, {LEAST_OBSERVED:g} are needed"
    return ""


def _bounds(
    kind: _Divergence, p: Array, q: Array, rows: float, above: float, below: float
) -> tuple[float, float]:
    """Lower bound at level ``below`` and upper bound at level ``above``, of the effect."""
    p, q = p[q > 0], q[q > 0]
    if q.size == 1:
        return 0.0, 0.0
    root, smooth = np.sqrt(kind.value(p, q)), (p * rows + 0.5) / (rows + 0.5 * q.size)
    slope = kind.slope(smooth, q)
    variance = max(float((smooth * slope**2).sum() - (smooth * slope).sum() ** 2), 0.0)
    length = max(np.sqrt(kind.value(smooth, q)), 1e-12)
    # Never below the error at equality, where the slope vanishes and with it this estimate.
    error = max(np.sqrt(variance) / (2 * length), kind.unit) / np.sqrt(rows)
    high = root - special.ndtri(above) * error
    low = error * np.sqrt(_noncentrality(float((root / error) ** 2), q.size - 1, below))
    return float(low) ** kind.power, float(high) ** kind.power


def _noncentrality(value: float, freedom: int, level: float) -> float:
    """Lower limit of a noncentral chi-square's noncentrality, given one value of it."""
    if stats.chi2.sf(value, freedom) > level:
        return 0.0
    # Above about 1e4 the tail is computed by a normal law, which the root follows closely.
    if value > 1e4:
        return float(max(np.sqrt(value - freedom) + special.ndtri(level), 0.0) ** 2)
    return float(optimize.brentq(lambda c: stats.ncx2.sf(value, freedom, c) - level, 1e-9, value))


def _judged(
    attribute: str,
    effect: str,
    value: float,
    limit: float,
    bounds: tuple[float, float] | None,
    reason: str,
) -> Effect:
    low, high = bounds if bounds is not None else (None, None)
    verdict = Verdict.INCONCLUSIVE
    if high is not None and high < limit:
        verdict = Verdict.PASS
    elif low is not None and low > limit:
        verdict = Verdict.FAIL
    return Effect(
        attribute=attribute,
        effect=effect,
        value=value,
        low=low,
        high=high,
        limit=limit,
        verdict=verdict,
        reason=reason,
    )


def effect_problems(judged: Sequence[Effect]) -> list[str]:
    """Effects that are not shown to keep the plan's limits, each with both sides."""
    return [
        f"{one.attribute}: {one.effect} {one.value:.3f}"
        + (f" [{one.low:.3f}, {one.high:.3f}]" if one.low is not None and one.high is not None else "")
        + (" exceeds" if one.verdict is Verdict.FAIL else " is not shown to lie below")
        + f" effect_limits.{one.effect} {one.limit:g}: {one.verdict}"
        + (f" ({one.reason})" if one.reason else "")
        + "; collect rows that bring the shares together"
        for one in judged
        if one.verdict is not Verdict.PASS
    ]
