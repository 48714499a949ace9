"""The power of a limit where groups are equal, by drawing test sets and asking the gate's bounds.

Test sets are drawn with given sizes and one common rate for all groups, and each is held against the
gate's closed-form bounds; the exact test that confirms them costs about a hundredth of power. Draws are
seeded: the same sizes give the same answer. What follows for a plan is in `tasks.fairness.coverage`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tasks.fairness.bounds import lower_limit, upper_limit
from tasks.fairness.links import Link
from tasks.fairness.scales import Scale, pairs_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Limits = Callable[[Ints, Ints, float], Floats]

DRAWS = 400
"""Test sets drawn; a power near one half is known within .025 (one standard error)."""
SEED = 20260101
POWER = 0.8
MOST_ROWS = 10_000_000
CLOSE = 1.01
WIDE = 96
"""Groups compared in one table: draws are taken together as far as that."""


@dataclass(frozen=True)
class Term:
    """One share of a quantity.

    Attributes:
        weight: of the share in the sum; 1 where the quantity is the share itself.
        link: the function of the share.
        sizes: rows in each group's denominator.
        rate: common to all groups, in [0, 1].
    """

    weight: float
    link: Link
    sizes: tuple[int, ...]
    rate: float


@dataclass(frozen=True)
class Sum:
    """A quantity as a sum of shares, often of one.

    Attributes:
        terms: of the same groups, in the same order.
        independent: whether they have no rows in common (`tasks.fairness.sums`).
    """

    terms: tuple[Term, ...]
    independent: bool = True

    def sized(self, n: int) -> Sum:
        """The same with n rows in every denominator, of two groups at the least."""
        terms = tuple(replace(term, sizes=(n,) * max(2, len(term.sizes))) for term in self.terms)
        return replace(self, terms=terms)


def power(scale: Scale, limit: float, quantities: Sequence[Sum], alpha: float) -> float:
    """Chance that a limit PASSes where all groups share one rate.

    Args:
        scale: of pairs; limits on each group's own value say nothing about equality.
        limit: on the scale.
        quantities: all must keep the limit.
        alpha: the level in force, one-sided.

    Returns:
        A power in [0, 1], 0 where a group has no rows, or there are no two groups.
    """
    return float(np.mean((limit - _tightest(scale, quantities, alpha)) * scale.sign > 0))


def smallest_showable(scale: Scale, quantities: Sequence[Sum], alpha: float, chance: float = 0.5) -> float:
    """The tightest limit that such groups would PASS with this chance, as `power` has it.

    Returns:
        On the scale: a smallest difference, a largest ratio; infinite where a group has no rows.
    """
    shown = _tightest(scale, quantities, alpha)
    return float(np.quantile(shown, chance if scale.sign > 0 else 1 - chance, method="nearest"))


def rows_needed(scale: Scale, limit: float, quantities: Sequence[Sum], alpha: float) -> int | None:
    """Rows in every denominator of every group at which `power` reaches 80%.

    The groups' own sizes are not looked at, only how many groups there are and their rates. Draws make it
    right within some percent.

    Returns:
        The number, rounded up to two figures; None where ten million do not reach it.
    """

    def reached(n: int) -> bool:
        return power(scale, limit, [one.sized(n) for one in quantities], alpha) >= POWER

    few, many = 1.0, float(MOST_ROWS)
    if not reached(MOST_ROWS):
        return None
    while many > max(few * CLOSE, few + 1):
        middle = float(round(np.sqrt(few * many)))
        few, many = (few, middle) if reached(int(middle)) else (middle, many)
    step = 10 ** max(0, len(str(int(many))) - 2)
    return int(-(-int(many) // step) * step)


def _tightest(scale: Scale, quantities: Sequence[Sum], alpha: float) -> Floats:
    """The tightest limit that each drawn test set would pass, shape [draws]."""
    rng = np.random.default_rng(SEED)
    worst = np.full(DRAWS, -np.inf)
    for quantity in quantities:
        limits = _limits(quantity, alpha, rng)
        worst = np.maximum(worst, np.concatenate([_worst(scale, part) for part in _together(limits)]))
    return np.asarray(worst * scale.sign)


def _together(limits: tuple[Floats, Floats, Floats]) -> Iterator[tuple[Floats, Floats, Floats]]:
    """So many draws at a time that their groups make one table."""
    at_once = max(1, WIDE // max(1, limits[0].shape[1]))
    for start in range(0, DRAWS, at_once):
        value, low, high = (part[start : start + at_once] for part in limits)
        yield value, low, high


def _worst(scale: Scale, limits: tuple[Floats, Floats, Floats]) -> Floats:
    """The worst pair's bound of each draw; infinite where one is undefined, or there is none."""
    value, low, high = limits
    draws, groups = value.shape
    if groups < 2:
        return np.full(draws, np.inf)
    bounds = scale.worst_case((value.ravel(), low.reshape(-1, 1), high.reshape(-1, 1))) * scale.sign
    first, second = np.transpose(pairs_of(scale, range(groups)))
    start = np.arange(draws)[:, None] * groups
    compared = bounds[start + first, start + second]
    return np.asarray(np.where(np.isnan(compared), np.inf, compared).max(axis=1))


def _limits(quantity: Sum, alpha: float, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Drawn values and limits of a quantity, each [draws, groups], as `tasks.fairness.sums` makes them."""
    level = alpha if quantity.independent else alpha / len(quantity.terms)
    values, below, above = [], [], []
    for term in quantity.terms:
        n = np.array(term.sizes, np.int64)
        events = rng.binomial(n, term.rate, (DRAWS, len(n)))
        with np.errstate(invalid="ignore"):
            drawn = term.link.of(events / np.where(n > 0, n, np.nan))
            ends = [
                term.weight * (term.link.of(_table(events, n, level, limit)) - drawn)
                for limit in (lower_limit, upper_limit)
            ]
        values.append(term.weight * drawn)
        below.append(np.minimum(*ends))
        above.append(np.maximum(*ends))
    value = np.sum(values, axis=0)
    if quantity.independent:
        return value, value - _root(below), value + _root(above)
    return value, value + np.sum(below, axis=0), value + np.sum(above, axis=0)


def _root(parts: Sequence[Floats]) -> Floats:
    return np.asarray(np.sqrt(np.sum(np.square(parts), axis=0)))


def _table(events: Ints, n: Ints, alpha: float, limit: Limits) -> Floats:
    """Limits of drawn counts, each count of a size worked out once."""
    found = np.empty(events.shape)
    for size in np.unique(n):
        own = n == size
        counts, place = np.unique(events[:, own], return_inverse=True)
        each = limit(counts, np.full(len(counts), size), alpha)
        found[:, own] = each[place].reshape(len(events), -1)
    return found
