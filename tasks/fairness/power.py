"""What a test set could show before it is opened: the power of a limit where groups are equal.

A limit that even equal groups would seldom pass asks for what the rows can't show. Test sets are drawn
with the expected sizes and one common rate for all groups, and each is held against the gate's
closed-form bounds; the exact test that confirms them costs about a hundredth of power. Draws are seeded:
the same counts give the same answer. Metrics of the score and means over classes are not planned for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.fairness.bounds import lower_limit, upper_limit
from tasks.fairness.counted import Counted, count_groups
from tasks.fairness.cube import Cube
from tasks.fairness.links import Link
from tasks.fairness.metrics import RATES, Rate
from tasks.fairness.quantities import Odds, Quantity, Share
from tasks.fairness.scales import pairs_of
from tasks.fairness.shares import shares
from tasks.fairness.table import METRICS
from tasks.plan.base import crossing
from tasks.plan.judgement import Limit, TooSmall

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Limits = Callable[[Ints, Ints, float], Floats]

DRAWS = 400
"""Test sets drawn; a power near one half is known within .025 (one standard error)."""
SEED = 20260101
UNKNOWN_RATE = 0.5
"""Assumed for rates that labels alone don't show: differences spread most there."""


@dataclass(frozen=True)
class Expected:
    """A group as it is expected in the test part.

    Attributes:
        n: rows in the denominator.
        rate: events / n, in [0, 1].
    """

    n: int
    rate: float


@dataclass(frozen=True)
class _Term:
    """One share of a quantity: its part in the sum, and the groups' sizes and rates."""

    weight: float
    link: Link
    groups: tuple[Expected, ...]


def power_at_equality(
    cube: Cube, limit: Limit, alpha: float, too_small: TooSmall | None = None
) -> float | None:
    """Chance that a limit PASSes where all groups share one rate.

    Args:
        cube: expected counts: the test part's, or a training part's (`Cube.from_labels`) as they are;
            scale them first (`expected_cube`) where the parts differ in size.
        limit: of a plan.
        alpha: the level in force, one-sided.
        too_small: the plan's policy, by which small groups are left out.

    Returns:
        A power in [0, 1], 0 where a group has no rows; None for metrics that are not planned for. For a
        limit on every group's own rate: the chance at the rates as they are.

    Raises:
        ValueError: for an attribute that the cube lacks.
    """
    quantities = _quantities(cube, limit, too_small or TooSmall())
    if quantities is None:
        return None
    sign = METRICS[limit.metric].scale.sign
    return float(np.mean((limit.limit - _shown(limit, quantities, alpha)) * sign > 0))


def smallest_showable(
    limit: Limit, groups: Sequence[tuple[int, float]], alpha: float, power: float = 0.5
) -> float | None:
    """The tightest limit that groups of one rate would PASS with this power.

    Args:
        limit: whose metric is meant; its own bound does not matter.
        groups: rows in the denominator and expected rate of each group. Every rate of the metric is taken
            to have these.
        alpha: the level in force, one-sided.
        power: chance of a PASS, in (0, 1).

    Returns:
        On the metric's scale: a smallest difference or maximum, a largest ratio or minimum; None for
        metrics that are not planned for.
    """
    expected = tuple(Expected(n, rate) for n, rate in groups)
    quantities = [_terms(quantity, [expected, expected]) for quantity in METRICS[limit.metric].quantities]
    if not all(quantities):
        return None
    shown = _shown(limit, quantities, alpha)
    return float(np.quantile(shown, power if METRICS[limit.metric].scale.sign > 0 else 1 - power))


def smallest_showable_on(
    cube: Cube, limit: Limit, alpha: float, power: float = 0.5, too_small: TooSmall | None = None
) -> float | None:
    """`smallest_showable` for the expected counts of a cube, each rate with its own denominators."""
    quantities = _quantities(cube, limit, too_small or TooSmall())
    if quantities is None:
        return None
    shown = _shown(limit, quantities, alpha)
    return float(np.quantile(shown, power if METRICS[limit.metric].scale.sign > 0 else 1 - power))


def expected_cube(training: Cube, rows: int) -> Cube:
    """A training part's counts scaled to a test part of ``rows`` rows, rounded."""
    share = rows / max(1, training.rows)
    counts = np.rint(training.counts * share).astype(np.int64)
    return Cube(training.axes, training.labels, training.positive, counts)


def _quantities(cube: Cube, limit: Limit, too_small: TooSmall) -> list[list[_Term]] | None:
    """Terms of each quantity (and class); None where the metric is not planned for."""
    counted = count_groups(cube, crossing(limit.attribute), too_small, cube)
    labelled = bool((counted.counts.sum(axis=(1, 2)) == np.einsum("gkk->g", counted.counts)).all())
    found = [
        _terms(quantity, list(_expected(quantity, counted, label, labelled=labelled)))
        for quantity in METRICS[limit.metric].quantities
        for label in counted.classes
    ]
    return found if all(found) else None


def _expected(
    quantity: Quantity, counted: Counted, label: str, *, labelled: bool
) -> Iterator[tuple[Expected, ...]]:
    """The judged groups of each rate behind a quantity."""
    rates: Sequence[Rate] = ()
    if isinstance(quantity, Share):
        rates = (quantity.rate,)
    elif isinstance(quantity, Odds):
        rates = (RATES["tpr"], RATES["fpr"])
    for rate in rates:
        table = shares(counted, rate, None if "right" in rate.events else label, rate.name)
        known = not labelled or rate.name in ("selection_rate", "base_rate")
        yield tuple(
            Expected(int(n), float(share) if known and n else UNKNOWN_RATE)
            for n, share, judged in zip(table.n, table.share, table.judged, strict=True)
            if judged
        )


def _terms(quantity: Quantity, groups: Sequence[tuple[Expected, ...]]) -> list[_Term]:
    if isinstance(quantity, Share):
        return [_Term(1.0, quantity.link, groups[0])]
    if isinstance(quantity, Odds):
        weights = (quantity.weight, quantity.sign * quantity.weight)
        link = Share(RATES["tpr"]).link
        return [_Term(weight, link, part) for weight, part in zip(weights, groups, strict=False)]
    return []


def _shown(limit: Limit, quantities: Sequence[Sequence[_Term]], alpha: float) -> Floats:
    """The tightest limit that each drawn test set would pass, shape [draws]."""
    scale, rng = METRICS[limit.metric].scale, np.random.default_rng(SEED)
    worst = np.full(DRAWS, -np.inf)
    for terms in quantities:
        value, low, high = _limits(terms, alpha, rng, alone=scale.alone)
        for i in range(DRAWS):
            bounds = scale.worst_case((value[i], low[i][:, None], high[i][:, None])) * scale.sign
            compared = bounds[tuple(np.transpose(pairs_of(scale, range(len(bounds)))))]
            worst[i] = max(worst[i], np.where(np.isnan(compared), np.inf, compared).max())
    return np.asarray(worst * scale.sign)


def _limits(
    terms: Sequence[_Term], alpha: float, rng: np.random.Generator, *, alone: bool
) -> tuple[Floats, Floats, Floats]:
    """Drawn values and limits of a quantity, each [draws, groups]."""
    value, below, above = (np.zeros((DRAWS, len(terms[0].groups))) for _ in range(3))
    for term in terms:
        n = np.array([group.n for group in term.groups])
        rate = np.array([group.rate for group in term.groups])
        common = np.full(len(n), (n * rate).sum() / max(1, n.sum()))
        events = rng.binomial(n, rate if alone else common, (DRAWS, len(n)))
        drawn = term.link.of(events / np.where(n > 0, n, np.nan))
        low, high = (_table(events, n, alpha, limit) for limit in (lower_limit, upper_limit))
        with np.errstate(invalid="ignore"):
            ends = [term.weight * (term.link.of(end) - drawn) for end in (low, high)]
        value = value + term.weight * drawn
        below, above = below + np.minimum(*ends) ** 2, above + np.maximum(*ends) ** 2
    return value, value - np.sqrt(below), value + np.sqrt(above)


def _table(events: Ints, n: Ints, alpha: float, limit: Limits) -> Floats:
    """Limits of drawn counts, each count worked out once."""
    found = np.empty(events.shape)
    for g, size in enumerate(n):
        counts, place = np.unique(events[:, g], return_inverse=True)
        found[:, g] = limit(counts, np.full(len(counts), size), alpha)[place]
    return found
