"""A variant against the model without mitigation on the same rows: accuracy, every limit, every group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from tasks.evaluate.changes import UNDEFINED, metric_change, rate_changes
from tasks.evaluate.compared import Change, GroupChange, LimitChange, SetChange, Variant
from tasks.evaluate.flips import flip_change, framed
from tasks.evaluate.influence import Amount, Term
from tasks.evaluate.joint import Joint, attributes_of
from tasks.fairness.counted import Counted, count_groups
from tasks.fairness.cube import Cube
from tasks.fairness.metrics import RATES
from tasks.fairness.quantities import Macro, Odds, Quantity, Share
from tasks.fairness.table import METRICS, Metric
from tasks.fairness.verdict import Judged
from tasks.plan.base import crossing
from tasks.plan.judgement import TEST, Judgement, Limit

OWN = ("selection_rate", "tpr", "fpr", "accuracy")
"""Rates whose change is given for every group: the rows that they are taken over depend on no prediction."""
SELECTED, FOUND, RIGHT = ("selection_rate", "rose"), ("tpr", "rose"), ("accuracy", "rose")
SPARED = ("fpr", "fell")
OPPOSITE = {"rose": "fell", "fell": "rose"}
FAVOURABLE = {
    "demographic_parity": (SELECTED,),
    "disparate_impact": (SELECTED,),
    "selection_rate": (SELECTED,),
    "equal_opportunity": (FOUND,),
    "equalized_odds": (FOUND,),
    "average_absolute_odds": (FOUND,),
    "tpr": (FOUND,),
    "fnr": (FOUND,),
    "predictive_equality": (SPARED,),
    "fpr": (SPARED,),
    "tnr": (SPARED,),
    "macro_tpr": (FOUND,),
    "macro_fnr": (FOUND,),
    "macro_fpr": (SPARED,),
    "macro_tnr": (SPARED,),
    "accuracy": (RIGHT,),
}
"""Family of a gap -> which rates, moving which way, are good for whoever they are of.

Rates over what was predicted (PPV, FDR and so on) are not here: their rows change with the model, so no
change is given.
"""
GAPS = ("difference", "ratio", "mean", "sum")


def compare_set(
    on: str,
    cube: Cube,
    training: Cube | None,
    judgement: Judgement,
    before: Sequence[Judged],
    after: Sequence[Judged],
) -> SetChange:
    """What changed on one set of rows.

    Args:
        on: the test part, or an audit set.
        cube: of :func:`tasks.evaluate.joint.count_joint`.
        training: counts of the training part, which settle which groups are judged; None: all are.
        judgement: of this set.
        before: verdicts of the model without mitigation, all sets'.
        after: those of the variant.
    """
    joints = {attributes: Joint.of(cube, attributes) for attributes in attributes_of(judgement)}
    groups = {attributes: _groups(" x ".join(attributes), joint) for attributes, joint in joints.items()}
    measured = [_measured(judged, on) for judged in (before, after)]
    limits = []
    for limit in judgement.limits:
        attributes = crossing(limit.attribute)
        joint, own = joints[attributes], groups[attributes]
        counted = count_groups(cube, attributes, judgement.too_small, training)
        change = _limit_change(limit, joint, counted, [one[_key(limit)] for one in measured])
        if limit.metric.startswith("macro_"):  # a mean over all classes, also where one is compared
            own = _groups(limit.attribute, replace(joint, positive=None))
        limits.append(
            LimitChange(
                metric=limit.metric,
                attribute=limit.attribute,
                limit=limit.limit,
                on=on,
                levelling_down=levelling_down(limit.metric, change, own),
                **dict(change),
            )
        )
    whole = next(iter(joints.values())).whole()
    ((accuracy, _),) = rate_changes(whole, RATES["accuracy"], None)
    return SetChange(
        on=on,
        rows=cube.rows,
        accuracy=accuracy,
        limits=tuple(limits),
        groups=tuple(chain.from_iterable(groups.values())),
        flips=flip_change(whole) if framed(judgement) else None,
    )


def levelling_down(metric: str, change: Change, groups: Sequence[GroupChange]) -> bool | None:
    """Whether a gap was closed by making a group worse without helping another.

    True where the gap is shown to have fallen (its 95% interval lies below 0; of a ratio above), no group's
    favourable rate is shown to have become better and at least one is shown to have become worse. The rate is
    the true positive rate of equalized odds and equal opportunity, the false positive rate (which is good
    where it is low) of predictive equality and its own gap, the selection rate of parity, and accuracy of its
    own; of classes held against the rest, and of a mean over classes, it is each class's.

    Args:
        metric: its name in the plan.
        change: of the metric.
        groups: changes of the rates of the groups that it compares; of a mean over classes those of each.

    Returns:
        None for a metric that is no gap, or of a rate that is not favourable in itself, and for a change that
        is undefined or has no interval.
    """
    family, _, kind = metric.rpartition("_")
    good = FAVOURABLE.get(family)
    if good is None or kind not in GAPS or change.low is None:
        return None
    moved = {(each.rate.partition(" (")[0], each.shown) for each in groups}
    helped = any(way in moved for way in good)
    harmed = any((rate, OPPOSITE[shown]) in moved for rate, shown in good)
    return change.shown == ("rose" if kind == "ratio" else "fell") and harmed and not helped


def front(variants: Sequence[Variant], metric: str, attribute: str) -> tuple[str, ...]:
    """Variants that no other beats in both accuracy and a gap on the test part, by what was measured.

    Args:
        variants: with their verdicts.
        metric: a gap of the plan's limits; of a ratio more is better.
        attribute: of the limit.
    """
    points = {}
    for variant in variants:
        gap = _measured(variant.judged, TEST).get((metric, attribute))
        if gap is not None and variant.accuracy is not None:
            points[variant.name] = (variant.accuracy, -gap * METRICS[metric].scale.sign)
    return tuple(
        name
        for name, own in points.items()
        if not any(_dominates(other, own) for other in points.values() if other != own)
    )


def _dominates(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] >= other[0] and one[1] >= other[1]


def is_gap(metric: str) -> bool:
    """Whether a metric holds groups against each other."""
    return not METRICS[metric].scale.alone


def _groups(attribute: str, joint: Joint) -> list[GroupChange]:
    found = []
    for name in OWN:
        for label in [None] if name == "accuracy" else joint.classes:
            shown = name if label is None or joint.positive is not None else f"{name} ({label})"
            changes = rate_changes(joint, RATES[name], label)
            for group, (change, (n, gained, lost)) in zip(joint.names, changes, strict=True):
                found.append(
                    GroupChange(
                        attribute=attribute,
                        group=group,
                        rate=shown,
                        n=n,
                        gained=gained,
                        lost=lost,
                        **dict(change),
                    )
                )
    return found


def _limit_change(limit: Limit, joint: Joint, counted: Counted, measured: Sequence[float | None]) -> Change:
    """The change of a limit's metric; of the score, which the table does not hold, without an interval.

    Likewise of smoothed shares where rows come in units: the gate adds its half row at effective sizes.
    What the gate finds undefined, such as the ratio of two rates of 0, has no change.
    """
    metric = METRICS[limit.metric]
    before, after = measured
    if before is None or after is None:
        return UNDEFINED.model_copy(update={"before": before, "after": after})
    amounts = _amounts(metric, counted)
    if not amounts or (metric.scale.prior and joint.unit is not None):
        return UNDEFINED.model_copy(update={"before": before, "after": after, "change": after - before})
    placed = []
    for amount, judged in amounts:
        names = {name for name, own in zip(counted.names, judged, strict=True) if own}
        if not names <= set(joint.names):  # a group of the training part that the test part lacks
            return UNDEFINED
        placed.append((amount, np.array([name in names for name in joint.names])))
    return metric_change(joint, placed, metric.scale)


def _amounts(metric: Metric[Counted], counted: Counted) -> list[tuple[Amount, Any]]:
    """What a metric compares, with the groups judged by it; nothing for a metric of the score."""
    found = []
    for quantity in metric.quantities:
        for amount in _of_quantity(quantity, counted, metric.scale.prior):
            judged = [counted.judged(term.rate.basis, term.label) for term in amount.terms]
            found.append((amount, np.all(judged, axis=0)))
    return found


def _of_quantity(quantity: Quantity[Counted], counted: Counted, prior: float) -> list[Amount]:
    """As `tasks.fairness.quantities` tables each."""
    match quantity:
        case Share(rate, link, binary):
            if "right" in rate.events:
                return [Amount((Term(1.0, rate, None),), link, prior)]
            classes = () if counted.positive is None and binary else counted.classes
            return [Amount((Term(1.0, rate, label),), link, prior) for label in classes]
        case Odds(sign, weight):
            return [
                Amount((Term(weight, RATES["tpr"], label), Term(sign * weight, RATES["fpr"], label)))
                for label in counted.classes
            ]
        case Macro(rate):
            share = 1 / len(counted.labels)
            return [Amount(tuple(Term(share, rate, label) for label in counted.labels))]
    return []


def _key(limit: Limit) -> tuple[str, str]:
    return limit.metric, limit.attribute


def _measured(judged: Sequence[Judged], on: str) -> dict[tuple[str, str], float | None]:
    return {(one.metric, one.attribute): one.measurement for one in judged if one.on == on}
