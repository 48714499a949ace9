"""What a regression's metrics compare between groups: means of numbers, and distances of distributions.

Limits hold whatever the numbers are, at every size and level, because the numbers lie in a known range: those
of a mean by betting (`tasks.fairness.betting`), those of a distance by Massart's inequality. So nothing is
proposed first and confirmed later, and a pair of groups gets the box bound: each group's limit at half of
the level.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tasks.fairness.betting import mean_limits
from tasks.fairness.groups import Bools, Floats, Groups
from tasks.fairness.scales import Limits, Scale

Root = Literal[1, 2]


@dataclass(frozen=True, eq=False)
class Certain(Groups):
    """A quantity whose limits always hold."""

    @property
    def large(self) -> Bools:
        """All are: no limit waits for rows."""
        return np.ones(len(self.names), bool)

    def worst_case(self, scale: Scale, level: float, *, certain: bool = True) -> Floats:  # noqa: ARG002 - it is
        """Bounds of each pair on the bad side, which share the level between both groups."""
        return super().worst_case(scale, level, certain=True)

    def best_case(self, scale: Scale, level: float, *, certain: bool = True) -> Floats:  # noqa: ARG002 - it is
        """Bounds of each pair on the good side, likewise."""
        return super().best_case(scale, level, certain=True)


@dataclass(frozen=True, eq=False)
class Means(Certain):
    """Means of numbers within a range, or their square roots.

    Attributes:
        weights: rows shared out over the nodes, shape [groups, nodes].
        nodes: rising, from the smallest to the largest number.
        root: 2 for the square root of the mean.
    """

    weights: Floats
    nodes: Floats
    root: Root = 1

    def limits(self, level: float, *, certain: bool = True) -> Limits:  # noqa: ARG002 - always
        """Means and one-sided limits of each group."""
        low, high = (
            np.maximum(limit, 0) ** 0.5 if self.root == 2 else limit for limit in self._limits(level)
        )
        return self.value, low[:, None], high[:, None]

    def _limits(self, level: float) -> tuple[Floats, Floats]:
        return mean_limits(self.weights, self.nodes, level)


@dataclass(frozen=True, eq=False)
class Distances(Certain):
    """Largest distance of each group's distribution from that of all rows.

    With p a group's share of the rows, which is taken as it is, P(f >= z | g) - P(f >= z) is 1 - p times the
    distance from all other rows; either distribution is known within sqrt(ln(4 / level) / 2n), at once for
    all z (Massart 1990; two of them share the level).

    Attributes:
        attained: the distance at the histogram's edges, shape [groups].
        possible: the largest that the rows may have between edges.
        all_rows: of all groups together.
    """

    attained: Floats
    possible: Floats
    all_rows: int

    def limits(self, level: float, *, certain: bool = True) -> Limits:  # noqa: ARG002 - always
        """Distances and their limits of each group, in [0, 1]."""
        others = self.all_rows - self.rows
        known = (self.rows > 0) & (others > 0)
        both = 1 / np.sqrt(np.where(known, self.rows, 1)) + 1 / np.sqrt(np.where(known, others, 1))
        share = others / max(1, self.all_rows)
        margin = np.where(known, share * both * np.sqrt(log(4 / level) / 2), np.inf)
        low, high = np.maximum(self.attained - margin, 0), np.minimum(self.possible + margin, 1)
        return self.value, low[:, None], high[:, None]


def folded(weights: NDArray[np.float64], nodes: Floats) -> tuple[Floats, Floats]:
    """Weights and nodes of absolute values, of nodes that lie alike on either side of 0."""
    middle = len(nodes) // 2
    both = weights[:, middle:].copy()
    both[:, 1:] += weights[:, middle - 1 :: -1]
    return both, nodes[middle:]
