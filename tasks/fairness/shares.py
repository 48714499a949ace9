"""Shares of rows by group, and what follows from them: exact limits and exact tests at any size."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from tasks.fairness import effective
from tasks.fairness.boundaries import Boundary
from tasks.fairness.bounds import lower_limit, upper_limit
from tasks.fairness.counted import Counted
from tasks.fairness.effective import Entries, Sizes
from tasks.fairness.exact import rejects
from tasks.fairness.groups import Groups
from tasks.fairness.links import IDENTITY, Link
from tasks.fairness.metrics import Rate, tally
from tasks.fairness.scales import Limits, Scale

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Shares(Groups):
    """A share of rows (or a rising function of one) by group.

    Attributes:
        share: the share itself, weighted where rows are; nan where undefined.
        sizes: effective sizes of the denominators.
        link: the function.
    """

    share: Floats
    sizes: Sizes
    link: Link

    @property
    def design_effect(self) -> Floats:
        """Variance over that of as many independent, equal rows."""
        return self.sizes.design_effect

    @property
    def large(self) -> NDArray[np.bool_]:
        """Not asked for: pairs are tested exactly."""
        return np.zeros(len(self.names), bool)

    def share_limits(self, level: float) -> tuple[Floats, Floats]:
        """Clopper-Pearson limits of the shares at the effective sizes, [groups, 1] or [g, h]."""
        size = self.sizes.at(level)
        events = np.where(size == self.n[:, None], self.events[:, None], self._share[:, None] * size)
        if not np.isfinite(self.sizes.freedom).all():
            events = self._share[:, None] * size
        return lower_limit(events, size, level), upper_limit(events, size, level)

    @property
    def _share(self) -> Floats:
        return np.where(np.isnan(self.share), 0.0, self.share)

    def limits(self, level: float, *, certain: bool = False) -> Limits:  # noqa: ARG002 - always
        """Limits of the function of the share."""
        low, high = self.share_limits(level)
        return self.value, self.link.of(low), self.link.of(high)

    def values(self, scale: Scale) -> Floats:
        """The metric of each pair; a scale of logarithms smooths the shares first."""
        if not scale.prior:
            return scale.value(self.value)
        size = self.sizes.size
        smoothed = (self._share * size + scale.prior) / (size + 2 * scale.prior)
        return scale.value(np.where(np.isnan(self.value), np.nan, smoothed))

    def keeps(self, scale: Scale, pair: tuple[int, int], limit: float, level: float) -> bool:
        """By the exact test; a group by itself has an exact limit already."""
        return scale.alone or self._rejects(pair, scale.kept(limit, self.link, level), level)

    def breaks(self, scale: Scale, pair: tuple[int, int], limit: float, level: float) -> bool:
        """By the exact test, the other way round."""
        return scale.alone or self._rejects(pair[::-1], scale.broken(limit, self.link, level), level)

    def _rejects(self, pair: tuple[int, int], boundary: Boundary, level: float) -> bool:
        """Effective counts are rounded so that a rejection is harder."""
        size = self.sizes.at(level)
        (x1, n1), (x2, n2) = (self._count(size, i, j) for i, j in (pair, pair[::-1]))
        if n1 == 0 or n2 == 0:
            return False
        first, second = min(n1, ceil(x1 - ROUNDING)), max(0, floor(x2 + ROUNDING))
        return rejects(first, n1, second, n2, boundary, level)

    def _count(self, size: Floats, i: int, j: int) -> tuple[float, int]:
        n = floor(float(size[i, j if size.shape[1] > 1 else 0]) + ROUNDING)
        if n == int(self.n[i]) and not np.isfinite(self.sizes.freedom[i]):
            return float(self.events[i]), n
        return float(self._share[i]) * n, n

    def error(self, g: int, level: float) -> float:  # noqa: ARG002
        """From the share's variance at one more event and one more other row (Agresti and Coull)."""
        return self._error_at(self._smoothed([g]), float(self.sizes.size[g]))

    def error_at_equality(self, g: int, h: int, level: float) -> tuple[float, float]:  # noqa: ARG002
        """At the pooled share."""
        pooled = self._smoothed([g, h])
        errors = [self._error_at(pooled, float(self.sizes.size[i])) for i in (g, h)]
        return float(self.link.of(pooled)), float(np.hypot(errors[0], errors[1]))

    def _smoothed(self, groups: list[int]) -> float:
        size = self.sizes.size[groups]
        return float(((self._share[groups] * size).sum() + 1) / (size.sum() + 2))

    def _error_at(self, share: float, size: float) -> float:
        step = 1e-4 * min(share, 1 - share)
        slope = float(self.link.of(share + step) - self.link.of(share - step)) / (2 * step)
        return slope * float(np.sqrt(share * (1 - share) / max(size, 1e-9)))


def shares(counted: Counted, rate: Rate, label: str | None, name: str, link: Link = IDENTITY) -> Shares:
    """Count a share by group.

    Args:
        counted: the groups.
        rate: the share; its denominator's counts are rows.
        label: the class held against the rest; None for shares of right and wrong rows.
        name: of the quantity.
        link: the function of the share that is compared.
    """
    cells = tally(counted.counts, counted.labels, label)
    events, n = rate.numerator(cells), rate.denominator(cells)
    share = np.where(n > 0, events / np.maximum(n, 1), np.nan)
    sizes = effective.independent(n)
    if not counted.is_independent:
        share, sizes = _effective(counted, rate, label, (events, n - events))
    value = link.of(share)
    value = np.where(np.isinf(value), np.nan, value)
    judged = counted.judged(rate.basis, label)
    return Shares(name, counted.names, counted.rows, judged, events, n, value, share, sizes, link)


def _effective(
    counted: Counted, rate: Rate, label: str | None, counts: tuple[Ints, Ints]
) -> tuple[Floats, Sizes]:
    """Shares and sizes where rows are weighted or come in units."""
    n = counts[0] + counts[1]
    weights = counted.weights if counted.weights is not None else counted.counts.astype(float)
    cells = tally(weights, counted.labels, label)
    events, total = rate.numerator(cells).astype(float), rate.denominator(cells).astype(float)
    share = np.where(n > 0, events / np.where(total > 0, total, 1.0), np.nan)
    if counted.units is not None:
        sizes = effective.clustered(share, n, _entries(counted, rate, label))
        return share, _refitted(sizes, counted, rate, label, share)
    squares = counted.squares if counted.squares is not None else counted.counts.astype(float)
    squared = tally(squares, counted.labels, label)
    event, all_ = rate.numerator(squared).astype(float), rate.denominator(squared).astype(float)
    known = np.where(np.isnan(share), 0.0, share)
    sizes = effective.weighted(known, counts, (events, total - events), (event, all_ - event))
    return share, _refitted(sizes, counted, rate, label, share)


def _refitted(sizes: Sizes, counted: Counted, rate: Rate, label: str | None, share: Floats) -> Sizes:
    """The same where the weights are fixed numbers, less where they were fitted."""
    if counted.refit is None:
        return sizes
    event, inside = _kinds(counted, rate, label)
    return effective.refitted(sizes, counted.refit.spread(share, event, inside))


def _kinds(counted: Counted, rate: Rate, label: str | None) -> tuple[Ints, Ints]:
    """Events and denominator among the kinds of rows: true class times classes plus predicted class."""
    classes = len(counted.labels)
    each = np.eye(classes * classes, dtype=np.int64).reshape(-1, classes, classes)
    cells = tally(each, counted.labels, label)
    return np.asarray(rate.numerator(cells)), np.asarray(rate.denominator(cells))


def _entries(counted: Counted, rate: Rate, label: str | None) -> Entries:
    """What the units hold of the denominators."""
    units, classes = counted.units, len(counted.labels)
    assert units is not None  # noqa: S101 - the caller has looked
    event, size = _kinds(counted, rate, label)
    inside = size > 0
    kind = units.cell % (classes * classes)
    kept = inside[kind]
    weight = units.counts.astype(float) if units.weights is None else units.weights
    cell = units.cell[kept]
    return Entries(units.unit[kept], counted.group_of[cell], weight[kept], event[kind[kept]].astype(float))
