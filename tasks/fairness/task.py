"""The gate as a Prefect task; the only file of this room that knows Prefect."""

from __future__ import annotations

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.fairness.allowance import Allowance
from tasks.fairness.verdict import Verdicts
from tasks.plan.judgement import Judgement


@task(name="judge", cache_policy=NO_CACHE)
def judge_cube(cube: Path, training_cube: Path, judgement: Judgement, allowance: Allowance) -> Verdicts:
    """Judge every limit on the filed cube, at the level that the test set's ledger allowed.

    Which groups are judged is settled by the training part's counts, never by test outcomes.
    """
    # scipy and polars: only a run that comes this far pays for their import.
    from tasks.fairness.cube import Cube  # noqa: PLC0415
    from tasks.fairness.spending import judge_within  # noqa: PLC0415

    tested, trained = (Cube.from_json(path.read_bytes()) for path in (cube, training_cube))
    return Verdicts(judged=judge_within(tested, trained, judgement, allowance))
