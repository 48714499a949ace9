"""From typed rows to predictions, with a frozen model."""

from __future__ import annotations

import numpy as np
import polars as pl

from tasks.errors import Refusal
from tasks.evaluate.evaluate import classes_of
from tasks.model.predictor import Predictor
from tasks.model.rule import ClassRule
from tasks.plan.judgement import TEST, Judgement


def predict_part(
    predictor: Predictor, frame: pl.DataFrame, judgement: Judgement, on: str = TEST
) -> pl.DataFrame:
    """Predictions of a typed part: row_id, row_digest, score, prediction; as retrain and replay do.

    Of an audit set the prediction is what the decided class means there, and the score is the sum of the
    probabilities of all classes that mean the set's positive one (or, where it has none, the decided one).

    Args:
        predictor: the model.
        frame: the rows.
        judgement: of the plan.
        on: the set that they are of: the test part, or an audit set.

    Raises:
        Refusal: for rows that the model can't take, such as a category that it never saw.
    """
    own, plan, rule = judgement.sets[on], classes_of(judgement), predictor.rule
    try:
        scores = predictor.scores(_as_taken(frame, own, judgement))
    except ValueError as error:
        where = "test part" if on == TEST else f"audit set {on}"
        raise Refusal(f"{where}: the model can't take it: {error}") from error
    assert isinstance(rule, ClassRule)  # noqa: S101 - the label's classes were its own
    label = classes_of(own)
    means = plan.values if on == TEST else judgement.audits[on].means(plan.values)
    meant = np.array([label.values.index(name) for name in means])
    decided = meant[rule.decide(scores)]
    wanted = decided if label.positive is None else np.full(len(frame), label.values.index(label.positive))
    # Added up in float32, probabilities of one may come out a last bit above it.
    score = np.minimum((scores * (meant == wanted[:, None])).sum(axis=1, dtype=np.float32), np.float32(1))
    return frame.select("row_id", "row_digest").with_columns(
        pl.Series("score", score, pl.Float32),
        pl.Series("prediction", [label.values[index] for index in decided], pl.String),
    )


def _as_taken(frame: pl.DataFrame, own: Judgement, judgement: Judgement) -> pl.DataFrame:
    """The rows with what the model takes in under the name that it has in the plan."""
    found, taken = own.data.payload, judgement.data.payload
    return frame if found == taken else frame.rename({str(found): str(taken)})
