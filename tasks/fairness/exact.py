"""An exact answer to "does the first rate lie below a function of the second?", at any size.

Two independent binomial counts, x1 of n1 and x2 of n2, and the hypothesis H0: p1 >= boundary(p2), a
line or a curve (`tasks.fairness.boundaries`). Every parity limit is of this form
(`tasks.fairness.scales`). H0 is rejected when the unconditional p-value of the boundary's statistic
(Chan 1998, Statistics in Medicine 17:1403) is at most alpha. The
nuisance rate is maximised over a confidence region of level 1 - gamma, whose gamma is added to the
p-value (Berger and Boos 1994, JASA 89:1012): that keeps the level, and because the region and the
outcomes that matter are a few standard deviations wide, the cost grows with sqrt(n): there is no
size too large to enumerate.

The maximum is bounded, not searched. The rejected outcomes are closed under fewer events in the first
group and more in the second (Roehmel and Mansmann 1999), so on p2 in [u, v] the probability is at
most that at (p1 = boundary(u), p2 = v); pieces are halved until the bound decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from tasks.fairness.boundaries import Boundary
from tasks.fairness.bounds import lower_limit, upper_limit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Counts = NDArray[Any]

GAMMA_SHARE = 1e-3
"""Part of alpha spent on the region of the nuisance rates."""
TIE = 1e-7
"""Statistics this close count as equal; it only enlarges the p-value."""
NATS = 32.0
"""Outcomes less likely than exp(-NATS) by Bernstein's inequality are added as if all were rejected."""
HALVINGS = 14
"""Then the p-value is within about 1e-4 of alpha, relatively, and H0 stands."""
BLOCK = 2_000_000
"""Probabilities held at once (8 bytes each)."""


@lru_cache(maxsize=4096)
def rejects(x1: int, n1: int, x2: int, n2: int, line: Boundary, alpha: float) -> bool:
    """Whether H0: p1 >= line(p2) is rejected at ``alpha``; the error rate is at most alpha at any size.

    Args:
        x1: events of the first group, 0 <= x1 <= n1.
        n1: its denominator, at least 1.
        x2: events of the second group.
        n2: its denominator, at least 1.
        line: the boundary of H0.
        alpha: one-sided level.
    """
    gamma = GAMMA_SHARE * alpha
    low1, high1 = _region(x1, n1, gamma)
    low2, high2 = _region(x2, n2, gamma)
    high2 = min(high2, line.inverse(high1))
    if low2 > high2:
        return True  # no rates in H0 lie in the region, which misses the truth with probability gamma
    region = _Rejected.like(x1, n1, x2, n2, line, (low1, high1, low2, high2))
    return _stays_below(region, line, (low1, low2, high2), alpha - gamma)


def _region(x: int, n: int, gamma: float) -> tuple[float, float]:
    """Clopper-Pearson limits that miss the rate with probability at most gamma / 2."""
    events, size = np.array([x]), np.array([n])
    return float(lower_limit(events, size, gamma / 4)[0]), float(upper_limit(events, size, gamma / 4)[0])


def _stays_below(rejected: _Rejected, line: Boundary, box: tuple[float, float, float], level: float) -> bool:
    """Whether P(rejected) is at most ``level`` for all p2 in [low2, high2] with p1 = line(p2) (or low1)."""
    low1, low2, high2 = box
    edges = np.linspace(low2, high2, 9)
    left, right = edges[:-1], edges[1:]
    for _ in range(HALVINGS):
        is_open = rejected.probability(np.maximum(line.at(left), low1), right) > level
        if not is_open.any():
            return True
        left, right = left[is_open], right[is_open]
        middle = (left + right) / 2
        if (rejected.probability(np.maximum(line.at(middle), low1), middle) > level).any():
            return False
        left, right = np.concatenate([left, middle]), np.concatenate([middle, right])
    return False


def _window(n: int, low: float, high: float) -> tuple[int, int]:
    """First and last count that matter for rates in [low, high] (Bernstein's inequality)."""
    nearest_half = min(max(0.5, low), high)
    reach = np.sqrt(2 * NATS * n * nearest_half * (1 - nearest_half)) + 2 * NATS / 3
    return max(0, int(n * low - reach)), min(n, int(n * high + reach) + 1)


@dataclass(frozen=True)
class _Rejected:
    """The outcomes at least as extreme as the one seen: x2 >= first[x1].

    ``x`` and ``y`` are the counts of either group that matter, with their log binomial coefficients;
    ``first`` holds positions within ``y``, len(y) for "none".
    """

    n1: int
    n2: int
    x: Ints
    y: Ints
    log_ways_x: Floats
    log_ways_y: Floats
    first: Ints

    @classmethod
    def like(
        cls, x1: int, n1: int, x2: int, n2: int, line: Boundary, box: tuple[float, float, float, float]
    ) -> _Rejected:
        low1, high1, low2, high2 = box
        start1, stop1 = _window(n1, low1, high1)
        start2, stop2 = _window(n2, low2, high2)
        x, y = np.arange(start1, stop1 + 1), np.arange(start2, stop2 + 1)
        own = line.ordering(np.array([x1]), n1, np.array([x2]), n2)
        seen = own(np.zeros(1, np.int64))[0] + TIE
        statistic = line.ordering(x, n1, y, n2)
        low, high = np.zeros(len(x), np.int64), np.full(len(x), len(y), np.int64)
        while (low < high).any():
            middle = (low + high) // 2
            inside = statistic(np.minimum(middle, len(y) - 1)) <= seen
            low, high = np.where(inside | (low >= high), low, middle + 1), np.where(inside, middle, high)
        # Closed under fewer events in the first group, by construction where rounding breaks it.
        first = np.minimum.accumulate(high[::-1])[::-1]
        return cls(n1, n2, x, y, _log_ways(n1, x), _log_ways(n2, y), first)

    def probability(self, p1: Floats, p2: Floats) -> Floats:
        """P(rejected) at each pair of rates, from above: what no window holds counts as rejected."""
        pieces = max(1, len(p1) * (len(self.x) + len(self.y)) // BLOCK)
        parts = zip(np.array_split(p1, pieces), np.array_split(p2, pieces), strict=True)
        return np.concatenate([self._probability(a, b) for a, b in parts])

    def _probability(self, p1: Floats, p2: Floats) -> Floats:
        chance = _pmf(self.n1, self.x, self.log_ways_x, p1)
        tail = np.cumsum(_pmf(self.n2, self.y, self.log_ways_y, p2)[:, ::-1], axis=1)[:, ::-1]
        outside = np.maximum(0.0, 1 - chance.sum(axis=1)) + np.maximum(0.0, 1 - tail[:, 0])
        tail = np.concatenate([tail, np.zeros((len(p2), 1))], axis=1)
        return np.asarray(np.einsum("ij,ij->i", chance, tail[:, self.first]) + outside)


def _log_ways(n: int, counts: Ints) -> Floats:
    return np.asarray(gammaln(n + 1) - gammaln(counts + 1) - gammaln(n - counts + 1))


def _pmf(n: int, counts: Ints, log_ways: Floats, p: Floats) -> Floats:
    """Binomial probabilities, one row per rate."""
    p = np.clip(p, 1e-300, 1 - 1e-16)[:, None]
    return np.asarray(np.exp(log_ways + counts * np.log(p) + (n - counts) * np.log1p(-p)))
