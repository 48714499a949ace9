"""Coverage: is each group large enough for what the plan wants shown of it?

Known before any training: a group's denominator in the test part is expected from the training part's
counts, and how many rows a limit needs follows from the limit. The test part's outcomes are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil, log

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from tasks.fairness import Cube
from tasks.fairness.counted import LABEL, count_groups
from tasks.fairness.links import IDENTITY
from tasks.fairness.metrics import Basis
from tasks.fairness.quantities import Share
from tasks.fairness.table import METRICS
from tasks.plan.base import crossing
from tasks.plan.judgement import Judgement, Limit, TooSmall
from tasks.represent.records import Coverage
from tasks.represent.table import JOINER

POWER = 0.8
FEWEST = 20
"""Rows of either class without which the gate judges no quantity of the score."""
_ALL: list[str | None] = [None]


@dataclass(frozen=True, slots=True)
class _Need:
    """What a limit needs of a group: rows of a kind, at a rate that both groups are assumed to have."""

    rate: str
    basis: Basis
    label: str | None
    rows: int
    assumed: float | None


def coverage(training: Cube, test_rows: int, judgement: Judgement) -> tuple[Coverage, ...]:
    """Compare what each group is expected to bring with what each limit of the plan needs.

    ``needed`` is by the normal approximation: two groups of that size and equal rates pass with 80%
    power at the level in force, alpha / max_judgements. The rates are unknown before training; selection
    is assumed to be as frequent as the positive label, accuracy to be what the plan requires of it, and
    any other rate one half, where a difference is hardest to show (for a ratio the label's rate, if that
    is less). Quantities that are no share of rows (of scores, say) need 20 rows of each class.

    Args:
        training: counts of the training part by group and label (`Cube.from_labels`).
        test_rows: rows of the test part.
        judgement: limits, level and the policy for small groups.

    Returns:
        one record a limit, rate and group, in the plan's order. Limits on a single group's value
        (`_minimum`, `_maximum`) have no pair whose equality could be shown, and are not listed.
    """
    alpha = judgement.alpha / judgement.test_set.max_judgements
    scale = test_rows / max(1, training.rows)
    return tuple(
        _covered(limit, need, group, n, scale, judgement)
        for limit in judgement.limits
        for need in _needs(limit, training, alpha, judgement)
        for group, n in _denominators(training, limit.attribute, need)
    )


def _needs(limit: Limit, training: Cube, alpha: float, judgement: Judgement) -> Iterator[_Need]:
    metric = METRICS[limit.metric]
    if metric.kind not in ("difference", "ratio"):
        return
    classes: list[str | None] = [training.positive] if training.positive else [*training.labels]
    shares = [q.rate for q in metric.quantities if isinstance(q, Share) and q.link is IDENTITY]
    if not shares:
        yield from (
            _Need("rows of either class", "positives", label, FEWEST, None) for label in training.labels
        )
    for rate in shares:
        held = classes if rate.basis != "n" or rate.name == "selection_rate" else _ALL
        for label in held:
            assumed = _assumed(rate.name, metric.kind, _label_rate(training, label), judgement)
            name = rate.name if training.positive is not None or label is None else f"{rate.name} ({label})"
            rows = rows_needed(limit.limit, assumed, alpha, ratio=metric.kind == "ratio")
            yield _Need(name, rate.basis, label, rows, assumed)


def rows_needed(limit: float, rate: float, alpha: float, *, ratio: bool) -> int:
    """Denominator at which two groups of equal rates keep a limit with 80% power.

    PASS takes two one-sided tests, one a direction; for both to succeed with 80% power each may lose 10%:
    (z_alpha + z_0.9)^2 v 2/n = margin^2 (Chow, Shao and Wang 2008, equivalence of two proportions). Here v
    is the variance of a row and margin the distance from equality to the limit: of a difference
    v = p (1 - p) and the margin is the limit; of a ratio, on the logarithm, v = (1 - p) / p and the margin
    is -ln(limit).

    Args:
        limit: largest difference, or smallest ratio, in (0, 1).
        rate: p, of both groups, in (0, 1).
        alpha: one-sided level.
        ratio: whether the limit is a ratio.
    """
    spread = float(ndtri((1 + POWER) / 2) - ndtri(alpha))
    variance = (1 - rate) / rate if ratio else rate * (1 - rate)
    margin = -log(limit) if ratio else limit
    return ceil(2 * variance * (spread / margin) ** 2)


def _assumed(rate: str, kind: str, label_rate: float, judgement: Judgement) -> float:
    if rate in ("selection_rate", "base_rate"):
        return label_rate
    if rate == "accuracy":
        return next((one.minimum for one in judgement.performance if one.metric == "accuracy"), 0.5)
    return min(0.5, label_rate) if kind == "ratio" else 0.5


def _label_rate(training: Cube, label: str | None) -> float:
    """Share of a class in the training part, kept off 0 and 1 (plus one row of each)."""
    if label is None:
        return 0.5
    n = int(training.counts.sum(axis=-1)[..., training.labels.index(label)].sum())
    return (n + 1) / (training.rows + 2)


def _denominators(training: Cube, attribute: str, need: _Need) -> list[tuple[str, int]]:
    """Each group's rows of the kind that is needed, in the training part."""
    names, by_class = _by_class(training, crossing(attribute))
    rows = by_class.sum(axis=1)
    if need.basis != "n" and need.label is not None:
        positives = by_class[:, training.labels.index(need.label)]
        rows = positives if need.basis == "positives" else rows - positives
    return [(name, int(n)) for name, n in zip(names, rows, strict=True)]


def _by_class(training: Cube, attributes: tuple[str, ...]) -> tuple[Sequence[str], NDArray[np.int64]]:
    """Names of the groups and their rows of each class, as the gate divides them."""
    if LABEL in attributes:
        counted = count_groups(training, attributes, TooSmall(), None)
        return counted.names, np.asarray(counted.counts.sum(axis=2))
    levels, counts = training.cells(attributes)
    return [JOINER.join(level) for level in levels], np.asarray(counts.sum(axis=2))


def _covered(limit: Limit, need: _Need, group: str, n: int, scale: float, judgement: Judgement) -> Coverage:
    expected = n * scale
    reported = judgement.too_small.policy == "report"
    return Coverage(
        metric=limit.metric,
        attribute=limit.attribute,
        limit=limit.limit,
        rate=need.rate,
        group=group,
        training=n,
        expected=round(expected, 1),
        needed=need.rows,
        assumed=need.assumed,
        judged=not reported or expected >= judgement.too_small.smallest_denominator,
        enough=expected >= need.rows,
    )


def coverage_warnings(covered: Sequence[Coverage]) -> list[str]:
    """One sentence a limit and rate of which judged groups are expected to be too small."""
    short = [one for one in covered if one.judged and not one.enough]
    return [
        f"coverage: {metric.replace('_', ' ')} by {attribute}, limit {limit:g}: even equal rates may not be "
        f"shown, {rate} needs {need:,} rows a group and the test part is expected to have "
        + ", ".join(f"{one.expected:,.0f} of {one.group}" for one in groups)
        for (metric, attribute, limit, rate, need), groups in groupby(short, key=_limit_of)
    ]


def _limit_of(one: Coverage) -> tuple[str, str, float, str, int]:
    return one.metric, one.attribute, one.limit, one.rate, one.needed
