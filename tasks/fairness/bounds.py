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
    """One-sided lower Clopper-Pearson limit of each rate; nan where n is 0."""
    limit = betaincinv(np.maximum(events, 1), n - events + 1, alpha)
    return np.where(n == 0, np.nan, np.where(events == 0, 0.0, limit))


def upper_limit(events: Counts, n: Counts, alpha: float) -> Floats:
    """One-sided upper Clopper-Pearson limit of each rate; nan where n is 0."""
    limit = betaincinv(events + 1, np.maximum(n - events, 1), 1 - alpha)
    return np.where(n == 0, np.nan, np.where(events == n, 1.0, limit))


def proportion(events: Counts, n: Counts) -> Floats:
    """Events / n; nan where n is 0."""
    return np.where(n == 0, np.nan, events / np.maximum(n, 1))


def difference_upper(events: Counts, n: Counts, alpha: float) -> Floats:
    """Upper limit of rate[g] - rate[h] for every ordered pair.

    Args:
        events: counts, shape [groups].
        n: denominators, shape [groups].
        alpha: one-sided level.

    Returns:
        Limits [g, h] in [-1, 1]; nan where a rate is undefined.
    """
    rate = proportion(events, n)
    above = upper_limit(events, n, alpha) - rate
    below = rate - lower_limit(events, n, alpha)
    gap = rate[:, None] - rate[None, :]
    return np.asarray(np.minimum(gap + np.hypot(above[:, None], below[None, :]), 1.0))


def difference_lower(events: Counts, n: Counts, alpha: float) -> Floats:
    """Lower limit of rate[g] - rate[h] for every ordered pair; see `difference_upper`."""
    return -difference_upper(events, n, alpha).T


def ratio_lower(events: Counts, n: Counts, alpha: float) -> Floats:
    """Lower limit of rate[h] / rate[g] for every ordered pair [g, h]: how small the share may be.

    The limit is the c at which MOVER's lower limit of rate[h] - c * rate[g] is 0.

    Args:
        events: counts, shape [groups].
        n: denominators, shape [groups].
        alpha: one-sided level.

    Returns:
        Limits [g, h] >= 0; 0 where rate[h] may be 0; nan where a rate is undefined.
    """
    rate = proportion(events, n)
    low, high = lower_limit(events, n, alpha), upper_limit(events, n, alpha)
    product = rate[:, None] * rate[None, :]
    a = (high * (2 * rate - high))[:, None]
    b = (low * (2 * rate - low))[None, :]
    bottom = product + np.sqrt(np.maximum(product**2 - a * b, 0.0))
    return np.where(b == 0, 0.0 * bottom, b / np.where(bottom == 0, 1.0, bottom))


def ratio_upper(events: Counts, n: Counts, alpha: float) -> Floats:
    """Upper limit of rate[h] / rate[g] for every ordered pair [g, h]; infinite where rate[g] may be 0."""
    inverse = ratio_lower(events, n, alpha).T
    return np.where(inverse == 0, np.inf, 1 / np.where(inverse == 0, 1.0, inverse))
