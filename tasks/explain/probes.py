"""What a layer separates: how well a linear reading of it tells a protected attribute, or the label.

A layer that tells the group better than the input did has worked it out; one that tells it no better than
chance has lost it. That a layer tells a group does not show that decisions use it (Belinkov 2022, "Probing
classifiers"), so these figures are read beside the gate's, not for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve
from scipy.stats import norm, rankdata

from tasks.explain.answer import Flags, Floats, Positions

RIDGE = 0.1
"""Of the probe: a share of the mean square of a row, so that it means the same at any width."""
FEWEST = 20
"""Rows inside and outside a level, in each half, below which it is not told."""
DIGITS = 6


@dataclass(frozen=True)
class Separation:
    """How well a layer tells one attribute.

    Attributes:
        auc: mean over the levels of the area under the ROC curve of each against the rest, 0 to 1.
        low: lower end of the 95% interval over rows (or sampling units) of the half that was read.
        high: upper end.
        deviation: standard deviation of ``auc``.
        rows: that were read.
        levels: area of each level; those with too few rows are not there.
    """

    auc: float
    low: float
    high: float
    deviation: float
    rows: int
    levels: Mapping[str, float]


@dataclass(frozen=True)
class Halves:
    """Rows on which a probe is fitted, and others on which it is read.

    Attributes:
        fitted: positions.
        read: positions; no sampling unit is in both.
        unit: position of the sampling unit of each row, (n,).
    """

    fitted: Positions
    read: Positions
    unit: Positions

    @classmethod
    def of(cls, unit: Positions, seed: int) -> Halves:
        """Divide sampling units by chance into two halves.

        Args:
            unit: whose rows belong together, (n,); ``arange(n)`` where each row stands alone.
            seed: of the chance.
        """
        every = np.unique(unit)
        first = np.random.default_rng(seed).permutation(every)[: len(every) // 2]
        inside = np.isin(unit, first)
        return cls(np.flatnonzero(inside), np.flatnonzero(~inside), unit)


@dataclass(frozen=True)
class Reading:
    """Ridge regressions on one layer, for any levels: what the read rows take of the fitted rows' levels.

    Attributes:
        halves: rows to fit on and to read.
        shares: (rows read, rows fitted).
    """

    halves: Halves
    shares: Floats

    @classmethod
    def of(cls, vectors: Floats, halves: Halves) -> Reading:
        """Fit to a layer's values, (n, values), in the dual form, whose size is that of the rows."""
        fit, read = vectors[halves.fitted], vectors[halves.read]
        mean, deviation = fit.mean(axis=0), fit.std(axis=0)
        scale = np.where(deviation > 1e-9, deviation, np.inf)  # a value that never moves tells nothing
        fit, read = (fit - mean) / scale, (read - mean) / scale
        gram = fit @ fit.T
        ridge = RIDGE * max(float(np.trace(gram)) / len(fit), 1e-9)
        weighed = solve(gram + ridge * np.eye(len(fit)), fit @ read.T, assume_a="pos")
        return cls(halves, weighed.T)

    def separation(self, levels: Sequence[str]) -> Separation | None:
        """How well the layer tells the levels of one attribute, given for each row.

        Returns:
            None where no level has 20 rows inside and outside in each half.
        """
        named, halves = np.asarray(levels), self.halves
        names = [name for name in sorted(set(levels)) if _enough(named == name, halves)]
        if not names:
            return None
        wanted = np.stack([named == name for name in names], axis=1)
        fitted = wanted[halves.fitted].astype(np.float64)
        scores = self.shares @ (fitted - fitted.mean(axis=0))
        areas, influence = [], np.zeros(len(halves.read))
        for i in range(len(names)):
            area, moved = _area(scores[:, i], wanted[halves.read, i])
            areas.append(area)
            influence += moved / len(names)
        auc, deviation = float(np.mean(areas)), _deviation(influence, halves.unit[halves.read])
        half = float(norm.ppf(0.975)) * deviation
        return Separation(
            round(auc, DIGITS),
            round(max(0.0, auc - half), DIGITS),
            round(min(1.0, auc + half), DIGITS),
            deviation,
            len(halves.read),
            {name: round(area, DIGITS) for name, area in zip(names, areas, strict=True)},
        )


def _enough(inside: Flags, halves: Halves) -> bool:
    counts = [int(flags[rows].sum()) for flags in (inside, ~inside) for rows in (halves.fitted, halves.read)]
    return min(counts) >= FEWEST


def _area(score: Floats, inside: Flags) -> tuple[float, Floats]:
    """Area under the ROC curve, and each row's influence on it (DeLong, DeLong and Clarke-Pearson 1988)."""
    # Sums of products differ in their last bits from machine to machine; equal rows must tie on all.
    score = np.round(score, 9)
    m, n = int(inside.sum()), int((~inside).sum())
    ranks, own = rankdata(score), np.empty(len(score))
    own[inside], own[~inside] = rankdata(score[inside]), rankdata(score[~inside])
    share = np.where(inside, (ranks - own) / n, 1 - (ranks - own) / m)
    area = float(share[inside].mean())
    return area, np.where(inside, (share - area) / m, (share - area) / n)


def _deviation(influence: Floats, unit: Positions) -> float:
    """Standard deviation of a sum of influences, where rows of one unit vary together."""
    _, again = np.unique(unit, return_inverse=True)
    return float(np.sqrt(np.square(np.bincount(again, influence)).sum()))
