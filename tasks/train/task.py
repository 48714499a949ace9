"""Training as a Prefect task; the only file of this room that knows Prefect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.evidence.records import Dataset
from tasks.plan import Plan
from tasks.represent.records import Raked
from tasks.train.records import Trained, Trial, Tuned


@task(name="tune", cache_policy=NO_CACHE)
def tune(
    dataset: Dataset, raked: Raked | None, plan: Plan, folder: Path, on_trial: Callable[[Trial], None]
) -> Tuned:
    """Search the plan's recipe, if it asks for that; see :func:`tasks.train.tuning.tune`."""
    if plan.recipe.tuning is None:
        return Tuned()
    from tasks.train.part import training_rows  # noqa: PLC0415
    from tasks.train.progress import trials_bar  # noqa: PLC0415
    from tasks.train.tuning import tune as search  # noqa: PLC0415

    with trials_bar(plan.recipe.tuning.trials) as progress:

        def told(trial: Trial) -> None:
            progress(trial)
            on_trial(trial)

        return search(training_rows(dataset, raked, plan), dataset.test.rows, plan, folder, told)


@task(name="train", cache_policy=NO_CACHE)
def train(
    dataset: Dataset, raked: Raked | None, plan: Plan, folder: Path, checkpoints: Path
) -> tuple[Trained, dict[str, float]]:
    """Train and freeze the plan's model; returns its record, and what it cost (no evidence)."""
    # torch takes three seconds to import: only a run that trains pays for it.
    from tasks.model.device import choose_device  # noqa: PLC0415
    from tasks.train.cost import measured  # noqa: PLC0415
    from tasks.train.part import train_part  # noqa: PLC0415
    from tasks.train.progress import progress_bar  # noqa: PLC0415

    federated = plan.recipe.federated
    epochs = plan.recipe.training.epochs if federated is None else federated.rounds
    with measured(choose_device()) as cost, progress_bar(epochs) as progress:
        trained = train_part(dataset, raked, plan, folder, checkpoints, [progress])
    return trained, asdict(cost)
