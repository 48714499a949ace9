"""Boundaries of the hypotheses H0: p1 >= boundary(p2), and how outcomes are ordered against each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tasks.fairness.bounds import lower_limit, upper_limit
from tasks.fairness.links import Link

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Counts = NDArray[Any]
Ordering = Callable[[Ints], Floats]


class Boundary(Protocol):
    """A rising curve p1 = boundary(p2), and a statistic whose small values speak against H0."""

    def __hash__(self) -> int:
        """Tests are remembered by their boundary."""
        ...

    def at(self, p2: Floats) -> Floats:
        """The smallest p1 in H0, within [0, 1]."""
        ...

    def inverse(self, p1: float) -> float:
        """The p2 at which the boundary is at ``p1``."""
        ...

    def ordering(self, x1: Ints, n1: int, x2: Ints, n2: int) -> Ordering:
        """The statistic of each ``x1`` with its own choice of ``x2``, given as positions.

        It must rise with the events of the first group and fall with those of the second.
        """
        ...


@dataclass(frozen=True)
class Line:
    """The boundary p1 = intercept + slope * p2 of H0; either slope is 1 or intercept is 0."""

    slope: float
    intercept: float

    def at(self, p2: Floats) -> Floats:
        """The smallest p1 in H0, within [0, 1]."""
        return np.clip(self.intercept + self.slope * p2, 0.0, 1.0)

    def inverse(self, p1: float) -> float:
        """The p2 at which the line is at ``p1``."""
        return (p1 - self.intercept) / self.slope

    def ordering(self, x1: Ints, n1: int, x2: Ints, n2: int) -> Ordering:
        """By the score statistic."""
        return lambda position: score(x1, n1, x2[position], n2, self)


@dataclass(frozen=True)
class Curve:
    """The boundary f(p1) = intercept + slope * f(p2) of a function of the rates.

    Outcomes are ordered by MOVER's upper limit of f(p1) - slope f(p2) - intercept, which rises with the
    first count and falls with the second, because each Clopper-Pearson limit rises with its count.

    Attributes:
        link: the function f.
        slope: above 0.
        intercept: 0 unless slope is 1.
        level: the limits' one-sided level.
    """

    link: Link
    slope: float
    intercept: float
    level: float

    def at(self, p2: Floats) -> Floats:
        """The smallest p1 in H0, within [0, 1]."""
        return self.link.back(self.intercept + self.slope * self.link.of(p2))

    def inverse(self, p1: float) -> float:
        """The p2 at which the curve is at ``p1``; below 0 where it lies above all along."""
        value = (float(self.link.of(p1)) - self.intercept) / self.slope
        return -1.0 if value < 0 else float(self.link.back(value))

    def ordering(self, x1: Ints, n1: int, x2: Ints, n2: int) -> Ordering:
        """By MOVER's upper limit; a function that is infinite in one group orders before all else."""
        with np.errstate(invalid="ignore"):
            first = self.link.of(x1 / n1)
            above = self.link.of(upper_limit(x1, np.full(len(x1), n1), self.level)) - first
            second = self.slope * self.link.of(x2 / n2)
            below = second - self.slope * self.link.of(lower_limit(x2, np.full(len(x2), n2), self.level))

        def statistic(position: Ints) -> Floats:
            with np.errstate(invalid="ignore"):
                found = first - second[position] - self.intercept + np.hypot(above, below[position])
            found = np.where(np.isinf(second[position]), -np.inf, found)
            return np.where(np.isinf(first), np.inf, found)

        return statistic


def score(x1: Counts, n1: int, x2: Counts, n2: int, line: Line) -> Floats:
    """Score statistic of p1 = line(p2): small values speak against H0: p1 >= line(p2).

    Variance from the rates' maximum-likelihood estimates on the line (Farrington and Manning 1990).

    Returns:
        (p1^ - slope p2^ - intercept) / standard error, broadcast over x1 and x2.
    """
    r1, r2 = x1 / n1, x2 / n2
    fitted = _fit_difference if line.slope == 1 and line.intercept != 0 else _fit_ratio
    p1 = np.clip(fitted(r1, r2, n2 / n1, line), 0.0, 1.0)
    p2 = np.clip((p1 - line.intercept) / line.slope, 0.0, 1.0)
    variance = p1 * (1 - p1) / n1 + line.slope**2 * p2 * (1 - p2) / n2
    gap = r1 - line.slope * r2 - line.intercept
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = gap / np.sqrt(variance)
    return np.where(np.abs(gap) < 1e-12, 0.0, statistic)


def _fit_difference(r1: Floats, r2: Floats, theta: float, line: Line) -> Floats:
    """Estimate of p1 under p1 - p2 = d: the middle root of the cubic of Farrington and Manning."""
    d = line.intercept
    a = 1 + theta
    b = -(1 + theta + r1 + theta * r2 + d * (theta + 2))
    c = d * d + d * (2 * r1 + theta + 1) + r1 + theta * r2
    constant = -r1 * d * (1 + d)
    v = (b / (3 * a)) ** 3 - b * c / (6 * a * a) + constant / (2 * a)
    u = np.where(v > 0, 1.0, -1.0) * np.sqrt(np.maximum((b / (3 * a)) ** 2 - c / (3 * a), 1e-300))
    w = (np.pi + np.arccos(np.clip(v / u**3, -1.0, 1.0))) / 3
    return np.asarray(2 * u * np.cos(w) - b / (3 * a))


def _fit_ratio(r1: Floats, r2: Floats, theta: float, line: Line) -> Floats:
    """Estimate of p1 under p1 = slope * p2: the smaller root of a quadratic."""
    a = 1 + theta
    b = line.slope * (1 + theta * r2) + theta + r1
    c = line.slope * (r1 + theta * r2)
    return np.asarray((b - np.sqrt(np.maximum(b * b - 4 * a * c, 0.0))) / (2 * a))
