"""Steps after training: scores calibrated and thresholds set by group, on validation rows alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from tasks.mitigate.calibration import calibrate
from tasks.mitigate.records import Decision, GroupDecision
from tasks.mitigate.thresholds import best_thresholds, bin_edges, count_scores, large_enough
from tasks.model.columns import Codes, Floats
from tasks.model.grouped import Adjustment, Attribute, Grouped, log_odds, read_levels
from tasks.model.rule import ClassRule, Rule, Scores
from tasks.plan.base import crossing
from tasks.plan.judgement import Judgement
from tasks.plan.mitigation import Calibration, Step, Thresholds
from tasks.plan.source import CsvFormat


class ScoredRows(NamedTuple):
    """Validation rows, scored by the network.

    Attributes:
        frame: typed rows (n).
        scores: (n, classes).
        labels: positions of classes, (n,).
        weights: positive, that of the raking; (n,). Those that training gives to groups and classes are left
            out: the rates that are compared are those of the rows as they come.
    """

    frame: pl.DataFrame
    scores: Scores
    labels: npt.NDArray[np.int64]
    weights: Floats


class After(NamedTuple):
    """The rule that reads the group, and what it makes of the validation rows.

    Attributes:
        rule: with ``by``.
        scores: calibrated, (n, classes).
        groups: of the rows, as the rule numbers them, (n,).
        decision: the record.
    """

    rule: ClassRule
    scores: Scores
    groups: Codes
    decision: Decision


def after_training(rule: Rule, rows: ScoredRows, steps: Sequence[Step], judgement: Judgement) -> After | None:
    """Make every step of the decision; None without one.

    Args:
        rule: of the model, the same for everybody.
        rows: validation rows.
        steps: ``recipe.mitigation``; those of other stages are passed over.
        judgement: of the plan.

    Raises:
        Refusal: fewer than two groups have the rows for thresholds, or these tell nobody apart.
    """
    made = [step for step in steps if isinstance(step, Calibration | Thresholds)]
    if not made:
        return None
    assert isinstance(rule, ClassRule)  # noqa: S101 - the plan gives these steps two classes
    attributes = _attributes(made[0].attribute, judgement)
    nulls = _nulls(judgement)
    groups, names = read_levels(rows.frame, attributes, nulls)
    start = Adjustment(rule.threshold)
    by, notes = Grouped(attributes, nulls, "", dict.fromkeys(names, start), start), tuple[str, ...]()
    weights, positive = rows.weights / rows.weights.mean(), rule.classes.index(str(rule.positive))
    own, truth = rows.scores[:, positive], rows.labels == positive
    for step in made:
        if isinstance(step, Calibration):
            by, notes = _calibrated(by, own, truth, groups, weights)
        else:
            by, few = _with_thresholds(by, own, truth, groups, weights, step)
            notes += few
    deciding = replace(rule, by=by)
    scores = deciding.calibrated(rows.scores, groups)
    decided = deciding.decide(scores, groups) == positive
    before = weights @ (rule.decide(rows.scores) == rows.labels) / weights.sum()
    slack = next((step.slack for step in made if isinstance(step, Thresholds)), None)
    decision = Decision(
        attribute=made[0].attribute,
        columns=by.columns,
        metric=by.metric,
        slack=slack,
        groups=_by_level(by, decided, truth, groups, weights),
        accuracy=float(weights @ (decided == truth) / weights.sum()),
        accuracy_before=float(before),
        notes=notes,
        sentence=by.sentence,
    )
    return After(deciding, scores, groups, decision)


def _calibrated(
    by: Grouped, scores: Scores, truth: npt.NDArray[np.bool_], groups: Codes, weights: Floats
) -> tuple[Grouped, tuple[str, ...]]:
    found = calibrate(log_odds(scores), truth, groups, weights, list(by.levels))
    fitted = {
        name: replace(own, slope=fit.slope, intercept=fit.intercept)
        for (name, own), fit in zip(by.levels.items(), found.groups, strict=True)
    }
    common = replace(by.common, slope=found.common.slope, intercept=found.common.intercept)
    return replace(by, levels=fitted, common=common), found.notes


def _with_thresholds(
    by: Grouped,
    scores: Scores,
    truth: npt.NDArray[np.bool_],
    groups: Codes,
    weights: Floats,
    step: Thresholds,
) -> tuple[Grouped, tuple[str, ...]]:
    names = list(by.levels)
    rows = np.bincount(2 * groups + truth, minlength=2 * len(names)).reshape(-1, 2)
    kept, notes = large_enough(rows, step, names)
    now = by.calibrated(scores, groups).astype(np.float32)
    edges = bin_edges(now)
    counts = count_scores(now, truth, groups, weights, edges)
    found = best_thresholds(counts[kept], edges, step)
    chosen = {
        names[i]: replace(by.levels[names[i]], threshold=threshold)
        for i, threshold in zip(kept.tolist(), found.tolist(), strict=True)
    }
    return replace(by, levels={**by.levels, **chosen}, metric=step.metric), notes


def _by_level(
    by: Grouped, decided: npt.NDArray[np.bool_], truth: npt.NDArray[np.bool_], groups: Codes, weights: Floats
) -> tuple[GroupDecision, ...]:
    cells = (groups * 2 + truth) * 2 + decided
    counts = np.bincount(cells, weights, minlength=4 * len(by.levels)).reshape(-1, 2, 2)
    rows = np.bincount(groups, minlength=len(by.levels)).tolist()
    return tuple(
        GroupDecision(
            level=name,
            rows=rows[i],
            threshold=own.threshold,
            slope=own.slope,
            intercept=own.intercept,
            selection_rate=_rate(counts[i].sum(axis=0)),
            tpr=_rate(counts[i, 1]),
            fpr=_rate(counts[i, 0]),
        )
        for i, (name, own) in enumerate(by.levels.items())
    )


def _rate(weight: Floats) -> float | None:
    """Share decided positive, of the weight decided negative and positive; None of no rows."""
    return float(weight[1] / weight.sum()) if weight.sum() else None


def _attributes(attribute: str, judgement: Judgement) -> tuple[Attribute, ...]:
    found = [(name, judgement.protected[name]) for name in crossing(attribute)]
    return tuple(
        Attribute(name, own.column, tuple(own.bins or ()), tuple(own.levels() or ())) for name, own in found
    )


def _nulls(judgement: Judgement) -> tuple[str, ...]:
    """Spellings of a missing value; an empty field always is one."""
    form = judgement.data.format
    return ("", *form.null_values) if isinstance(form, CsvFormat) else ("",)
