"""A plan that predicts a class: its predictions, their counts and its performance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.evaluate.paired import compare_right
from tasks.evaluate.performance import accuracy, auc, macro_f1
from tasks.evaluate.records import Estimate, Paired
from tasks.fairness.cube import Cube
from tasks.model.columns import Codes
from tasks.model.predictor import certain
from tasks.model.rule import ClassRule, Rule, Scores
from tasks.plan.data import Classes
from tasks.plan.judgement import TEST, Judgement

SCHEMA: Mapping[str, pl.DataType] = MappingProxyType(
    {"row_id": pl.UInt32(), "row_digest": pl.String(), "score": pl.Float32(), "prediction": pl.String()}
)
Noisy: TypeAlias = Callable[[Codes], Codes]
FLOAT = "score"
"""The column that is spelled as the shortest decimal of a 32-bit float."""
ADDS_EXACTLY = True
"""Cubes of parts of the rows add up to the same bytes: they are counts."""


def classes_of(judgement: Judgement) -> Classes:
    """The label of a plan that predicts classes."""
    label = judgement.data.label
    assert isinstance(label, Classes)  # noqa: S101 - `kinds` asks no other
    return label


def problems(predictions: pl.DataFrame) -> Iterator[str]:
    """What is wrong with predictions of the right types."""
    if outside := int((~predictions["score"].is_between(0, 1)).sum()):
        yield f"{outside} scores lie outside [0, 1] or are no number"


def answers(
    scores: Scores,
    rule: Rule,
    judgement: Judgement,
    on: str,
    groups: Codes | None = None,
    noisy: Noisy | None = None,
) -> pl.DataFrame:
    """``score`` and ``prediction`` of each row, as a set of rows has them.

    Of an audit set the prediction is what the decided class means there, and the score is the sum of the
    probabilities of all classes that mean the set's positive one (or, where it has none, the decided one).

    Args:
        scores: of the model, (n, classes).
        rule: of the model.
        judgement: of the plan.
        on: the test part, or an audit set.
        groups: of the rows, as the rule numbers them; None where it reads none.
        noisy: from the rows' decisions to what is told; then scores are 1 for what is told and else 0.
    """
    assert isinstance(rule, ClassRule)  # noqa: S101 - the label's classes were its own
    plan, label = classes_of(judgement), classes_of(judgement.sets[on])
    means = plan.values if on == TEST else judgement.audits[on].means(plan.values)
    meant = np.array([label.values.index(name) for name in means])
    told = rule.decide(scores, groups)
    if noisy is not None:
        told = noisy(told)
        scores = certain(told, len(plan.values))
    decided = meant[told]
    wanted = decided if label.positive is None else np.full(len(scores), label.values.index(label.positive))
    # Added up in float32, probabilities of one may come out a last bit above it.
    score = np.minimum((scores * (meant == wanted[:, None])).sum(axis=1, dtype=np.float32), np.float32(1))
    return pl.DataFrame(
        {
            "score": pl.Series(score, dtype=pl.Float32),
            "prediction": pl.Series([label.values[index] for index in decided], dtype=pl.String),
        }
    )


def served(answer: Mapping[str, NDArray[Any]], judgement: Judgement) -> pl.DataFrame:
    """``score`` and ``prediction`` of what a registered model gave, by column."""
    told = {name: own.astype(np.float32) for name, own in answer.items() if name != "prediction"}
    positive = classes_of(judgement).positive
    # Of more than two classes there is a column each; without a positive one the likeliest was predicted.
    own = None if positive is None else told.get(f"probability_{positive}")
    score = np.max([*told.values()], axis=0) if own is None else own
    decided = pl.Series(answer["prediction"].astype(str).tolist(), dtype=pl.String)
    return pl.DataFrame({"score": pl.Series(score, dtype=pl.Float32), "prediction": decided})


def count(
    predictions: pl.DataFrame, described: pl.DataFrame, judgement: Judgement, score_edges: Sequence[float]
) -> Cube:
    """The audit cube, by unit too where the plan names one: rows of one unit are not independent.

    Raises:
        ValueError: for classes that the plan does not name.
    """
    label = classes_of(judgement)
    return Cube.from_arrays(
        described["label"],
        predictions["prediction"],
        {name: described[name] for name in judgement.protected},
        score=predictions["score"].to_numpy(),
        score_edges=score_edges,
        unit=None if judgement.unit is None else described["unit"],
        labels=label.values,
        positive=label.positive,
    )


def count_labels(described: pl.DataFrame, judgement: Judgement) -> Cube:
    """Counts of a part without predictions, by group and class."""
    label = classes_of(judgement)
    groups = {name: described[name] for name in judgement.protected}
    return Cube.from_labels(described["label"], groups, labels=label.values, positive=label.positive)


def estimate(predictions: pl.DataFrame, label: pl.Series, judgement: Judgement) -> tuple[Estimate, ...]:
    """Accuracy, macro-F1, and AUC where there are two classes.

    Raises:
        Refusal: for a test part with one class.
    """
    classes = classes_of(judgement)
    found = [accuracy((predictions["prediction"] == label).to_numpy())]
    truth, decided = (
        column.replace_strict(
            classes.values, list(range(len(classes.values))), return_dtype=pl.Int64
        ).to_numpy()
        for column in (label, predictions["prediction"])
    )
    found.append(macro_f1(truth, decided, len(classes.values)))
    if len(classes.values) == 2:
        positive = np.asarray((label == classes.positive).to_numpy(), bool)
        found.append(auc(positive, predictions["score"].to_numpy()))
    return tuple(found)


def changed(one: pl.Series, other: pl.Series, judgement: Judgement) -> int:  # noqa: ARG001 - as for numbers
    """Rows of which two models decide another class."""
    return int((one != other).sum())


def compare(new: pl.Series, old: pl.Series, truth: pl.Series, margin: float, alpha: float) -> Paired:
    """Accuracy of two models on the same rows; see :func:`tasks.evaluate.paired.compare_right`."""
    right_new, right_old = ((told == truth).to_numpy() for told in (new, old))
    return compare_right(right_new, right_old, margin, alpha)
