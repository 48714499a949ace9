"""ABROCA, the area between two groups' ROC curves (Gardner et al. 2019), with limits for every pair.

The area's noise never makes it smaller on average, and larger by at most the mean area of the noise
alone. That mean and the spread come from replicates drawn from the cube: rows of each group and class
drawn again and counted are multinomial over the score's bins, so no rows are needed. The seed is a
digest of the counts: the same cube gives the same bytes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from tasks.fairness import bounds
from tasks.fairness.counted import Counted
from tasks.fairness.scales import Scale
from tasks.fairness.scored import Auc, Histograms, auc

Floats = NDArray[np.float64]

REPLICATES = 400
POINTS = 101
"""False positive rates at which curves are compared."""


@dataclass(frozen=True, eq=False)
class Areas(Auc):
    """AUC by group, and the area between the curves of each pair."""

    @cached_property
    def curves(self) -> Floats:
        """TPR of each group at even FPRs, [groups, points]; nan where undefined."""
        counts = zip(self.counts.positives, self.counts.negatives, strict=True)
        return np.stack([_curve(positives, negatives) for positives, negatives in counts])

    @cached_property
    def noise(self) -> Floats:
        """Replicates of each curve less the curve, [groups, replicates, points]."""
        return np.stack([_noise(self.counts, g) for g in range(len(self.names))])

    @cached_property
    def areas(self) -> tuple[Floats, Floats, Floats]:
        """Of each pair [g, h]: the area, how much too large it may be on average, and its spread."""
        groups = len(self.names)
        area, bias, spread = (np.full((groups, groups), np.nan) for _ in range(3))
        for g, h in combinations(np.flatnonzero(self.comparable).tolist(), 2):
            gap, moved = self.curves[g] - self.curves[h], self.noise[g] - self.noise[h]
            signed = np.trapezoid(np.sign(gap) * moved, dx=1 / (POINTS - 1), axis=1).std(ddof=1)
            again = np.trapezoid(np.abs(gap + moved), dx=1 / (POINTS - 1), axis=1).std(ddof=1)
            area[g, h] = area[h, g] = np.trapezoid(np.abs(gap), dx=1 / (POINTS - 1))
            bias[g, h] = bias[h, g] = np.trapezoid(np.abs(moved), dx=1 / (POINTS - 1), axis=1).mean()
            spread[g, h] = spread[h, g] = max(signed, again)
        return area, bias, spread

    def values(self, scale: Scale) -> Floats:  # noqa: ARG002 - areas have one scale
        """Areas between the curves of each pair."""
        return self.areas[0]

    def worst_case(self, scale: Scale, level: float, *, certain: bool = False) -> Floats:  # noqa: ARG002 - one scale
        """Upper limits of the areas, which are at least the differences in AUC with limits of their own.

        No certain ones are known.
        """
        if certain:
            return np.ones((len(self.names), len(self.names)))
        area, _bias, spread = self.areas
        apart = bounds.difference_upper(*self.limits(level))
        shown = np.maximum(area + self._steps(level) * spread + self._hidden, np.maximum(apart, apart.T))
        return np.asarray(np.minimum(shown, 1.0))

    def best_case(self, scale: Scale, level: float, *, certain: bool = False) -> Floats:  # noqa: ARG002 - one scale
        """Lower limits of the areas; the certain ones are those of the differences in AUC."""
        if certain:
            _, low, high = self.certain_limits(level / 2)
            return np.maximum(low - high.T, 0.0)
        area, bias, spread = self.areas
        return np.asarray(np.maximum(area - bias - self._steps(level) * spread - self._hidden, 0.0))

    def said_certain(self, need: str) -> str:  # noqa: ARG002 - as those of the others
        """One side alone."""
        return (
            "only a difference of the AUCs shows that it is broken, and nothing that it is kept: judge fewer "
            "limits or groups together, or lower max_judgements"
        )

    def _steps(self, level: float) -> Floats:
        z = self.quantile(level)
        return np.maximum(z[:, None], z[None, :])

    @property
    def _hidden(self) -> Floats:
        """What the bins hide of both curves: each stays within the rectangles of its bins."""
        return np.asarray(self.down[:, None] + self.down[None, :])


def areas(counted: Counted) -> Areas:
    """ROC curves by group, to be compared."""
    found = auc(counted)
    return Areas(**{field: getattr(found, field) for field in found.__dataclass_fields__})


def _curve(positives: Floats, negatives: Floats) -> Floats:
    """TPR at even FPRs, by straight lines between the bins' edges."""
    p, n = positives.sum(), negatives.sum()
    if p == 0 or n == 0:
        return np.full(POINTS, np.nan)
    fpr, tpr = (np.concatenate([[0.0], np.cumsum(c[::-1]) / t]) for c, t in ((negatives, n), (positives, p)))
    return np.asarray(np.interp(np.linspace(0, 1, POINTS), fpr, tpr))


def _noise(counts: Histograms, g: int) -> Floats:
    positives, negatives = counts.positives[g], counts.negatives[g]
    p, n = int(positives.sum()), int(negatives.sum())
    if p == 0 or n == 0:
        return np.full((REPLICATES, POINTS), np.nan)
    digest = hashlib.sha256(np.ascontiguousarray([positives, negatives], "<i8").tobytes()).digest()
    rng = np.random.default_rng([int.from_bytes(digest[:8], "little"), g])
    again = zip(
        rng.multinomial(p, positives / p, REPLICATES),
        rng.multinomial(n, negatives / n, REPLICATES),
        strict=True,
    )
    return np.stack([_curve(*pair) for pair in again]) - _curve(positives, negatives)
