"""Opening the test part, as a Prefect task; the only file of this room that knows Prefect."""

from __future__ import annotations

import time
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.evaluate.records import Opened
from tasks.evidence.records import Dataset
from tasks.plan import Plan


@task(name="open the test part", cache_policy=NO_CACHE)
def open_test_part(dataset: Dataset, plan: Plan, folder: Path) -> tuple[Opened, dict[str, float]]:
    """Predict the test part and the audit sets with the model frozen in the dossier; file what it said.

    Returns:
        The record, and what predicting cost (no evidence).
    """
    # torch, scipy and polars: only a run that comes this far pays for their import.
    from tasks.evaluate.opening import open_sets  # noqa: PLC0415
    from tasks.evaluate.together import crew, predict_together  # noqa: PLC0415
    from tasks.ingest.parts import read_part  # noqa: PLC0415
    from tasks.model.predictor import Predictor  # noqa: PLC0415

    judgement, model = plan.judgement, folder / "model"
    frames = {on: read_part(dataset, on, own) for on, own in judgement.sets.items()}
    with crew(plan.recipe.training.workers, plan.operations.compute.threads) as by:
        begun = time.perf_counter()
        told = {on: predict_together(by, model, frame, judgement, on) for on, frame in frames.items()}
        seconds, rows = time.perf_counter() - begun, sum(map(len, frames.values()))
        cost = {"microseconds per predicted row": 1e6 * seconds / rows}
        return open_sets(frames, told, judgement, Predictor.load(model), folder, by), cost
