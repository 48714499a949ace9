"""Coverage: what a plan's test set can show of each limit, and which groups are too small for it.

Known before any training: a group's denominator in the test part is expected from the training part's
counts, and what such groups could show is asked of the gate's own bounds (`tasks.fairness.power`). The
test part's outcomes are not looked at. A limit that even equal groups would seldom pass asks for what the
rows can't show.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.errors import Refusal
from tasks.fairness.counted import Counted, count_groups, of_basis
from tasks.fairness.cube import Cube
from tasks.fairness.groups import ENOUGH
from tasks.fairness.links import IDENTITY, Link
from tasks.fairness.metrics import MISSES, RATES, Basis, Rate
from tasks.fairness.power import Sum, Term, power, rows_needed, smallest_showable
from tasks.fairness.quantities import ROWS_APART, Macro, Odds, Quantity, Score, Share
from tasks.fairness.showable import Expected, Showable
from tasks.fairness.table import METRICS
from tasks.plan.base import crossing
from tasks.plan.judgement import TEST, Judgement, Limit, TooSmall

UNKNOWN_RATE = 0.5
"""Assumed for rates that labels alone don't show: differences spread most there."""


@dataclass(frozen=True, eq=False)
class _Shares:
    """One share by group, before training.

    Attributes:
        name: of the rate, with its class where each is held against the rest.
        weight: in the quantity.
        link: the function.
        rate: assumed of every group.
        training: denominators in the training part, [groups].
        judged: by the plan's policy.
    """

    name: str
    weight: float
    link: Link
    rate: float
    training: NDArray[np.int64]
    judged: NDArray[np.bool_]

    def term(self, scale: float, judged: NDArray[np.bool_]) -> Term:
        """Of these groups, for a test part that holds so many rows for each row of training."""
        sizes = tuple(int(n) for n in np.rint(self.training[judged] * scale))
        return Term(self.weight, self.link, sizes, self.rate)


@dataclass(frozen=True, eq=False)
class _Part:
    """The training part as one limit divides it, and what the plan says of it."""

    counted: Counted
    scale: float
    judgement: Judgement

    def shares(self, rate: Rate, label: str | None, link: Link = IDENTITY, weight: float = 1.0) -> _Shares:
        """A share of a class; of right and wrong rows without one."""
        counted, small = self.counted, self.judgement.too_small
        training = self.rows(rate.basis, label)
        judged = np.ones(len(training), bool)
        if small.policy == "report":
            judged = training * self.scale >= small.smallest_denominator
        name = rate.name if counted.positive is not None or label is None else f"{rate.name} ({label})"
        return _Shares(name, weight, link, self._assumed(rate, label, judged), training, judged)

    def rows(self, basis: Basis, label: str | None) -> NDArray[np.int64]:
        """Rows of the training part that stand for a denominator."""
        counted = self.counted
        return np.asarray(of_basis(counted.counts.sum(axis=2), counted.labels, basis, label))

    def _assumed(self, rate: Rate, label: str | None, judged: NDArray[np.bool_]) -> float:
        if rate.name == "accuracy":
            required = [one.minimum for one in self.judgement.performance if one.metric == "accuracy"]
            return max(UNKNOWN_RATE, *required, 0)
        if rate.name not in ("selection_rate", "base_rate") or label is None:
            return UNKNOWN_RATE
        known = self.counted.counts.sum(axis=2)[judged]
        return float(known[:, self.counted.labels.index(label)].sum() / max(1, known.sum()))


def coverage(training: Cube, test_rows: int, judgement: Judgement, on: str = TEST) -> tuple[Showable, ...]:
    """What a test part of this size could show of each limit, and what each group brings to it.

    The rates are unknown before training: selection is assumed to be as frequent as the positive label,
    accuracy to be what the plan requires of it (one half at least), and any other rate one half.

    Args:
        training: counts of the training part by group and label (`Cube.from_labels`).
        test_rows: rows of the test part.
        judgement: limits, alpha, ``max_judgements`` and the policy for small groups.
        on: the set of rows; of an audit set the counts are its own, whose labels no model has touched.

    Returns:
        One record a limit, in the plan's order.

    Raises:
        Refusal: the training part has fewer than two groups of an attribute.
    """
    alpha = judgement.alpha / judgement.test_set.max_judgements
    scale = test_rows / max(1, training.rows)
    where = "the training part" if on == TEST else f"audit set {on}"
    found = (
        _showable(_Part(_counted(training, limit, where), scale, judgement), limit, alpha)
        for limit in judgement.limits
    )
    return tuple(one.model_copy(update={"on": on}) for one in found)


def _counted(training: Cube, limit: Limit, where: str) -> Counted:
    try:
        return count_groups(training, crossing(limit.attribute), TooSmall(), None)
    except ValueError as error:
        raise Refusal(f"limit on {limit.metric}: in {where}, {error}") from error


def _showable(part: _Part, limit: Limit, alpha: float) -> Showable:
    if limit.metric not in METRICS:  # of a number: how far it will spread is unknown before training
        return Showable.unknown(limit, alpha)
    metric = METRICS[limit.metric]
    if any(isinstance(quantity, Score) for quantity in metric.quantities):
        return Showable.unknown(limit, alpha, ENOUGH, tuple(_of_scores(part)))
    found = [sums for quantity in metric.quantities for sums in _sums(part, quantity)]
    if metric.scale.alone or not found:
        return Showable.unknown(limit, alpha)
    drawn = [_drawn(shares, part.scale, independent) for shares, independent in found]
    needed = rows_needed(metric.scale, limit.limit, drawn, alpha)
    smallest = smallest_showable(metric.scale, drawn, alpha)
    each = {share.name: share for shares, _ in found for share in shares}
    return Showable(
        metric=limit.metric,
        attribute=limit.attribute,
        limit=limit.limit,
        alpha=alpha,
        smallest=smallest if isfinite(smallest) else None,
        power=power(metric.scale, limit.limit, drawn, alpha),
        needed=needed,
        groups=tuple(one for share in each.values() for one in _groups(part, share, needed)),
    )


def _sums(part: _Part, quantity: Quantity[Any]) -> Iterator[tuple[Sequence[_Shares], bool]]:
    """The shares that each table of a quantity adds up, and whether they have no rows in common."""
    counted = part.counted
    if isinstance(quantity, Odds):
        for label in counted.classes:
            tpr, fpr = RATES["tpr"], RATES["fpr"]
            weight = quantity.weight
            yield (
                [
                    part.shares(tpr, label, weight=weight),
                    part.shares(fpr, label, weight=quantity.sign * weight),
                ],
                True,
            )
    elif isinstance(quantity, Macro):
        share = 1 / len(counted.labels)
        yield (
            [part.shares(quantity.rate, label, weight=share) for label in counted.labels],
            quantity.rate.name in ROWS_APART,
        )
    # How many errors there will be, the labels don't show: FN / FP is not planned for.
    elif isinstance(quantity, Share) and quantity.rate is not MISSES:
        labels: Sequence[str | None] = [None] if "right" in quantity.rate.events else counted.classes
        if counted.positive is not None or not quantity.binary:
            yield from (([part.shares(quantity.rate, label, quantity.link)], True) for label in labels)


def _drawn(shares: Sequence[_Shares], scale: float, independent: bool) -> Sum:  # noqa: FBT001 - as in Sum
    """The sum of the groups that are judged in all its shares, as the gate takes them."""
    judged = np.all([share.judged for share in shares], axis=0)
    return Sum(tuple(share.term(scale, judged) for share in shares), independent)


def _groups(part: _Part, share: _Shares, needed: int | None) -> Iterator[Expected]:
    for name, n, judged in zip(
        part.counted.names, share.training.tolist(), share.judged.tolist(), strict=True
    ):
        yield Expected(
            rate=share.name,
            group=name,
            training=n,
            expected=round(n * part.scale, 1),
            assumed=share.rate,
            judged=judged,
            enough=needed is not None and n * part.scale >= needed,
        )


def _of_scores(part: _Part) -> Iterator[Expected]:
    """Rows of each class: the gate judges no quantity of the score on fewer than 20 of either."""
    small = part.judgement.too_small
    for label in part.counted.labels:
        for name, n in zip(part.counted.names, part.rows("positives", label).tolist(), strict=True):
            expected = n * part.scale
            yield Expected(
                rate=f"rows of class ({label})",
                group=name,
                training=n,
                expected=round(expected, 1),
                assumed=None,
                judged=small.policy == "inconclusive" or expected >= small.smallest_denominator,
                enough=expected >= ENOUGH,
            )
