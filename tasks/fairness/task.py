"""The gate as a Prefect task; the only file of this room that knows Prefect."""

from __future__ import annotations

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.evaluate.evaluate import CUBE, count_labels
from tasks.evidence.records import Dataset
from tasks.fairness.cube import Cube
from tasks.fairness.gate import judge
from tasks.fairness.verdict import Verdicts
from tasks.ingest.kinds import kind_of
from tasks.ingest.parts import read_part
from tasks.plan.judgement import Judgement


@task(name="judge", cache_policy=NO_CACHE)
def judge_cube(dataset: Dataset, judgement: Judgement, folder: Path) -> Verdicts:
    """Judge every limit on the cube of the dossier in ``folder``.

    Which groups are judged is settled by the training part's counts, never by test outcomes.
    """
    cube = Cube.from_json((folder / CUBE).read_bytes())
    training = kind_of(judgement).describe(read_part(dataset, "train", judgement), judgement)
    counted = count_labels(training, judgement)
    return Verdicts(
        judged=tuple(judge(cube, judgement.limits, judgement.alpha, judgement.too_small, counted))
    )
