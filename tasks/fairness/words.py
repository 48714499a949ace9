"""How verdicts are said: the words and numbers that every page, table and terminal shares."""

from __future__ import annotations

from tasks.fairness.verdict import Judged
from tasks.plan.metrics import METRICS

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
}


def words(name: str) -> str:
    """A metric's or a rate's name in words."""
    rate, space, label = name.partition(" ")  # "tpr (b)": of class b against the rest
    stem, _, kind = rate.rpartition("_")
    if stem in SHORT:
        return f"{SHORT[stem]} {kind}"
    return SHORT.get(rate, rate.replace("_", " ")) + space + label


def number(value: float | None) -> str:
    """Four decimals, or "undefined"."""
    return "undefined" if value is None else f"{value:.4f}"


def limit_of(one: Judged) -> str:
    """The limit with its direction: "≤ 0.1", "≥ 0.8"."""
    from_below = METRICS[one.metric].kind in {"ratio", "minimum"}
    return f"{'≥' if from_below else '≤'} {one.limit:g}"


def decided_by(one: Judged) -> str:
    """The pair of groups that decides, with both rates."""
    if one.worst is None:
        return "undefined: no pair of groups can be compared"
    rate, high, low = one.worst
    rates = {(each.rate_name, each.group): each for each in one.groups}
    shown = [
        f"{group} {number(rates[rate, group].rate)}" if (rate, group) in rates else group
        for group in dict.fromkeys((high, low))  # one group alone, of a minimum or a maximum
    ]
    return f"{words(rate)}: {' against '.join(shown)}, n={one.n:,}"
