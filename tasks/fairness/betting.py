"""Limits of a mean of numbers that lie in a known range: they hold at every size, level and distribution.

By betting (Waudby-Smith and Ramdas 2024, JRSS B 86:1), with a fixed mixture of bets: of x in [0, 1] with a
mean of at least m, the product over the rows of 1 + k (m - x) / (1 - m), 0 <= k < 1, is never negative and
has an expectation of at most 1; so has the mean of such products over several k. By Markov's inequality it
exceeds 1 / alpha with a chance of at most alpha. The upper limit is the smallest m at which it does, the
lower one mirrors it. The bets k depend on the number of rows and the level alone.

Rows are kept on nodes: each is shared by the two nodes around it so that its mean stays (`share_out`). A
logarithm is concave, so the products of the nodes are at most those of the rows: sharing costs a little width
and no guarantee.
"""

from __future__ import annotations

from math import log

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BETS = 8
"""sqrt(2 ln(1 / alpha) / rows) times 1, 2, 4 ...: the best bet is that over the standard deviation."""
LARGEST_BET = 0.9
HALVINGS = 40


def share_out(values: Floats, codes: Ints, nodes: Floats, groups: int) -> Floats:
    """Weights of the nodes by group: each row is divided between the nodes on either side of it.

    Args:
        values: within the nodes' range, shape [rows].
        codes: group of each row, in [0, groups).
        nodes: rising, at least two.
        groups: how many.

    Returns:
        Shape [groups, nodes]; a group's weights add up to its rows, weights times nodes to its sum.
    """
    left = np.clip(np.searchsorted(nodes, values, side="right") - 1, 0, len(nodes) - 2)
    share = (values - nodes[left]) / (nodes[left + 1] - nodes[left])
    size, place = groups * len(nodes), codes * len(nodes) + left
    weights = np.bincount(place, 1 - share, size) + np.bincount(place + 1, share, size)
    return np.asarray(weights, np.float64).reshape(groups, len(nodes))


def mean_limits(weights: Floats, nodes: Floats, level: float) -> tuple[Floats, Floats]:
    """One-sided lower and upper limit of each group's mean.

    Args:
        weights: rows by node, shape [groups, nodes].
        nodes: rising; the values' range is from the first to the last.
        level: of either limit, in (0, 1).

    Returns:
        Two arrays [groups]; nan for groups without rows.
    """
    first, width = nodes[0], nodes[-1] - nodes[0]
    unit = (nodes - first) / width
    high = first + width * _upper(weights, unit, level)
    low = first + width * (1 - _upper(weights, 1 - unit, level))
    return low, high


def _upper(weights: Floats, unit: Floats, level: float) -> Floats:
    """Upper limits in [0, 1]: the smallest mean that is refuted, found by halving from above."""
    rows = weights.sum(axis=1)
    known = np.where(rows > 0, rows, 1.0)
    bets = np.sqrt(2 * log(1 / level) / known)[:, None] * 2.0 ** np.arange(BETS)
    bets = np.minimum(bets, LARGEST_BET)
    low, high = weights @ unit / known, np.ones(len(weights))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        refuted = _capital(weights, unit, middle, bets) >= log(1 / level)
        low, high = np.where(refuted, low, middle), np.where(refuted, middle, high)
    return np.where(rows > 0, high, np.nan)


def _capital(weights: Floats, unit: Floats, mean: Floats, bets: Floats) -> Floats:
    """Logarithm of the mean over bets of the product over rows, [groups]."""
    below = np.maximum(1 - mean, 1e-12)
    gain = (mean[:, None] - unit[None, :]) / below[:, None]
    logs = np.einsum("gn,gbn->gb", weights, np.log1p(bets[:, :, None] * np.maximum(gain, -1.0)[:, None, :]))
    return np.asarray(np.logaddexp.reduce(logs, axis=1) - log(bets.shape[1]))
