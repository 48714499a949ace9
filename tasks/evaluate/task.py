"""Opening the test part, as a Prefect task; the only file of this room that knows Prefect."""

from __future__ import annotations

import time
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.evaluate.compared import SetChange
from tasks.evaluate.records import PREDICTIONS, TRAINING_CUBE, Opened, file_of
from tasks.evidence.digest import write_atomically
from tasks.evidence.records import Dataset
from tasks.fairness.verdict import Verdicts
from tasks.plan import Plan
from tasks.plan.judgement import TEST


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
    with crew(plan.recipe.training.workers) as by:
        begun = time.perf_counter()
        told = {on: predict_together(by, model, frame, judgement, on) for on, frame in frames.items()}
        seconds, rows = time.perf_counter() - begun, sum(map(len, frames.values()))
        cost = {"microseconds per predicted row": 1e6 * seconds / rows}
        predictor, federated = Predictor.load(model), plan.recipe.federated
        return open_sets(frames, told, judgement, predictor, folder, by, federated), cost


@task(name="compare", cache_policy=NO_CACHE)
def compare_variant(
    dataset: Dataset,
    plan: Plan,
    folders: tuple[Path, Path],
    verdicts: tuple[Verdicts, Verdicts],
    training: Path,
) -> tuple[SetChange, ...]:
    """What changed from one opened variant to another; see :func:`tasks.evaluate.compare.compare_set`.

    Args:
        dataset: pinned.
        plan: its judgement is that of both.
        folders: of the variants, each with its predictions; the second one gets the joint counts.
        verdicts: of both.
        training: folder of the training part's counts.
    """
    # scipy and polars, as above.
    from tasks.evaluate.compare import compare_set  # noqa: PLC0415
    from tasks.evaluate.joint import JOINT, count_joint  # noqa: PLC0415
    from tasks.evaluate.predictions import read_predictions  # noqa: PLC0415
    from tasks.fairness.cube import Cube  # noqa: PLC0415
    from tasks.ingest.described import describe  # noqa: PLC0415
    from tasks.ingest.parts import read_part  # noqa: PLC0415

    labelled, found = Cube.from_json((training / TRAINING_CUBE).read_bytes()), []
    before, after = (one.judged for one in verdicts)
    for on, own in plan.judgement.sets.items():
        described = describe(read_part(dataset, on, own), own)
        told = [read_predictions(folder / file_of(PREDICTIONS, on), own)["prediction"] for folder in folders]
        cube = count_joint(told[0], told[1], described, own)
        write_atomically(folders[1] / file_of(JOINT, on), cube.to_json())
        found.append(compare_set(on, cube, labelled if on == TEST else None, own, before, after))
    return tuple(found)
