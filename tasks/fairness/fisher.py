"""Fisher's exact test of two shares, without scipy.stats: importing that takes longer than an audit."""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

TIE = 1e-7
"""Tables within this relative distance count as equally probable, as in R and scipy."""
WIDTHS = 40
"""Tables further from the mean than so many standard deviations add nothing that a float shows."""


def two_sided(x: int, n: int, y: int, m: int) -> float:
    """Fisher's two-sided p-value of x of n against y of m (Fisher 1935; Agresti 2002, section 3.5).

    The probability, with both margins fixed and equal shares, of every table that is no more probable
    than this one.

    Args:
        x: events of the first group, 0 to n.
        n: its rows, at least 1.
        y: events of the second group, 0 to m.
        m: its rows, at least 1.
    """
    events = x + y
    low, high = max(0, events - m), min(n, events)
    mean = events * n / (n + m)
    spread = WIDTHS * sqrt(mean * (m / (n + m)) + 1)
    first, last = max(low, min(x, int(mean - spread))), min(high, max(x, int(mean + spread) + 1))
    k = np.arange(first, last + 1, dtype=np.float64)
    logs = _log_choose(n, k) + _log_choose(m, events - k)
    shares = np.exp(logs - logs.max())
    shares /= shares.sum()
    return float(min(1.0, shares[shares <= shares[x - first] * (1 + TIE)].sum()))


def _log_choose(n: int, k: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))
