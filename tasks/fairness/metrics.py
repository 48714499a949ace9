"""The metric table: one row per rate, and the parity metrics generated from it.

Undefined stays undefined: a rate over no rows is None (null in frames), never 0 and never 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

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
    def is_proportion(self) -> bool:
        """Whether it is a share of rows (so its count is binomial); F1 is not."""
        return set(self.events) < set(self.of) and {*self.events.values(), *self.of.values()} == {1}

    def numerator(self, cells: Mapping[Cell, Ints]) -> Ints:
        """Weighted count of events, shape of the cells."""
        return _weighted(self.events, cells)

    def denominator(self, cells: Mapping[Cell, Ints]) -> Ints:
        """Weighted count of what it is a share of, shape of the cells."""
        return _weighted(self.of, cells)

    def values(self, cells: Mapping[Cell, Ints]) -> list[float | None]:
        """The rate of each group, None where it is undefined."""
        if not all(cell in cells for cell in (*self.events, *self.of)):
            groups = next(iter(cells.values()))
            return [None] * len(groups)
        pairs = zip(self.numerator(cells).tolist(), self.denominator(cells).tolist(), strict=True)
        return [events / n if n else None for events, n in pairs]


def _weighted(weights: Mapping[Cell, int], cells: Mapping[Cell, Ints]) -> Ints:
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


def tally(counts: Ints, labels: Sequence[str], positive: str | None) -> dict[Cell, Ints]:
    """Confusion cells of each group: `positive` against the rest, and right against wrong.

    Args:
        counts: shape [groups, true class, predicted class].
        labels: the classes.
        positive: the class whose rates are compared; without one there is only right and wrong.

    Returns:
        Cell -> counts, shape [groups].
    """
    total, right = counts.sum(axis=(1, 2)), np.einsum("gkk->g", counts)
    cells: dict[Cell, Ints] = {"right": right, "wrong": total - right}
    if positive is not None:
        index = list(labels).index(positive)
        tp = counts[:, index, index]
        fn, fp = counts[:, index, :].sum(axis=1) - tp, counts[:, :, index].sum(axis=1) - tp
        cells |= {"tp": tp, "fp": fp, "fn": fn, "tn": total - tp - fn - fp}
    return cells


@dataclass(frozen=True)
class ParityMetric:
    """A parity metric: how far groups lie apart in one or more rates.

    Attributes:
        name: the metric's name in a plan.
        words: the name in a sentence.
        rates: the rates compared; the worst over them is the metric.
        kind: largest difference (max - min) or smallest ratio (min / max) between two groups.
        source: where it is defined.
    """

    name: str
    words: str
    rates: tuple[Rate, ...]
    kind: Literal["difference", "ratio"]
    source: str


FAMILIES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "demographic_parity": (
        ("selection_rate",),
        "Agarwal et al. 2018; the ratio: 29 CFR 1607.4(D), four-fifths",
    ),
    "equal_opportunity": (("tpr",), HARDT),
    # The larger of both gaps, as in fairlearn; OxonFair takes their mean, Le Quy et al. 2022 their sum.
    "equalized_odds": (("tpr", "fpr"), f"{HARDT}; the larger gap, as in fairlearn"),
    "predictive_parity": (("ppv",), "Chouldechova 2017"),
    "accuracy": (("accuracy",), "Berk et al. 2021, overall accuracy equality"),
}
KINDS: tuple[Literal["difference", "ratio"], ...] = ("difference", "ratio")

METRICS: Mapping[str, ParityMetric] = {
    f"{family}_{kind}": ParityMetric(
        f"{family}_{kind}",
        f"{family}_{kind}".replace("_", " "),
        tuple(RATES[rate] for rate in rates),
        kind,
        source,
    )
    for (family, (rates, source)), kind in product(FAMILIES.items(), KINDS)
}
"""Every parity metric that a plan may limit."""
