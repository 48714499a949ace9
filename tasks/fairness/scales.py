"""The two scales of a parity limit, difference and ratio: what differs between them, and no more.

A pair [g, h] is ordered: is the rate of g too far above the rate of h?
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tasks.fairness import bounds
from tasks.fairness.exact import Line

Floats = NDArray[np.float64]
Counts = NDArray[Any]


class Scale(Protocol):
    """How two rates are compared.

    Attributes:
        sign: 1 where larger values are worse, -1 where smaller values are.
        anything: the value that every pair keeps: no claim.
        equality: the value of equal rates.
    """

    sign: int
    anything: float
    equality: float

    def value(self, rate: Floats) -> Floats:
        """The metric of each pair [g, h]; nan where undefined."""
        ...

    def worst_case(self, events: Counts, n: Counts, alpha: float) -> Floats:
        """One-sided bound of each pair on the bad side: PASS needs it within the limit."""
        ...

    def best_case(self, events: Counts, n: Counts, alpha: float) -> Floats:
        """One-sided bound of each pair on the good side: FAIL needs it beyond the limit."""
        ...

    def kept(self, limit: float) -> Line:
        """H0 "g lies too far above h", as rate[g] >= line(rate[h]); its rejection is PASS."""
        ...

    def broken(self, limit: float) -> Line:
        """H0 "g lies not too far above h", as rate[h] >= line(rate[g]); its rejection is FAIL."""
        ...

    def distance(self, standard_errors: float, rate: float, inverse_n: float) -> float:
        """The metric of two rates near ``rate`` that lie so many standard errors apart."""
        ...


class Difference:
    """rate[g] - rate[h], to be at most the limit."""

    sign = 1
    anything = 1.0
    equality = 0.0

    def value(self, rate: Floats) -> Floats:
        """Differences, [g, h]."""
        return np.asarray(rate[:, None] - rate[None, :])

    def worst_case(self, events: Counts, n: Counts, alpha: float) -> Floats:
        """Upper limit of the difference."""
        return bounds.difference_upper(events, n, alpha)

    def best_case(self, events: Counts, n: Counts, alpha: float) -> Floats:
        """Lower limit of the difference."""
        return bounds.difference_lower(events, n, alpha)

    def kept(self, limit: float) -> Line:
        """H0: rate[g] >= rate[h] + limit."""
        return Line(1.0, limit)

    def broken(self, limit: float) -> Line:
        """H0: rate[h] >= rate[g] - limit."""
        return Line(1.0, -limit)

    def distance(self, standard_errors: float, rate: float, inverse_n: float) -> float:
        """So many standard errors of a difference."""
        return min(1.0, standard_errors * float(np.sqrt(rate * (1 - rate) * inverse_n)))


class Ratio:
    """rate[h] / rate[g], to be at least the limit (four-fifths)."""

    sign = -1
    anything = 0.0
    equality = 1.0

    def value(self, rate: Floats) -> Floats:
        """Ratios, [g, h]; undefined (nan) where both rates are 0."""
        over = np.where(rate == 0, np.nan, rate)[:, None]
        return np.where((rate == 0)[:, None] & (rate > 0)[None, :], np.inf, rate[None, :] / over)

    def worst_case(self, events: Counts, n: Counts, alpha: float) -> Floats:
        """Lower limit of the ratio."""
        return bounds.ratio_lower(events, n, alpha)

    def best_case(self, events: Counts, n: Counts, alpha: float) -> Floats:
        """Upper limit of the ratio."""
        return bounds.ratio_upper(events, n, alpha)

    def kept(self, limit: float) -> Line:
        """H0: rate[g] >= rate[h] / limit."""
        return Line(1 / limit, 0.0)

    def broken(self, limit: float) -> Line:
        """H0: rate[h] >= limit * rate[g]."""
        return Line(limit, 0.0)

    def distance(self, standard_errors: float, rate: float, inverse_n: float) -> float:
        """So many standard errors below 1, on the logarithm (Katz et al. 1978)."""
        return float(np.exp(-standard_errors * np.sqrt((1 - rate) / rate * inverse_n)))


SCALES: dict[str, Scale] = {"difference": Difference(), "ratio": Ratio()}
