"""A comparison in MLflow: one parent run, with a nested run for each variant below it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from tasks.evaluate.compared import SetChange
from tasks.evaluate.records import Opened
from tasks.fairness.verdict import Verdicts
from tasks.plan.comparing import PlanVariant
from tasks.register.client import Connection
from tasks.register.keys import key
from tasks.register.publish import metrics_of
from tasks.register.runs import Contents, log_run, start

NAME = "mlflow.runName"
KIND = "assay.comparison"


def open_comparison(
    connection: Connection, model: str, folder: Path, tags: Mapping[str, str], experiment: str | None
) -> str:
    """Open the parent run of a comparison; returns its id.

    Args:
        connection: MLflow.
        model: the plan's name.
        folder: of the plan's comparisons; this one's is named by the run.
        tags: whatever is known before the run.
        experiment: MLflow's; the plan's name when absent.

    Raises:
        RegistryError: when MLflow can't make it.
    """
    run_id = start(connection, model, folder, {**tags, KIND: model}, experiment)
    with connection.doing(f"name run {run_id}") as client:
        client.set_tag(run_id, NAME, f"compare {model}")
    return run_id


def open_variant(connection: Connection, run_id: str, variant: PlanVariant, tags: Mapping[str, str]) -> str:
    """Make the nested run of a variant, which the ledger names; returns its id.

    It is ended at once, so that none stays open where the comparison is killed; what is filed later is filed
    all the same.

    Args:
        connection: MLflow.
        run_id: of the parent.
        variant: named in it.
        tags: digests of what it was trained from.

    Raises:
        RegistryError: when MLflow can't.
    """
    recipe = variant.plan.recipe
    params: dict[str, str | float] = {
        "variant": variant.name,
        "mitigation": "; ".join(variant.steps)[:6000] or "none",
        "seed": recipe.seed,
        **{key("set", name): str(value) for name, value in variant.settings.items()},
    }
    with connection.doing(f"open a run for variant {variant.name}") as client:
        parent = client.get_run(run_id)
        own = {**tags, MLFLOW_PARENT_RUN_ID: run_id, "assay.model": variant.plan.name, KIND: variant.name}
        child = str(client.create_run(parent.info.experiment_id, run_name=variant.name, tags=own).info.run_id)
        client.set_terminated(child, "FINISHED")
    log_run(connection, child, Contents(params=params))
    return child


def refuse_variant(connection: Connection, run_id: str, because: str) -> None:
    """Say in a variant's run why it could not be trained."""
    with connection.doing(f"file run {run_id} as refused") as client:
        client.set_tag(run_id, "assay.refused", because[:5000])
        client.set_terminated(run_id, "FAILED", int(time.time() * 1000))


def file_variant(
    connection: Connection, run_id: str, opened: Opened, verdicts: Verdicts, changes: Sequence[SetChange]
) -> None:
    """File a judged variant: performance, gaps and groups' rates, and what changed against `none`.

    Raises:
        RegistryError: when MLflow can't.
    """
    metrics = dict(metrics_of({"opening": opened, "verdicts": verdicts}))
    metrics |= dict(_changes(changes))
    tags = {
        "assay.verdicts": verdicts.summary,
        "assay.levelling_down": ", ".join(
            f"{one.metric} by {one.attribute}"
            for each in changes
            for one in each.limits
            if one.levelling_down
        ),
    }
    log_run(connection, run_id, Contents(metrics=metrics, tags={k: v for k, v in tags.items() if v}))


def _changes(changes: Sequence[SetChange]) -> Iterator[tuple[str, float]]:
    for each in changes:
        named = [((each.on, "accuracy"), each.accuracy)]
        if each.flips is not None:
            named.append(((each.on, "flips"), each.flips))
        named += [((each.on, one.attribute, one.metric), one) for one in each.limits]  # type: ignore[misc]
        for parts, one in named:
            for suffix, value in (("", one.change), (" low", one.low), (" high", one.high)):
                if value is not None:
                    yield key("change", *parts[:-1], parts[-1] + suffix), value


def file_comparison(connection: Connection, run_id: str, files: Sequence[Path], description: str) -> None:
    """File the comparison's record, page and figure in the parent run.

    Raises:
        RegistryError: when MLflow can't.
    """
    log_run(connection, run_id, Contents(description=description))
    with connection.doing(f"file the comparison of run {run_id}") as client:
        for path in files:
            client.log_artifact(run_id, str(path))
