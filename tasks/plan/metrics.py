"""Names of the metrics that a plan may limit, and the limits that make sense for each.

What each name measures stands in `tasks.fairness.table`; a test holds both lists equal.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

Kind = Literal["difference", "ratio", "minimum", "maximum"]


@dataclass(frozen=True)
class Bounded:
    """What a limit on a metric may be.

    Attributes:
        kind: whether it bounds a gap or a group's value from above, or a ratio or a value from below.
        above: the limit is larger than this: a gap of at most 0 can't be shown.
        below: the limit is smaller than this.
    """

    kind: Kind
    above: float = 0.0
    below: float = 1.0


KINDS: tuple[Kind, ...] = ("difference", "ratio", "minimum", "maximum")
PROPORTIONS = ("selection_rate", "tpr", "tnr", "fpr", "fnr", "ppv", "npv", "fdr", "for", "accuracy")
"""Shares of rows, one against the rest."""
FAMILIES = (
    "demographic_parity",
    "equal_opportunity",
    "predictive_equality",
    "equalized_odds",
    "predictive_parity",
    "conditional_use_accuracy",
)
"""Names of long standing for the gaps of one or two rates."""
MACRO = tuple(f"macro_{rate}" for rate in PROPORTIONS if rate != "accuracy")
"""Means over the classes of one-vs-rest rates."""
RANGES: Mapping[Kind, Bounded] = {kind: Bounded(kind) for kind in KINDS}

WIDE = Bounded("difference", below=inf)
NUMBERS: Mapping[str, Bounded] = {
    "mean_prediction_difference": WIDE,
    "residual_difference": WIDE,
    **{f"{name}_difference": WIDE for name in ("mae", "rmse")},
    **{f"{name}_ratio": RANGES["ratio"] for name in ("mae", "mse")},
    **{f"{name}_maximum": Bounded("maximum", below=inf) for name in ("mae", "rmse")},
    "parity_maximum": RANGES["maximum"],
}
"""Metrics of a predicted number: limits on means and errors are in the label's unit."""
SCORES: Mapping[str, Bounded] = {
    **{f"auc_{kind}": RANGES[kind] for kind in KINDS},
    "calibration_error_difference": RANGES["difference"],
    "calibration_error_maximum": RANGES["maximum"],
    "calibration_slope_difference": Bounded("difference", below=inf),
    "calibration_slope_minimum": Bounded("minimum", below=inf),
    "calibration_slope_maximum": Bounded("maximum", below=inf),
    "abroca": RANGES["difference"],
}
"""Metrics of the score, whose histograms are kept by attribute."""
METRICS: Mapping[str, Bounded] = {
    **{f"{name}_{kind}": RANGES[kind] for name in FAMILIES for kind in KINDS[:2]},
    "disparate_impact_ratio": RANGES["ratio"],
    **{f"{name}_{kind}": RANGES[kind] for name in (*PROPORTIONS, "base_rate", "f1") for kind in KINDS},
    **{f"{name}_{kind}": RANGES[kind] for name in MACRO for kind in KINDS},
    "equalized_odds_mean": RANGES["difference"],
    "equalized_odds_sum": Bounded("difference", below=2.0),
    "average_absolute_odds_difference": RANGES["difference"],
    "treatment_equality_difference": Bounded("difference", below=inf),
    "treatment_equality_ratio": RANGES["ratio"],
    "treatment_equality_minimum": Bounded("minimum", below=inf),
    "treatment_equality_maximum": Bounded("maximum", below=inf),
    "differential_fairness_epsilon": Bounded("difference", below=inf),
    **SCORES,
    **NUMBERS,
}
"""Every metric that a plan may limit."""


def known(name: str) -> str:
    """The name, if it is a metric's.

    Raises:
        ValueError: with the names that come near it, or else all.
    """
    if name in METRICS:
        return name
    near = difflib.get_close_matches(name, METRICS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(METRICS)}"
    raise ValueError(f"{name!r} is none of the {len(METRICS)} metrics; {hint}")


Metric = Annotated[str, AfterValidator(known), Field(json_schema_extra={"enum": list(METRICS)})]
