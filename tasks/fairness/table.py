"""The metric table: every metric that a plan may limit, one row each.

Undefined stays undefined: a metric of a group without the rows it is taken over is neither 0 nor 1, and
its limit INCONCLUSIVE. How well each method keeps its level is in docs/evidence_format.md ("Coverage").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal

from tasks.fairness.abroca import areas
from tasks.fairness.counted import Counted
from tasks.fairness.links import F1, ODDS
from tasks.fairness.metrics import BASE_RATE, JACCARD, MISSES, RATES, REJECTION_RATE
from tasks.fairness.quantities import Macro, Odds, Of_contra, Quantity, Score, Share
from tasks.fairness.regression_quantities import Distance, Mean, Summed
from tasks.fairness.scales import Difference, Greatest, Least, LogRatio, Ratio, Scale
from tasks.fairness.scored import auc, calibration_error, calibration_slope
from tasks.fairness.words import words
from tasks.plan.metrics import FAMILIES, MACRO, PROPORTIONS, Kind
from tasks.plan.metrics import METRICS as BOUNDED

Method = Literal["exact", "linear", "DeLong", "normal", "bootstrap", "betting", "Massart"]

HARDT = "Hardt, Price and Srebro 2016, Equality of Opportunity in Supervised Learning"
GAPS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "demographic_parity": (
        ("selection_rate",),
        "Agarwal et al. 2018; the ratio: 29 CFR 1607.4(D), four-fifths",
    ),
    "disparate_impact": (("selection_rate",), "Feldman et al. 2015; 29 CFR 1607.4(D), four-fifths"),
    "equal_opportunity": (("tpr",), HARDT),
    "predictive_equality": (("fpr",), "Chouldechova 2017; Corbett-Davies et al. 2017"),
    "equalized_odds": (("tpr", "fpr"), f"{HARDT}; the larger gap, as in fairlearn"),
    "predictive_parity": (("ppv",), "Chouldechova 2017"),
    "conditional_use_accuracy": (("ppv", "npv"), "Berk et al. 2021; the larger gap"),
}
AGGREGATION: Mapping[Kind, str] = {
    "difference": "max - min over groups",
    "ratio": "min / max over groups",
    "minimum": "min over groups",
    "maximum": "max over groups",
}
SCALES: Mapping[Kind, Scale] = {
    "difference": Difference(),
    "ratio": Ratio(),
    "minimum": Least(),
    "maximum": Greatest(),
}


@dataclass(frozen=True)
class Metric(Generic[Of_contra]):
    """A row of the table.

    Attributes:
        name: the metric's name in a plan.
        words: the name in a sentence.
        quantities: what is compared; the worst over them (and over classes) is the metric.
        kind: what the limit bounds: a gap or value from above, or a ratio or value from below.
        scale: how it is compared.
        aggregation: of the groups' values.
        undefined: when it is.
        method: how limits are found.
        source: where it is defined.
    """

    name: str
    words: str
    quantities: tuple[Quantity[Of_contra], ...]
    kind: Kind
    scale: Scale
    aggregation: str
    undefined: str
    method: Method
    source: str

    @property
    def formula(self) -> str:
        """Of each group's quantity; several are held apart by semicolons."""
        return "; ".join(quantity.formula for quantity in self.quantities)

    @property
    def direction(self) -> Literal["low", "high"]:
        """Whether low or high values are better."""
        return "low" if self.scale.sign > 0 else "high"

    @property
    def widest(self) -> float:
        """Limits lie below this."""
        return BOUNDED[self.name].below


NO_ROWS = "a judged group has no rows in a denominator"
FEW = "a judged group has no positives or no negatives; not judged below 20 of either"


def _row(
    name: str,
    quantities: tuple[Quantity[Of_contra], ...],
    source: str,
    *,
    scale: Scale | None = None,
    undefined: str = NO_ROWS,
    method: Method = "exact",
    aggregation: str = "",
) -> Metric[Of_contra]:
    kind = BOUNDED[name].kind
    return Metric(
        name=name,
        words=words(name),
        quantities=quantities,
        kind=kind,
        scale=scale or SCALES[kind],
        aggregation=aggregation or AGGREGATION[kind],
        undefined=undefined + (", or every group's value is 0" if kind == "ratio" else ""),
        method=method,
        source=source,
    )


def _of_rates() -> Iterator[Metric[Counted]]:
    for family in (*FAMILIES, "disparate_impact"):
        rates, source = GAPS[family]
        for name in (f"{family}_{kind}" for kind in ("difference", "ratio")):
            if name in BOUNDED:
                yield _row(name, tuple(Share(RATES[rate]) for rate in rates), source)
    for rate in (*(RATES[name] for name in PROPORTIONS), BASE_RATE):
        for kind in SCALES:
            yield _row(f"{rate.name}_{kind}", (Share(rate),), rate.source)
    for kind in SCALES:
        yield _row(f"f1_{kind}", (Share(JACCARD, F1),), JACCARD.source)
    for name in MACRO:
        rate = RATES[name.removeprefix("macro_")]
        for kind in SCALES:
            yield _row(f"{name}_{kind}", (Macro(rate),), f"{rate.source}; macro mean", method="linear")


def _of_odds() -> Iterator[Metric[Counted]]:
    worst_pair = "max over pairs of groups of |gap in TPR| + |gap in FPR|"
    half, whole = (tuple(Odds(sign, weight) for sign in (1, -1)) for weight in (0.5, 1.0))
    yield _row(
        "equalized_odds_mean",
        half,
        "OxonFair: Delaney et al. 2024",
        method="linear",
        aggregation=f"half of {worst_pair}",
    )
    yield _row(
        "equalized_odds_sum",
        whole,
        "Le Quy et al. 2022",
        scale=Difference(2.0),
        method="linear",
        aggregation=worst_pair,
    )
    yield _row(
        "average_absolute_odds_difference",
        half,
        "Bellamy et al. 2018 (AIF360)",
        method="linear",
        aggregation=f"half of {worst_pair}",
    )


def _of_errors() -> Iterator[Metric[Counted]]:
    wide = Difference(float("inf"))
    for kind, scale in SCALES.items():
        yield _row(
            f"treatment_equality_{kind}",
            (Share(MISSES, ODDS),),
            MISSES.source,
            scale=wide if kind == "difference" else scale,
            undefined="a judged group has no false positives",
        )
    yield _row(
        "differential_fairness_epsilon",
        (Share(RATES["selection_rate"]), Share(REJECTION_RATE, binary=True)),
        "Foulds et al. 2020; smoothed by half a row of either outcome",
        scale=LogRatio(),
        aggregation="max over pairs of groups of |ln of the ratio of their rates|",
    )


def _of_scores() -> Iterator[Metric[Counted]]:
    area = Score("share of pairs of a positive and a negative that the score puts in order", auc)
    for kind in SCALES:
        yield _row(f"auc_{kind}", (area,), "DeLong et al. 1988", undefined=FEW, method="DeLong")
    error = Score("mean over rows of |share of positives - mean score| of ten equal bins", calibration_error)
    for kind in ("difference", "maximum"):
        name, source = f"calibration_error_{kind}", "Naeini et al. 2015; Kleinberg et al. 2017"
        yield _row(name, (error,), source, undefined=FEW, method="normal")
    slope = Score("least-squares slope of the label on the score", calibration_slope)
    wide = Difference(float("inf"))
    for kind, scale in (("difference", wide), ("minimum", Least()), ("maximum", Greatest())):
        name, source = f"calibration_slope_{kind}", "Cox 1958; Steyerberg et al. 2010"
        yield _row(name, (slope,), source, scale=scale, undefined=FEW, method="normal")
    curves = Score("area between two groups' ROC curves", areas)
    worst = "max over pairs of groups"
    source = "Gardner, Brooks and Baker 2019"
    yield _row("abroca", (curves,), source, undefined=FEW, method="bootstrap", aggregation=worst)


def _of_numbers() -> Iterator[Metric[Summed]]:
    wide = Difference(float("inf"))
    means = {
        "mean_prediction": (Mean("mean_prediction", "mean of f", "prediction"), "Calders et al. 2013"),
        "residual": (Mean("residual", "mean of f - y", "residual"), "Calders et al. 2013"),
        "mae": (Mean("mae", "mean of |f - y|", "absolute"), "Agarwal, Dudik and Wu 2019, bounded group loss"),
        "rmse": (
            Mean("rmse", "square root of the mean of (f - y)^2", "square", root=2),
            "Agarwal, Dudik and Wu 2019, bounded group loss",
        ),
        "mse": (Mean("mse", "mean of (f - y)^2", "square"), "Agarwal, Dudik and Wu 2019, bounded group loss"),
    }
    for name, (mean, source) in means.items():
        for kind, scale in (("difference", wide), ("ratio", Ratio()), ("maximum", Greatest())):
            if f"{name}_{kind}" in BOUNDED:
                yield _row(f"{name}_{kind}", (mean,), source, scale=scale, method="betting")
    source = "Agarwal, Dudik and Wu 2019, statistical parity of a regression"
    yield _row("parity_maximum", (Distance(),), source, method="Massart")


METRICS: Mapping[str, Metric[Counted]] = {
    metric.name: metric for rows in (_of_rates, _of_odds, _of_errors, _of_scores) for metric in rows()
}
"""Every metric of classes that a plan may limit."""
NUMBERS: Mapping[str, Metric[Summed]] = {metric.name: metric for metric in _of_numbers()}
"""Every metric of a predicted number that a plan may limit."""
EVERY: Mapping[str, Metric[Any]] = {**METRICS, **NUMBERS}
"""Both."""
