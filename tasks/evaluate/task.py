"""Opening the test part, as a Prefect task; the only file of this room that knows Prefect."""

from __future__ import annotations

import time
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.evaluate.records import Evaluated
from tasks.evidence.records import Dataset
from tasks.plan import Plan


@task(name="open the test part", cache_policy=NO_CACHE)
def open_test_part(dataset: Dataset, plan: Plan, folder: Path) -> tuple[Evaluated, dict[str, float]]:
    """Predict the test part with the model frozen in the dossier; file predictions and cube beside it.

    Returns:
        The record, and what predicting cost (no evidence).
    """
    # torch, scipy and polars: only a run that comes this far pays for their import.
    from tasks.evaluate.evaluate import evaluate  # noqa: PLC0415
    from tasks.evaluate.predict import predict_part  # noqa: PLC0415
    from tasks.ingest.described import describe  # noqa: PLC0415
    from tasks.ingest.parts import read_part  # noqa: PLC0415
    from tasks.model.predictor import Predictor  # noqa: PLC0415

    frame = read_part(dataset, "test", plan.judgement)
    predictor = Predictor.load(folder / "model")
    described = describe(frame, plan.judgement)
    begun = time.perf_counter()
    predictions = predict_part(predictor, frame, plan.judgement)
    cost = {"microseconds per predicted row": 1e6 * (time.perf_counter() - begun) / len(frame)}
    return evaluate(predictions, described, plan.judgement, predictor.rule.score_edges, folder), cost
