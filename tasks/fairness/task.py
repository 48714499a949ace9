"""The gate as a Prefect task; the only file of this room that knows Prefect."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.fairness.allowance import Allowance
from tasks.fairness.verdict import Verdicts
from tasks.plan.judgement import Judgement


@task(name="judge", cache_policy=NO_CACHE)
def judge_cubes(
    cubes: Mapping[str, Path], training_cube: Path, judgement: Judgement, allowance: Allowance
) -> Verdicts:
    """Judge every limit on the filed cubes, of the test part and of the audit sets, at the level allowed.

    Which groups of the test part are judged is settled by the training part's counts, never by outcomes.
    """
    # scipy and polars: only a run that comes this far pays for their import.
    from tasks.fairness.counts import read_counts  # noqa: PLC0415
    from tasks.fairness.cube import Cube  # noqa: PLC0415
    from tasks.fairness.spending import judge_within  # noqa: PLC0415

    counts = {on: read_counts(path.read_bytes()) for on, path in cubes.items()}
    training = Cube.from_json(training_cube.read_bytes())
    return Verdicts(judged=judge_within(counts, training, judgement, allowance))
