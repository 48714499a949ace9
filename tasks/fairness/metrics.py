"""Rates of a confusion table: one row each. What plans limit is generated from them (`tasks.fairness.table`).

Undefined stays undefined: a rate over no rows is None (null in frames), never 0 and never 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[Any]

Cell = Literal["tp", "fp", "fn", "tn", "right", "wrong"]
Basis = Literal["n", "positives", "negatives"]


@dataclass(frozen=True)
class Rate:
    """A rate: weighted sums of confusion cells over each other.

    Attributes:
        name: what it is called.
        events: cell -> weight in the numerator.
        of: cell -> weight in the denominator.
        better: "high" or "low" where one is better, "" where neither is in itself.
        basis: the count of a training part that stands for the denominator (`tasks.fairness.groups`);
            where the denominator counts predictions, the classes stand for them.
        source: where it is defined.
    """

    name: str
    events: Mapping[Cell, int]
    of: Mapping[Cell, int]
    better: Literal["high", "low", ""]
    basis: Basis
    source: str

    @property
    def formula(self) -> str:
        """As a fraction of confusion counts: (tp + fp) / (tp + fp + fn + tn)."""
        top, bottom = (
            " + ".join(f"{weight if weight > 1 else ''}{cell}" for cell, weight in part.items())
            for part in (self.events, self.of)
        )
        return f"({top}) / ({bottom})"

    @property
    def is_proportion(self) -> bool:
        """Whether it is a share of rows (so its count is binomial); F1 is not."""
        return set(self.events) < set(self.of) and {*self.events.values(), *self.of.values()} == {1}

    def numerator(self, cells: Mapping[Cell, Counts]) -> Counts:
        """Weighted count of events, shape of the cells."""
        return _weighted(self.events, cells)

    def denominator(self, cells: Mapping[Cell, Counts]) -> Counts:
        """Weighted count of what it is a share of, shape of the cells."""
        return _weighted(self.of, cells)

    def values(self, cells: Mapping[Cell, Counts]) -> list[float | None]:
        """The rate of each group, None where it is undefined."""
        if not all(cell in cells for cell in (*self.events, *self.of)):
            groups = next(iter(cells.values()))
            return [None] * len(groups)
        pairs = zip(self.numerator(cells).tolist(), self.denominator(cells).tolist(), strict=True)
        return [events / n if n else None for events, n in pairs]


def _weighted(weights: Mapping[Cell, int], cells: Mapping[Cell, Counts]) -> Counts:
    return np.asarray(sum(weight * cells[cell] for cell, weight in weights.items()))


def _rate(
    name: str, events: str, of: str, better: Literal["high", "low", ""], basis: Basis, source: str
) -> Rate:
    return Rate(name, _parse(events), _parse(of), better, basis, source)


def _parse(text: str) -> dict[Cell, int]:
    """Read "2tp fp fn" as {tp: 2, fp: 1, fn: 1}."""
    names: tuple[Cell, ...] = ("tp", "fp", "fn", "tn", "right", "wrong")
    terms = text.split()
    return {name: int(term[: -len(name)] or 1) for term in terms for name in names if term.endswith(name)}


HARDT = "Hardt, Price and Srebro 2016, Equality of Opportunity in Supervised Learning"
FAWCETT = "Fawcett 2006, An introduction to ROC analysis"

RATES: Mapping[str, Rate] = {
    rate.name: rate
    for rate in (
        _rate("selection_rate", "tp fp", "tp fp fn tn", "", "n", "29 CFR 1607.4(D); Agarwal et al. 2018"),
        _rate("tpr", "tp", "tp fn", "high", "positives", HARDT),
        _rate("tnr", "tn", "tn fp", "high", "negatives", FAWCETT),
        _rate("fpr", "fp", "fp tn", "low", "negatives", HARDT),
        _rate("fnr", "fn", "fn tp", "low", "positives", FAWCETT),
        _rate(
            "ppv",
            "tp",
            "tp fp",
            "high",
            "positives",
            "Chouldechova 2017, Fair prediction with disparate impact",
        ),
        _rate("npv", "tn", "tn fn", "high", "negatives", FAWCETT),
        _rate("fdr", "fp", "fp tp", "low", "positives", FAWCETT),
        _rate("for", "fn", "fn tn", "low", "negatives", FAWCETT),
        _rate("accuracy", "right", "right wrong", "high", "n", FAWCETT),
        _rate("f1", "2tp", "2tp fp fn", "high", "positives", "van Rijsbergen 1979"),
    )
}


BASE_RATE = _rate("base_rate", "tp fn", "tp fp fn tn", "", "n", "Kamiran and Calders 2012")
REJECTION_RATE = _rate("rejection_rate", "fn tn", "tp fp fn tn", "", "n", "Foulds et al. 2020")
JACCARD = _rate("f1", "tp", "tp fp fn", "high", "positives", "van Rijsbergen 1979; F1 = 2J / (1 + J)")
MISSES = _rate("fn_per_fp", "fn", "fn fp", "", "positives", "Berk et al. 2021; FN / FP = p / (1 - p)")
"""Shares that are limited, but are no columns of `Cube.rates`: J behind F1, and FN / (FN + FP)."""


def tally(counts: Counts, labels: Sequence[str], positive: str | None) -> dict[Cell, Counts]:
    """Confusion cells of each group: `positive` against the rest, and right against wrong.

    Args:
        counts: shape [groups, true class, predicted class].
        labels: the classes.
        positive: the class whose rates are compared; without one there is only right and wrong.

    Returns:
        Cell -> counts, shape [groups].
    """
    total, right = counts.sum(axis=(1, 2)), np.einsum("gkk->g", counts)
    cells: dict[Cell, Counts] = {"right": right, "wrong": total - right}
    if positive is not None:
        index = list(labels).index(positive)
        tp = counts[:, index, index]
        fn, fp = counts[:, index, :].sum(axis=1) - tp, counts[:, :, index].sum(axis=1) - tp
        cells |= {"tp": tp, "fp": fp, "fn": fn, "tn": total - tp - fn - fp}
    return cells
