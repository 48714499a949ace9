"""Effective sizes: as many independent, equal rows as carry the same information (Korn and Graubard 1998).

Weighted rows, rows of one sampling unit, and groups that share units all come to one thing: the size n'
at which p (1 - p) / n' is the rate's variance. The variance is that of a ratio of sums over units
(linearised); few units make it uncertain, so n' is multiplied by (z / t)^2, t on units - 1 degrees of
freedom at the level in force, where units of unequal size count as the fewer that they are worth
(1 / sum of squared shares). n' is never larger than n, but for groups that share units: what they have
in common cancels, so each pair's sizes are multiplied by (V_g + V_h) / (V_g + V_h - 2 C_gh).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.special import ndtri, stdtrit

from tasks.fairness.refit import Spread

Floats = NDArray[np.float64]
Counts = NDArray[Any]

DISCORDANT = 4.0
"""Pseudo-units that differ wholly, added to the variance of a paired difference: units that all agree
bound a difference by about 3 / units, not by 0 (Agresti and Min 2005)."""
SKEWED = 1.65
"""The same where few units differ: k in one direction are bounded by k + z sqrt(k + 4 + 1.65 sqrt(k)), at
.05 never below the exact (Poisson) limit for k up to 50; only the usual level takes a gain."""


TRUSTED = 20
TRUSTED_LEVEL = 0.05
"""A variance is trusted at this level where the events come from effectively (Kish) so many units or rows,
and so do the others. Else a few make it, and it may be far too small by chance: then each unit counts as
one row, which is safe whatever it holds (shares lie between 0 and 1, and rows spread most at the ends).
Smaller levels look further into the tail and ask for more, by the square of their normal quantile."""


TRUSTED_OUTSIDE = 80.0
"""Rows (units) outside of a group, less 1, from which their part of its raked variance is trusted, at every
level: as many as the level .0005 asks for inside."""


MILD = 1.25
"""Weights that cost more than this factor of rows are judged on fewer still: a few heavy rows, none of which
is an event by chance, leave no trace in the variance."""


@dataclass(frozen=True, eq=False)
class Sizes:
    """Sizes of the groups' denominators.

    Attributes:
        estimated: from the variance, before the correction for few units, shape [groups].
        cautious: at most as many as there are (Kish) units or rows of equal weight.
        seen: from how many units or rows (Kish) the rarer of events and others come.
        freedom: effective number of units or rows, less 1; infinite where rows are independent.
        actual: rows, shape [groups].
        gain: factor for each pair, [g, h]; None where no units are shared.
        loss: factor for each pair, [g, h], and each group, [g, g]; None where weights are fixed numbers.
    """

    estimated: Floats
    cautious: Floats
    seen: Floats
    freedom: Floats
    actual: Counts
    gain: Floats | None = None
    loss: Floats | None = None

    @property
    def size(self) -> Floats:
        """Effective sizes at the usual level, before the correction for few units."""
        size = self._known(TRUSTED_LEVEL)
        return size if self.loss is None else size * self.loss.diagonal()

    def _known(self, alpha: float) -> Floats:
        asked = TRUSTED * max(1.0, float(ndtri(alpha) / ndtri(TRUSTED_LEVEL))) ** 2
        return np.where(self.seen >= asked, self.estimated, self.cautious)

    def at(self, alpha: float) -> Floats:
        """Sizes at a one-sided level: [groups, 1], or [g, h] where pairs share units."""
        size = (self._known(alpha) * few_units(self.freedom, alpha))[:, None]
        if self.gain is not None:
            # What units have in common is estimated, and too uncertain for the tails of smaller levels.
            size = size * (self.gain if alpha >= TRUSTED_LEVEL else np.minimum(self.gain, 1.0))
        return size if self.loss is None else size * self.loss

    @property
    def design_effect(self) -> Floats:
        """Variance over that of as many independent, equal rows."""
        return self.actual / np.where(self.size > 0, self.size, np.nan)


def few_units(freedom: Floats, alpha: float) -> Floats:
    """(z / t)^2: what is left of a size whose variance was estimated from few units."""
    finite = np.isfinite(freedom)
    t = stdtrit(np.where(finite & (freedom > 0), freedom, 1.0), 1 - alpha)
    left = np.where(finite, (ndtri(1 - alpha) / t) ** 2, 1.0)
    return np.where(freedom > 0, left, 0.0)


def independent(n: Counts) -> Sizes:
    """Rows that are independent and weigh the same."""
    size, boundless = np.asarray(n, float), np.full(len(n), np.inf)
    return Sizes(size, size, boundless, boundless, n)


def weighted(
    rate: Floats,
    counts: tuple[Counts, Counts],
    sums: tuple[Floats, Floats],
    squares: tuple[Floats, Floats],
) -> Sizes:
    """Independent rows of different weights.

    Args:
        rate: weighted rates, shape [groups].
        counts: rows of the denominators' events, and of the rest.
        sums: weights, likewise.
        squares: squared weights, likewise.
    """
    n = counts[0] + counts[1]
    total = np.where(n > 0, sums[0] + sums[1], 1.0)
    variance = (squares[0] * (1 - rate) ** 2 + squares[1] * rate**2) / total**2
    kish = np.minimum(_kish(sums[0] + sums[1], squares[0] + squares[1]), n)
    skewed = np.minimum(1.0, MILD * kish / np.maximum(n, 1))
    size = np.minimum(_size(rate, variance, kish, n), kish) * skewed
    boundless = np.full(len(n), np.inf)
    return Sizes(size, size, boundless, np.maximum(kish - 1.0, 0.0), n)


def _kish(sums: Floats, squares: Floats) -> Floats:
    """As many equal weights as have the same sum and sum of squares (Kish 1965); 0 where there are none."""
    return np.asarray(np.where(squares > 0, sums**2 / np.where(squares > 0, squares, 1.0), 0.0))


def _size(rate: Floats, variance: Floats, kish: Floats, n: Counts) -> Floats:
    """P (1 - p) / variance, at most n; Kish's size where all or none are events, so there is no variance."""
    spread = rate * (1 - rate)
    known = (variance > 0) & (spread > 0)
    return np.where(known, np.minimum(spread / np.where(known, variance, 1.0), n), kish)


@dataclass(frozen=True, eq=False)
class Entries:
    """What each sampling unit holds of each group's denominator.

    Attributes:
        unit: position of the unit, shape [entries].
        group: position of the group.
        weight: sum of weights (rows where all weigh 1).
        event: 1 for events of the rate, 0 for the rest.
    """

    unit: NDArray[np.int64]
    group: NDArray[np.int64]
    weight: Floats
    event: Floats


def clustered(rate: Floats, n: Counts, entries: Entries) -> Sizes:
    """Rows that come in units, which may hold rows of several groups.

    Args:
        rate: weighted rates, shape [groups].
        n: rows of the denominators.
        entries: of all units.
    """
    groups = len(rate)
    total = np.bincount(entries.group, entries.weight, groups)
    share = entries.weight / total[entries.group]
    centred = np.where(np.isnan(rate), 0.0, rate)[entries.group]
    shape = (int(entries.unit.max(initial=-1)) + 1, groups)
    place = (entries.unit, entries.group)
    moved = coo_matrix((share * (entries.event - centred), place), shape).tocsr()
    held = coo_matrix((share, place), shape).tocsr()
    units = np.bincount(held.nonzero()[1], minlength=groups).astype(float)
    inflated = units / np.maximum(units - 1, 1)
    covariance = np.asarray((moved.T @ moved).toarray()) * np.sqrt(np.outer(inflated, inflated))
    together = np.asarray((held.T @ held).toarray())
    mass = together.diagonal()
    alike = np.where(mass > 0, 1 / np.where(mass > 0, mass, 1.0), 0.0)
    kish = np.minimum(alike, n)
    size = _size(rate, covariance.diagonal(), kish, n)
    seen = [_units_with(entries, kind, held) for kind in (entries.event > 0, entries.event <= 0)]
    sizes = Sizes(size, np.minimum(size, kish), np.minimum(*seen), np.maximum(alike - 1, 0.0), n)
    return replace(sizes, gain=_gain(covariance, together, sizes.size, rate))


def _units_with(entries: Entries, kind: NDArray[np.bool_], held: Any) -> Floats:
    """From how many units the rows of a kind come, in each group; large units without any count against it.

    The lesser of Kish's number by the rows of the kind, and of the number of units that make the variance
    (Kish's, by squared shares), times the part of it that lies in units with such rows.
    """
    place = (entries.unit[kind], entries.group[kind])
    rows = coo_matrix((entries.weight[kind], place), held.shape).tocsr()
    squared = held.multiply(held)
    squares, fourth = (_column_sums(table) for table in (squared, squared.multiply(squared)))
    part = _column_sums(squared.multiply(rows.astype(bool))) / np.where(squares > 0, squares, 1.0)
    return np.minimum(
        _kish(_column_sums(rows), _column_sums(rows.multiply(rows))), _kish(squares, fourth) * part
    )


def _column_sums(table: Any) -> Floats:
    return np.asarray(table.sum(axis=0), float).ravel()


def _gain(covariance: Floats, together: Floats, size: Floats, rate: Floats) -> Floats | None:
    """By how much pairs that share units are better known (or worse) than apart."""
    shared = together - np.diag(together.diagonal())
    if not shared.any():
        return None
    spread = np.where(np.isnan(rate), 0.0, rate * (1 - rate)) / np.maximum(size, 1e-300)
    apart = spread[:, None] + spread[None, :]
    mass = together.diagonal()
    differing = np.maximum(apart - 2 * covariance, 0.0)
    unit = np.maximum(mass[:, None], mass[None, :])
    paired = differing + DISCORDANT * unit**2 + SKEWED * unit * np.sqrt(differing)
    usable = (shared > 0) & (apart > 0) & (paired > 0)
    gain = np.where(usable, apart / np.where(usable, paired, 1.0), 1.0)
    gain = np.where(covariance > 0, np.maximum(gain, 1.0), gain)  # to ignore what helps is safe
    np.fill_diagonal(gain, 1.0)
    return gain


def refitted(sizes: Sizes, spread: Spread) -> Sizes:
    """The sizes where weights were fitted to the rows (raked), which here never gains.

    A few heavy rows of other groups may make the weights: their part of the variance has a freedom of its
    own (1 where they are too few to trust), and the whole that of Satterthwaite (1946).

    Args:
        sizes: with the weights taken as fixed numbers.
        spread: how the rates vary with fixed and with fitted weights.
    """
    before, after = _of_differences(spread.fixed), _of_differences(spread.fitted)
    loss = np.where(after > before, before / np.where(after > 0, after, 1.0), 1.0)
    own = spread.fitted.diagonal()
    part = np.clip(np.divide(spread.outside, own, out=np.zeros_like(own), where=own > 0), 0.0, 1.0)
    outside = np.where(spread.freedom >= TRUSTED_OUTSIDE, spread.freedom, 1.0)
    few = (1 - part) ** 2 / np.maximum(sizes.freedom, 1e-9) + part**2 / outside
    return replace(sizes, loss=loss, freedom=np.minimum(sizes.freedom, 1 / few))


def _of_differences(covariance: Floats) -> Floats:
    """Variances of the pairs' differences, and of each group's own rate."""
    own = covariance.diagonal()
    found = own[:, None] + own[None, :] - 2 * covariance
    np.fill_diagonal(found, own)
    return found
