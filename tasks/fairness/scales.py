"""The scales of a limit (difference, ratio, least, greatest ...): what differs between them, and no more.

What is compared is an ordered pair [g, h]: does g lie too far above h? A limit on every group's own
value takes each group by itself, as the pair [g, g].
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from math import exp
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tasks.fairness import bounds
from tasks.fairness.boundaries import Boundary, Curve, Line
from tasks.fairness.links import IDENTITY, Link

Floats = NDArray[np.float64]
Limits = tuple[Floats, Floats, Floats]
"""Values [groups], and their lower and upper limits, [groups, 1] or [g, h] (`tasks.fairness.bounds`)."""


class Scale(Protocol):
    """How two values are compared, or one with its limit.

    Attributes:
        sign: 1 where larger values are worse, -1 where smaller values are.
        anything: a value that keeps no claim: every pair is known to keep it.
        equality: the best value that there can be.
        alone: whether groups are held against the limit each by itself.
        prior: events and other rows added to each share before it is compared as a point.
    """

    sign: int
    anything: float
    equality: float
    alone: bool
    prior: float

    def value(self, value: Floats) -> Floats:
        """The metric of each pair [g, h]; nan where undefined."""
        ...

    def worst_case(self, limits: Limits) -> Floats:
        """One-sided bound of each pair on the bad side: PASS needs it within the limit."""
        ...

    def best_case(self, limits: Limits) -> Floats:
        """One-sided bound of each pair on the good side: FAIL needs it beyond the limit."""
        ...

    def apart(self, over: Floats, under: Floats) -> Floats:
        """The metric of each pair where g lies at ``over`` and h at ``under``, limits of their own.

        With g's upper and h's lower limits, each at half of a level, this is the box bound: it holds at
        that level whatever the limits are of, which MOVER's does not.
        """
        ...

    def kept(self, limit: float, link: Link, level: float) -> Boundary:
        """H0 "g lies too far above h", as p[g] >= boundary(p[h]); its rejection is PASS."""
        ...

    def broken(self, limit: float, link: Link, level: float) -> Boundary:
        """H0 "g lies not too far above h", as p[h] >= boundary(p[g]); its rejection is FAIL."""
        ...

    def margin(self, limit: float) -> tuple[float, float]:
        """The limit as value[g] = slope * value[h] + intercept."""
        ...

    def distance(self, standard_errors: float, value: float, error: float) -> float:
        """The metric of two values near ``value`` that lie so many standard errors apart."""
        ...


def pairs_of(scale: Scale, groups: Sequence[int]) -> list[tuple[int, int]]:
    """What a scale compares: ordered pairs, or each group with itself."""
    return [(g, g) for g in groups] if scale.alone else list(permutations(groups, 2))


class Difference:
    """value[g] - value[h], to be at most the limit."""

    sign = 1
    equality = 0.0
    alone = False
    prior = 0.0

    def __init__(self, widest: float = 1.0) -> None:
        """Differences are at most ``widest``."""
        self.anything = widest

    def value(self, value: Floats) -> Floats:
        """Differences, [g, h]."""
        return np.asarray(value[:, None] - value[None, :])

    def worst_case(self, limits: Limits) -> Floats:
        """Upper limit of the difference."""
        return np.minimum(bounds.difference_upper(*limits), self.anything)

    def best_case(self, limits: Limits) -> Floats:
        """Lower limit of the difference."""
        return -np.minimum(bounds.difference_upper(*limits), self.anything).T

    def apart(self, over: Floats, under: Floats) -> Floats:
        """Difference of limits."""
        return np.clip(over - under.T, -self.anything, self.anything)

    def kept(self, limit: float, link: Link, level: float) -> Boundary:
        """H0: value[g] >= value[h] + limit."""
        return Line(1.0, limit) if link is IDENTITY else Curve(link, 1.0, limit, level)

    def broken(self, limit: float, link: Link, level: float) -> Boundary:
        """H0: value[h] >= value[g] - limit."""
        return Line(1.0, -limit) if link is IDENTITY else Curve(link, 1.0, -limit, level)

    def margin(self, limit: float) -> tuple[float, float]:
        """So far apart."""
        return 1.0, limit

    def distance(self, standard_errors: float, value: float, error: float) -> float:  # noqa: ARG002 - a scale's
        """So many standard errors of a difference."""
        return min(self.anything, standard_errors * error)


class Ratio:
    """value[h] / value[g], to be at least the limit (four-fifths)."""

    sign = -1
    anything = 0.0
    equality = 1.0
    alone = False
    prior = 0.0

    def value(self, value: Floats) -> Floats:
        """Ratios, [g, h]; undefined (nan) where both values are 0."""
        over = np.where(value == 0, np.nan, value)[:, None]
        return np.where((value == 0)[:, None] & (value > 0)[None, :], np.inf, value[None, :] / over)

    def worst_case(self, limits: Limits) -> Floats:
        """Lower limit of the ratio."""
        return bounds.ratio_lower(*limits)

    def best_case(self, limits: Limits) -> Floats:
        """Upper limit of the ratio."""
        return bounds.ratio_upper(*limits)

    def apart(self, over: Floats, under: Floats) -> Floats:
        """Ratio of limits, infinite where the greater may be 0."""
        above, below = np.maximum(over, 0.0), np.maximum(under, 0.0).T
        return np.where(above > 0, below / np.where(above > 0, above, 1.0), np.inf)

    def kept(self, limit: float, link: Link, level: float) -> Boundary:
        """H0: value[g] >= value[h] / limit."""
        return Line(1 / limit, 0.0) if link is IDENTITY else Curve(link, 1 / limit, 0.0, level)

    def broken(self, limit: float, link: Link, level: float) -> Boundary:
        """H0: value[h] >= limit * value[g]."""
        return Line(limit, 0.0) if link is IDENTITY else Curve(link, limit, 0.0, level)

    def margin(self, limit: float) -> tuple[float, float]:
        """So many times as large."""
        return 1 / limit, 0.0

    def distance(self, standard_errors: float, value: float, error: float) -> float:
        """So many standard errors below 1, on the logarithm (Katz et al. 1978)."""
        return float(np.exp(-standard_errors * error / value))


class LogRatio:
    """ln(value[g] / value[h]), to be at most the limit (epsilon of differential fairness)."""

    sign = 1
    anything = float("inf")
    equality = 0.0
    alone = False
    prior = 0.5
    ratio = Ratio()

    def value(self, value: Floats) -> Floats:
        """Logarithms of ratios, [g, h]."""
        with np.errstate(divide="ignore"):
            return -np.log(self.ratio.value(value))

    def worst_case(self, limits: Limits) -> Floats:
        """Upper limit of the logarithm; infinite where value[h] may be 0."""
        with np.errstate(divide="ignore"):
            return -np.log(self.ratio.worst_case(limits))

    def best_case(self, limits: Limits) -> Floats:
        """Lower limit of the logarithm."""
        with np.errstate(divide="ignore"):
            return -np.log(self.ratio.best_case(limits))

    def apart(self, over: Floats, under: Floats) -> Floats:
        """Logarithm of the ratio of limits."""
        with np.errstate(divide="ignore"):
            return -np.log(self.ratio.apart(over, under))

    def kept(self, limit: float, link: Link, level: float) -> Boundary:
        """H0: value[g] >= exp(limit) value[h]."""
        return self.ratio.kept(exp(-limit), link, level)

    def broken(self, limit: float, link: Link, level: float) -> Boundary:
        """H0: value[h] >= exp(-limit) value[g]."""
        return self.ratio.broken(exp(-limit), link, level)

    def margin(self, limit: float) -> tuple[float, float]:
        """So many times as large."""
        return exp(limit), 0.0

    def distance(self, standard_errors: float, value: float, error: float) -> float:
        """So many standard errors of the logarithm."""
        return standard_errors * error / value


class Greatest:
    """value[g], to be at most the limit."""

    sign = 1
    anything = float("inf")
    equality = 0.0
    alone = True
    prior = 0.0

    def value(self, value: Floats) -> Floats:
        """Values, on the diagonal."""
        return np.diag(value)

    def worst_case(self, limits: Limits) -> Floats:
        """Upper limit of the value."""
        return np.diag(own(limits[2]))

    def best_case(self, limits: Limits) -> Floats:
        """Lower limit of the value."""
        return np.diag(own(limits[1]))

    def apart(self, over: Floats, under: Floats) -> Floats:  # noqa: ARG002 - no pair
        """The group's own limit."""
        return np.diag(own(over))

    def kept(self, limit: float, link: Link, level: float) -> Boundary:  # noqa: ARG002 - as the others
        """No pair is compared: the limits of a group are exact.

        Raises:
            TypeError: always; the gate asks only scales of pairs.
        """
        raise TypeError("a limit on each group's own value compares no pair")

    broken = kept

    def margin(self, limit: float) -> tuple[float, float]:
        """The limit alone."""
        return 0.0, limit

    def distance(self, standard_errors: float, value: float, error: float) -> float:
        """So many standard errors above the value."""
        return value + standard_errors * error


class Least(Greatest):
    """value[g], to be at least the limit."""

    sign = -1
    anything = 0.0
    equality = float("inf")

    def worst_case(self, limits: Limits) -> Floats:
        """Lower limit of the value."""
        return np.diag(own(limits[1]))

    def best_case(self, limits: Limits) -> Floats:
        """Upper limit of the value."""
        return np.diag(own(limits[2]))

    def distance(self, standard_errors: float, value: float, error: float) -> float:
        """So many standard errors below the value."""
        return max(0.0, value - standard_errors * error)


def own(limits: Floats) -> Floats:
    """A group's limits where it is compared with none but itself."""
    return limits[:, 0] if limits.shape[1] == 1 else np.diag(limits)
