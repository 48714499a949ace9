"""How verdicts are said: the words and numbers that every page, table and terminal shares."""

from __future__ import annotations

import re

from tasks.fairness.verdict import Judged, Verdict
from tasks.plan.judgement import TEST
from tasks.plan.metrics import KINDS, METRICS

SHORT = {
    "tpr": "true positive rate",
    "tnr": "true negative rate",
    "fpr": "false positive rate",
    "fnr": "false negative rate",
    "ppv": "positive predictive value",
    "npv": "negative predictive value",
    "fdr": "false discovery rate",
    "for": "false omission rate",
    "f1": "F1",
    "auc": "AUC",
    "abroca": "ABROCA",
    "ece": "calibration error",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "mse": "mean squared error",
    "residual": "mean signed error",
    "parity": "distance from all rows' distribution",
    "fn_per_fp": "false negatives per false positive",
}


def words(name: str) -> str:
    """A metric's or a rate's name in words."""
    rate, bracket, label = name.partition(" (")  # "tpr (b)": of class b against the rest
    return "".join(map(_one, re.split(r"( [+-] )", rate))) + bracket + label


def _one(name: str) -> str:
    """One name of a sum: "tpr", "tpr_minimum", "macro_tpr_ratio"."""
    if name in SHORT:
        return SHORT[name]
    if name.startswith("macro_"):
        return f"macro {_one(name.removeprefix('macro_'))}"
    stem, _, kind = name.rpartition("_")
    return f"{_one(stem)} {kind}" if stem and kind in KINDS else name.replace("_", " ")


def headed(name: str) -> str:
    """The same as a heading or a sentence's begin."""
    said = words(name)
    return said[0].upper() + said[1:]


def on_set(on: str) -> str:
    """Where a verdict was made, if not on the test part."""
    return "" if on == TEST else f" on {on}"


def where(on: str) -> str:
    """A set of rows in a sentence."""
    return "the test part" if on == TEST else on


def by(one: Judged) -> str:
    """What a limit compares, and where: "sex", "target on hatecheck"."""
    return one.attribute + on_set(one.on)


def number(value: float | None) -> str:
    """Four decimals, or "undefined"."""
    return "undefined" if value is None else f"{value:.4f}"


def limit_of(one: Judged) -> str:
    """The limit with its direction: "≤ 0.1", "≥ 0.8"."""
    from_below = METRICS[one.metric].kind in {"ratio", "minimum"}
    return f"{'≥' if from_below else '≤'} {one.limit:g}"


def measured(one: Judged) -> str:
    """The metric, and of whom where another pair than the deciding one lies furthest apart."""
    value, most = number(one.measurement), _other(one)
    return value if most is None else f"{value} ({_between(most)})"


def _other(one: Judged) -> tuple[str, str, str] | None:
    """The pair that the measured value is of, where it says something else than the deciding pair."""
    if one.measured_on is None or one.worst is None or number(one.measurement) == number(one.worst_value):
        return None
    return one.measured_on


def _between(pair: tuple[str, str, str]) -> str:
    rate, *groups = pair
    named = " against ".join(dict.fromkeys(groups))  # one group alone, of a minimum or a maximum
    return named + (f", {rate[rate.index('(') :]}" if rate.endswith(")") else "")


def decided_by(one: Judged) -> str:
    """The pair of groups that decides, with both rates; with its value where another lies further apart."""
    if one.worst is None:
        return "undefined: no pair of groups can be compared"
    rate, high, low = one.worst
    rates = {(each.rate_name, each.group): each for each in one.groups}
    shown = [
        f"{group} {number(rates[rate, group].rate)}" if (rate, group) in rates else group
        for group in dict.fromkeys((high, low))  # one group alone, of a minimum or a maximum
    ]
    decisive = f"{words(rate)}: {' against '.join(shown)}, n={one.n:,}"
    return decisive if _other(one) is None else f"{decisive}: {number(one.worst_value)}"


def both_pairs(one: Judged) -> str:
    """`decided_by`, and of whom the measured value is where that is another pair."""
    most = _other(one)
    if most is None:
        return decided_by(one)
    how = "shown" if one.verdict is Verdict.FAIL else "decided"
    return f"measured on {_between(most)}; {how} on {decided_by(one)}"
