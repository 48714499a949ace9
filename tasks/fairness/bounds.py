"""Confidence limits in closed form: of one proportion, and of all pairs of proportions at once.

The limits of a pair combine those of its two rates (MOVER: Newcombe 1998; Donner and Zou 2012 for
ratios), taken from Clopper and Pearson. They are quick and nearly exact, but only nearly: at small
levels and rare events their error exceeds the level. The gate lets them propose and lets
`tasks.fairness.exact` confirm.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

Floats = NDArray[np.float64]
Counts = NDArray[Any]


def lower_limit(events: Counts, n: Counts, alpha: float) -> Floats:
    """One-sided lower Clopper-Pearson limit of each rate; nan where n is 0.

    Effective counts may lie between 0 and 1, and are taken as they are.
    """
    limit = betaincinv(np.where(events > 0, events, 1), n - events + 1, alpha)
    return np.where(n == 0, np.nan, np.where(events == 0, 0.0, limit))


def upper_limit(events: Counts, n: Counts, alpha: float) -> Floats:
    """One-sided upper Clopper-Pearson limit of each rate, of effective counts too; nan where n is 0."""
    limit = betaincinv(events + 1, np.where(n > events, n - events, 1), 1 - alpha)
    return np.where(n == 0, np.nan, np.where(events == n, 1.0, limit))


def proportion(events: Counts, n: Counts) -> Floats:
    """Events / n; nan where n is 0."""
    return np.where(n == 0, np.nan, events / np.maximum(n, 1))


def difference_upper(value: Floats, low: Floats, high: Floats) -> Floats:
    """MOVER's upper limit of value[g] - value[h] for every ordered pair.

    Args:
        value: of each group, shape [groups].
        low: lower limits, [groups, 1], or [g, h] where those of g depend on whom it is compared with.
        high: upper limits, likewise.

    Returns:
        Limits [g, h]; nan where a value is undefined.
    """
    own = value[:, None]
    gap = own - value[None, :]
    return np.asarray(gap + np.hypot(high - own, (own - low).T))


def ratio_lower(value: Floats, low: Floats, high: Floats) -> Floats:
    """MOVER's lower limit of value[h] / value[g] for every ordered pair [g, h]: how small it may be.

    The limit is the c at which MOVER's lower limit of value[h] - c * value[g] is 0.

    Returns:
        Limits [g, h] >= 0; 0 where value[h] may be 0; nan where a value is undefined.
    """
    own = value[:, None]
    product = own * value[None, :]
    a = high * (2 * own - high)
    b = (low * (2 * own - low)).T
    bottom = product + np.sqrt(np.maximum(product**2 - a * b, 0.0))
    limit = b / np.where(bottom == 0, 1.0, bottom)
    return np.where((low <= 0).T, 0.0 * bottom, np.where(np.isinf(high), 0.0, limit))


def ratio_upper(value: Floats, low: Floats, high: Floats) -> Floats:
    """Upper limit of value[h] / value[g] for every ordered pair [g, h]; infinite where value[g] may be 0."""
    inverse = ratio_lower(value, low, high).T
    return np.where(inverse == 0, np.inf, 1 / np.where(inverse == 0, 1.0, inverse))
