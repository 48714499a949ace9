"""Training as a Prefect task; the only file of this room that knows Prefect."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.evidence.records import Dataset
from tasks.plan import Plan
from tasks.represent.records import Raked
from tasks.train.records import Trained


@task(name="train", cache_policy=NO_CACHE)
def train(
    dataset: Dataset, raked: Raked | None, plan: Plan, folder: Path, checkpoints: Path
) -> tuple[Trained, dict[str, float]]:
    """Train and freeze the plan's model; returns its record, and what it cost (no evidence)."""
    # torch takes three seconds to import: only a run that trains pays for it.
    from tasks.train.cost import measured  # noqa: PLC0415
    from tasks.train.device import choose_device  # noqa: PLC0415
    from tasks.train.part import train_part  # noqa: PLC0415
    from tasks.train.progress import progress_bar  # noqa: PLC0415

    with measured(choose_device()) as cost, progress_bar(plan.recipe.training.epochs) as progress:
        trained = train_part(dataset, raked, plan, folder, checkpoints, [progress])
    return trained, asdict(cost)
