"""Weighted sums of several shares by group: TPR + FPR, or the mean of a rate over the classes.

MOVER adds the squares of the shares' one-sided distances (Zou and Donner 2008). That takes independent
shares, which have no row in common and rows that are units; others add the distances themselves, each
at its part of the level (Bonferroni), which always holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.fairness.bounds import lower_limit, upper_limit
from tasks.fairness.groups import ENOUGH, Groups
from tasks.fairness.scales import Limits
from tasks.fairness.shares import Shares

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sums(Groups):
    """A weighted sum of shares by group.

    Attributes:
        terms: the shares with their weights; a negative weight subtracts.
        independent: whether the shares have no rows in common.
    """

    terms: tuple[tuple[float, Shares], ...]
    independent: bool

    @property
    def large(self) -> NDArray[np.bool_]:
        """Events and other rows of every share are enough, and the shares are independent."""
        counts = [part for _, term in self.terms for part in (term.events, term.n - term.events)]
        return np.asarray((np.min(counts, axis=0) > ENOUGH) & self.independent)

    def limits(self, level: float, *, certain: bool = False) -> Limits:
        """MOVER's limits of the sum, or those that hold whatever the shares have in common."""
        each = level / len(self.terms) if certain or not self.independent else level
        below, above = [], []
        for weight, term in self.terms:
            low, high = _limits(term, each)
            down, up = weight * (term.link.of(low) - term.value), weight * (term.link.of(high) - term.value)
            below.append(-np.minimum(down, up))
            above.append(np.maximum(down, up))
        add = np.sum if certain or not self.independent else _root_of_squares
        return (
            self.value,
            (self.value - add(below, axis=0))[:, None],
            (self.value + add(above, axis=0))[:, None],
        )


def _limits(term: Shares, level: float) -> tuple[Floats, Floats]:
    """Limits of a share by itself, not of a pair."""
    few = term.sizes.at(level)
    size = few[:, 0] if few.shape[1] == 1 else np.diag(few)
    share = np.where(np.isnan(term.share), 0.0, term.share)
    return lower_limit(share * size, size, level), upper_limit(share * size, size, level)


def _root_of_squares(values: Sequence[Floats], axis: int) -> Floats:
    return np.asarray(np.sqrt(np.sum(np.square(values), axis=axis)))


def sums(name: str, terms: Sequence[tuple[float, Shares]], *, independent: bool) -> Sums:
    """A weighted sum of shares of the same groups; judged where all its terms are."""
    first = terms[0][1]
    with np.errstate(invalid="ignore"):
        value = np.sum([weight * term.value for weight, term in terms], axis=0)
    return Sums(
        name=name,
        names=first.names,
        rows=first.rows,
        judged=np.all([term.judged for _, term in terms], axis=0),
        events=np.sum([term.events for _, term in terms], axis=0),
        n=np.sum([term.n for _, term in terms], axis=0),
        value=value,
        terms=tuple(terms),
        independent=independent,
    )
