"""From a typed part to predictions, with a frozen model."""

from __future__ import annotations

import polars as pl

from tasks.errors import Refusal
from tasks.evaluate.evaluate import classes_of
from tasks.model.predictor import Predictor
from tasks.model.rule import ClassRule
from tasks.plan.judgement import Judgement


def predict_part(predictor: Predictor, frame: pl.DataFrame, judgement: Judgement) -> pl.DataFrame:
    """Predictions of a typed part: row_id, row_digest, score, prediction; as retrain and replay do.

    Raises:
        Refusal: for rows that the model can't take, such as a category that it never saw.
    """
    try:
        scores = predictor.scores(frame)
    except ValueError as error:
        raise Refusal(f"test part: the model can't take it: {error}") from error
    classes, rule = classes_of(judgement).values, predictor.rule
    assert isinstance(rule, ClassRule)  # noqa: S101 - the label's classes were its own
    decided, positive = rule.decide(scores), classes_of(judgement).positive
    score = scores[:, classes.index(positive)] if positive is not None else scores.max(axis=1)
    return frame.select("row_id", "row_digest").with_columns(
        pl.Series("score", score, pl.Float32),
        pl.Series("prediction", [classes[index] for index in decided], pl.String),
    )
