"""The ledger of a model's test set, kept in MLflow beside the registry: who judged on which rows, how often.

It is a run of its own in the model's experiment, tagged ``assay.ledger``, with a table that people can
read and one file, ``ledger.json``: every judgement, and the digests of the rows of each budget (base64 of
little-endian 64-bit integers). A model that was judged before and has no ledger, or one whose bytes were
changed, is given no verdict: what was spent is then unknown.
"""

from __future__ import annotations

import base64
import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

from tasks.evidence.digest import write_atomically
from tasks.evidence.dossier import body_of, read_chain
from tasks.fairness.allowance import Allowance, Line
from tasks.fairness.spending import Ledger, Rows
from tasks.plan import Plan
from tasks.register.client import Connection, shown
from tasks.register.runs import NOTE, fitting

TAG, HEAD, JUDGED = "assay.ledger", "assay.ledger_head", "assay.judged"
FILE = "ledger.json"
WEIGHTS = "weights"


@dataclass(frozen=True)
class _Found:
    """A ledger as it was read, or why it can't be relied on."""

    run_id: str | None
    ledger: Ledger
    problem: str = ""


def spend(
    connection: Connection, plan: Plan, run_id: str, rows: Mapping[str, Sequence[str]], weights: str
) -> Allowance:
    """Draw one judgement of these rows from the ledger, before any of them is opened.

    Each set of rows has a budget of its own, and one judgement draws on all of them or on none: an audit
    set is used up as the test part is, and a new one opens no new budget of the test part. The caller holds
    the lock of the model's runs.

    Args:
        connection: MLflow.
        plan: names the model, alpha and ``max_judgements``.
        run_id: the run that judges.
        rows: digest of every row, hexadecimal, by set: the test part and the audit sets.
        weights: digest of the frozen model.

    Returns:
        What may be spent, of the set that was judged on most often; with a problem, and nothing written,
        where nothing may.

    Raises:
        RegistryError: when MLflow can't be read or written.
    """
    with connection.doing(f"draw on the ledger of {plan.name!r}'s test set") as client:
        found = _read(client, plan.name)
        grown, allowance = _draw(found.ledger, plan, run_id, _digests(rows), weights)
        if found.problem:
            return allowance.model_copy(update={"problem": found.problem})
        if grown is not found.ledger:
            ledger_run = found.run_id or _new_run(client, connection, plan)
            _write(client, ledger_run, grown)
        client.set_tag(run_id, JUDGED, "yes")
    return allowance


def lacking(
    connection: Connection,
    plan: Plan,
    rows: Mapping[str, Sequence[str]],
    wanted: Sequence[Mapping[str, str]],
) -> str:
    """Why the ledger does not hold a judgement of each of several models, asked before any is trained.

    Weights that were judged by this judgement before spend nothing. Of a model that is still to be trained
    they are known if a run that stands in the ledger had the same recipe, data and code.

    Args:
        connection: MLflow.
        plan: names the model, alpha and ``max_judgements``.
        rows: as `spend` takes them.
        wanted: of each model its weights' digest as `WEIGHTS`, or the tags of the run that trains it.

    Returns:
        One sentence; "" where there is room for all.

    Raises:
        RegistryError: when MLflow can't be read.
    """
    with connection.doing(f"read the ledger of {plan.name!r}'s test set") as client:
        found = _read(client, plan.name)
        known = {line.run: line.weights for line in found.ledger.lines}
        weights = [
            each.get(WEIGHTS) or _expected(client, known, each) or f"not trained yet: {i}"
            for i, each in enumerate(wanted)
        ]
    grown, digests = found.ledger, _digests(rows)
    for held, each in enumerate(weights):
        grown, allowance = _draw(grown, plan, "", digests, each)
        if allowance.problem:
            return (
                f"{len(wanted)} models are to be judged, and there is room for {held}: each spends one of "
                f"the plan's max_judgements, {allowance.max_judgements}; judge fewer, or on rows more than "
                "half of which were never judged"
            )
    return found.problem


def _expected(client: MlflowClient, known: Mapping[str, str], tags: Mapping[str, str]) -> str:
    """The weights that a run with these tags was judged with, "" where none was."""
    if not known:
        return ""
    experiments = [each.experiment_id for each in client.search_experiments(view_type=ViewType.ACTIVE_ONLY)]
    wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in sorted(tags.items()))
    runs = client.search_runs(experiments, wanted)
    return next((known[run.info.run_id] for run in runs if run.info.run_id in known), "")


def _draw(
    ledger: Ledger, plan: Plan, run_id: str, rows: Mapping[str, Rows], weights: str
) -> tuple[Ledger, Allowance]:
    """One judgement by the plan's rules."""
    return ledger.spend_all(
        rows,
        weights,
        plan.digests["judgement"],
        alpha=plan.judgement.alpha,
        maximum=plan.judgement.test_set.max_judgements,
        run=run_id,
        at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def _digests(rows: Mapping[str, Sequence[str]]) -> dict[str, Rows]:
    return {on: np.array([int(row, 16) for row in listed], np.uint64) for on, listed in rows.items()}


def ledger_problems(connection: Connection, model: str, dossier: Path) -> list[str]:
    """Whether the judgement of a dossier stands in the ledger: one sentence if not.

    A judgement from which verdicts were withheld spent nothing, and does not stand there.
    """
    entries = list(read_chain(dossier))
    if body_of(entries, "spending")["problem"]:
        return []
    weights, judgement = (
        body_of(entries, "freeze")["digest"],
        body_of(entries, "plan")["digests"]["judgement"],
    )
    with connection.doing(f"read the ledger of {model!r}'s test set") as client:
        found = _read(client, model)
    if found.problem:
        return [found.problem]
    if place := found.ledger.place_of(weights, judgement):
        number = body_of(entries, "spending")["number"]
        return [] if number == place else [f"judgement {number} on record, {place} in the ledger of {model}"]
    return [f"no judgement of weights {weights[:12]}… by {judgement[:12]}… stands in the ledger of {model}"]


def _read(client: MlflowClient, model: str) -> _Found:
    experiments = [each.experiment_id for each in client.search_experiments(view_type=ViewType.ACTIVE_ONLY)]
    runs = list(client.search_runs(experiments, f"tags.`{TAG}` = '{model}'"))
    if len(runs) > 1:
        return _Found(
            None, Ledger(), f"{len(runs)} ledgers of {model}'s test set were found: delete the false ones"
        )
    if not runs:
        return _Found(None, Ledger(), _missing(client, experiments, model))
    if HEAD not in runs[0].data.tags:  # its maker was killed before the first judgement was made
        return _Found(str(runs[0].info.run_id), Ledger(), _missing(client, experiments, model))
    return _load(client, runs[0], model)


def _missing(client: MlflowClient, experiments: list[str], model: str) -> str:
    """A model that was never judged has no ledger yet; any other must have one."""
    deleted = client.search_runs(experiments, f"tags.`{TAG}` = '{model}'", ViewType.DELETED_ONLY)
    judged = f"tags.`assay.model` = '{model}' and tags.`{JUDGED}` = 'yes'"
    if not (
        [run for run in deleted if HEAD in run.data.tags]
        or client.search_runs(experiments, judged, ViewType.ALL, max_results=1)
        or client.search_model_versions(f"name = '{model}'", max_results=1)
    ):
        return ""
    return f"the ledger of {model}'s test set is missing, so what was spent on it is unknown: " + (
        _restoring(client, deleted, model)
    )


def _restoring(client: MlflowClient, deleted: Sequence[Run], model: str) -> str:
    """What brings a ledger back: MLflow keeps a deleted run until `mlflow gc`."""
    if not deleted:
        return (
            f"MLflow holds no run tagged {TAG}={model}, not even a deleted one; bring its run and files back "
            "from a backup (docs/operations.md)"
        )
    address = shown(client.tracking_uri)
    commands = " or ".join(f"`mlflow runs restore --run-id {run.info.run_id}`" for run in deleted)
    which = "its run is deleted" if len(deleted) == 1 else f"{len(deleted)} such runs are deleted"
    return f"{which}; restore the true one with MLFLOW_TRACKING_URI={address} and {commands}"


def _load(client: MlflowClient, run: Run, model: str) -> _Found:
    run_id = str(run.info.run_id)
    if not any(item.path == FILE for item in client.list_artifacts(run_id)):
        return _Found(
            run_id, Ledger(), f"{FILE} of {model}'s test set is gone from MLflow run {run_id}: restore it"
        )
    with tempfile.TemporaryDirectory(prefix="assay-ledger-") as scratch:
        content = Path(client.download_artifacts(run_id, FILE, scratch)).read_bytes()
    if hashlib.sha256(content).hexdigest() not in run.data.tags[HEAD].split():
        problem = f"the ledger of {model}'s test set (MLflow run {run_id}) was changed by other hands"
        return _Found(run_id, Ledger(), problem)
    document = json.loads(content)
    lines = tuple(Line.model_validate(line) for line in document["lines"])
    return _Found(run_id, Ledger(lines, tuple(_decoded(rows) for rows in document["budgets"])))


def _new_run(client: MlflowClient, connection: Connection, plan: Plan) -> str:
    experiment = connection.experiment(plan.operations.registry.experiment or plan.name)
    name = f"Ledger of {plan.name}'s test set"
    run_id = str(client.create_run(experiment, run_name=name, tags={TAG: plan.name}).info.run_id)
    client.set_terminated(run_id, "FINISHED")
    return run_id


def _write(client: MlflowClient, run_id: str, ledger: Ledger) -> None:
    """Write the ledger; its tag names the old and the new bytes meanwhile, so that a kill breaks nothing.

    A first ledger gets its tag last: without one, nothing was spent yet.
    """
    document = {
        "schema": 1,
        "lines": [line.model_dump(mode="json") for line in ledger.lines],
        "budgets": [_encoded(rows) for rows in ledger.budgets],
    }
    content = json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"
    head = hashlib.sha256(content).hexdigest()
    if before := client.get_run(run_id).data.tags.get(HEAD, ""):
        client.set_tag(run_id, HEAD, f"{before} {head}")
    with tempfile.TemporaryDirectory(prefix="assay-ledger-") as scratch:
        write_atomically(Path(scratch) / FILE, content)
        client.log_artifact(run_id, str(Path(scratch) / FILE))
    client.set_tag(run_id, HEAD, head)
    client.set_tag(run_id, NOTE, fitting(_page(ledger)))


def _encoded(rows: Rows) -> str:
    return base64.b64encode(rows.astype("<u8").tobytes()).decode()


def _decoded(text: str) -> Rows:
    return np.frombuffer(base64.b64decode(text), "<u8").astype(np.uint64)


def _page(ledger: Ledger) -> str:
    head = "| set of rows | judged | weights | judgement | spent | run |\n|---|---|---|---|---|---|\n"
    rows = "".join(
        f"| {line.budget} ({len(ledger.budgets[line.budget]):,} rows) | {line.at} | `{line.weights[:12]}` "
        f"| `{line.judgement[:12]}` | {line.share:.3g} of alpha | `{line.run}` |\n"
        for line in ledger.lines
    )
    told = "Every judgement made on this model's test rows. A set whose shares add up to 1 is used up."
    return f"{told}\n\n{head}{rows}"
