"""Which decisions are laid before the reviewers, and which of them with a wrong recommendation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.errors import Refusal
from tasks.fairness.verdict import Judged
from tasks.plan.base import crossing
from tasks.plan.data import Classes
from tasks.plan.judgement import TEST
from tasks.plan.review import LEAST_WRONG, Review
from tasks.review.records import Case, Why

Rows = NDArray[np.int64]
QUARTER = 4
"""A quarter each of the decisions shown as they are: uncertain, worst group, flips; the rest is random."""
HARMFUL = frozenset({"fpr", "fnr", "fdr", "for"})
"""Rates of which the higher is the worse; of all others the lower is."""


@dataclass(frozen=True)
class Examined:
    """The opened test part.

    Attributes:
        predictions: as predictions.csv has them: row_id, row_digest, score, prediction.
        described: the same rows in the same order: a column a protected attribute, and ``label``.
        label: names the classes.
        judged: the verdicts reached on them.
        flips: row_id of decisions that a small change would turn.
    """

    predictions: pl.DataFrame
    described: pl.DataFrame
    label: Classes
    judged: Sequence[Judged]
    flips: Sequence[int] = ()


def draw(tested: Examined, review: Review, seed: int) -> tuple[Case, ...]:
    """Draw the decisions of a packet; the same arguments give the same cases in the same order.

    The wrong recommendations are drawn first, among decisions that the model has right and is sure of:
    whoever looks at the input has something to see. The others are shown as the model made them: uncertain
    ones, those of the group that lies worst, those a small change would turn, and random ones.

    Args:
        tested: the opened test part.
        review: how many of which.
        seed: of the draw.

    Raises:
        Refusal: for too few rows, or too few that the model has right.
    """
    generator = np.random.default_rng(seed)
    wrong = _clear_rows(tested, generator)[: review.wrong]
    if len(tested.predictions) < review.decisions or len(wrong) < max(LEAST_WRONG, review.wrong):
        raise Refusal(
            f"operations.review: {review.decisions} decisions are to be drawn, {review.wrong} of them to be "
            f"shown wrong on purpose; the test part has {len(tested.predictions)} rows and {len(wrong)} that "
            "the model has right and is sure of: ask for fewer decisions, or judge on more rows"
        )
    drawn: dict[int, Why] = dict.fromkeys(wrong.tolist(), "wrong on purpose")
    wanted = review.decisions - len(wrong)
    for why, rows, most in _pools(tested, wanted, generator):
        free = [row for row in rows.tolist() if row not in drawn]
        drawn |= dict.fromkeys(free[: min(most, review.decisions - len(drawn))], why)
    order = generator.permutation(np.array(list(drawn)))
    return tuple(
        _case(number, row, drawn[row], tested, generator) for number, row in enumerate(order.tolist(), 1)
    )


def margins(predictions: pl.DataFrame, label: Classes) -> NDArray[np.float64]:
    """How far each decision is from turning, in the score's unit, shape [rows]; small is uncertain.

    Of two classes the distance to the nearest score of a row that was decided otherwise, which holds for one
    threshold and for one a group; of more classes the score of the decided one.
    """
    score = predictions["score"].to_numpy().astype(float)
    if label.positive is None:
        return score
    positive = (predictions["prediction"] == label.positive).to_numpy()
    if positive.all() or not positive.any():
        return np.asarray(np.abs(score - 0.5))
    return np.where(positive, _nearest(score, score[~positive]), _nearest(score, score[positive]))


def _nearest(score: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    others = np.sort(others)
    at = np.searchsorted(others, score)
    below, above = others[np.maximum(at - 1, 0)], others[np.minimum(at, len(others) - 1)]
    return np.asarray(np.minimum(np.abs(score - below), np.abs(score - above)))


def _clear_rows(tested: Examined, generator: np.random.Generator) -> Rows:
    """Rows that the model has right and is surer of than of half of all, in random order."""
    distance = margins(tested.predictions, tested.label)
    right = (tested.predictions["prediction"] == tested.described["label"]).to_numpy()
    return generator.permutation(np.flatnonzero(right & (distance >= np.median(distance))))


def _pools(tested: Examined, wanted: int, generator: np.random.Generator) -> Iterator[tuple[Why, Rows, int]]:
    """Each pool of rows in the order in which they are taken, and how many at most."""
    quarter = wanted // QUARTER
    yield "uncertain", np.argsort(margins(tested.predictions, tested.label), kind="stable"), quarter
    yield "worst group", generator.permutation(_worst_rows(tested)), quarter
    known = tested.predictions["row_id"].is_in(list(tested.flips)).to_numpy()
    yield "counterfactual flip", generator.permutation(np.flatnonzero(known)), quarter
    yield "random", generator.permutation(len(known)), wanted


def _worst_rows(tested: Examined) -> Rows:
    """Rows of the group that lies worst in the limit with the least room."""
    shown = [one for one in tested.judged if one.worst is not None and one.on == TEST]
    if not shown:
        return np.arange(0)
    worst = min(shown, key=_room)
    assert worst.worst is not None  # noqa: S101 - filtered above
    rate, high, low = worst.worst
    group = high if rate.partition(" ")[0] in HARMFUL else low
    names = crossing(worst.attribute)
    levels = group.split(" x ") if len(names) > 1 else [group]
    inside = np.ones(len(tested.described), bool)
    for name, level in zip(names, levels, strict=True):
        inside &= (tested.described[name] == level).fill_null(value=False).to_numpy()
    return np.flatnonzero(inside)


def _room(one: Judged) -> float:
    """What is left between the measurement and the limit, as a share of the limit."""
    found = one.measurement if one.measurement is not None else float("nan")
    distance = found - one.limit if one.metric.endswith(("ratio", "minimum")) else one.limit - found
    return distance / one.limit if one.limit and np.isfinite(distance) else -np.inf


def _case(number: int, row: int, why: Why, tested: Examined, generator: np.random.Generator) -> Case:
    found: dict[str, Any] = tested.predictions.row(row, named=True)
    shown = found["prediction"]
    if why == "wrong on purpose":
        others = [name for name in tested.label.values if name != shown]
        shown = others[int(generator.integers(len(others)))]
    return Case(
        number=number,
        row_id=found["row_id"],
        row_digest=found["row_digest"],
        why=why,
        prediction=found["prediction"],
        shown=shown,
    )
