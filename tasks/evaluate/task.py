"""Opening the test part, as a Prefect task; the only file of this room that knows Prefect."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.evaluate.evaluate import evaluate
from tasks.evaluate.records import Evaluated
from tasks.evidence.records import Dataset
from tasks.ingest.kinds import kind_of
from tasks.ingest.parts import read_part
from tasks.model.predictor import Predictor
from tasks.plan import Plan
from tasks.plan.judgement import Judgement


@task(name="open the test part", cache_policy=NO_CACHE)
def open_test_part(dataset: Dataset, model: Path, plan: Plan, folder: Path) -> Evaluated:
    """Predict the test part with the frozen model in ``model``; file predictions and cube in ``folder``."""
    frame = read_part(dataset, "test", plan.judgement)
    predictor = Predictor.load(model)
    described = kind_of(plan.judgement).describe(frame, plan.judgement)
    predictions = predict_part(predictor, frame, plan.judgement)
    return evaluate(predictions, described, plan.judgement, predictor.rule.score_edges, folder)


def predict_part(predictor: Predictor, frame: pl.DataFrame, judgement: Judgement) -> pl.DataFrame:
    """Predictions of a typed part: row_id, row_digest, score, prediction; replay predicts with it too."""
    scores = predictor.scores(frame)
    classes = judgement.data.label.values
    decided = predictor.rule.decide(scores)
    positive = judgement.data.label.positive
    score = scores[:, classes.index(positive)] if positive is not None else scores.max(axis=1)
    return frame.select("row_id", "row_digest").with_columns(
        pl.Series("score", score, pl.Float32),
        pl.Series("prediction", [classes[index] for index in decided], pl.String),
    )
