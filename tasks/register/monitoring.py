"""Looks at a champion in service, in MLflow: a run each, marked as monitoring, and what each spent of alpha.

The runs are the account of the looks: which rows were looked at, and under which number, stands in their
tags, deleted runs included. Whoever purges them from the database (`mlflow gc`) has the looks forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from mlflow.entities import Run, ViewType
from pydantic import ValidationError

from tasks.errors import RegistryError
from tasks.evidence.digest import digest_file
from tasks.evidence.dossier import check_files, read_chain
from tasks.fairness.verdict import Verdicts
from tasks.fairness.words import headed
from tasks.monitor.looks import look_of
from tasks.monitor.records import Compared, Looks, NewRows, Trend
from tasks.plan import Plan, read_locked
from tasks.register.client import Connection
from tasks.register.keys import key
from tasks.register.publish import metrics_of
from tasks.register.registry import Version
from tasks.register.runs import Contents, log_run, start
from tasks.register.verify import download_dossier

KIND, VERSION = "assay.monitoring", "assay.monitored_version"
NAME = "mlflow.runName"
SHARE = "drift/share of columns"


def open_look_run(connection: Connection, plan: Plan, folder: Path, tags: Mapping[str, str]) -> str:
    """Open the run of one look; returns its id.

    Raises:
        RegistryError: when MLflow can't make it.
    """
    own = {**tags, KIND: plan.name}
    run_id = start(connection, plan.name, folder, own, plan.operations.registry.experiment)
    with connection.doing(f"name run {run_id}") as client:
        moment = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        client.set_tag(run_id, NAME, f"monitor {plan.name} {moment}")
    return run_id


def fetch_champion(connection: Connection, version: Version, scratch: Path) -> tuple[Path, Plan]:
    """The champion's dossier, its chain and files checked, and the plan that it was made by.

    Raises:
        RegistryError: for a dossier that is not the version's own, or of another version of Assay.
        EvidenceError: for a broken chain.
    """
    folder = download_dossier(connection, version.run_id, scratch)
    entries = list(read_chain(folder))
    problems = check_files(folder, entries)
    last = max((folder / "records").glob("*.json"), default=None)
    if last is None or version.tags.get("assay.dossier_head") != digest_file(last):
        problems.append("its last record is not the one that the registry names")
    if problems:
        raise RegistryError(f"the dossier of {version} can't be relied on: {'; '.join(problems)}")
    try:
        return folder, read_locked(folder)
    except ValidationError as error:
        raise RegistryError(
            f"the plan of {version} is of another version of Assay: retrain, then monitor"
        ) from error


def spend_look(
    connection: Connection, run_id: str, version: Version, rows: NewRows, alpha: float, least: int
) -> Looks:
    """Give this look its numbers, before anything is compared; the caller holds the lock of the looks.

    Args:
        connection: MLflow.
        run_id: of this look.
        version: the champion.
        rows: as read.
        alpha: the plan's.
        least: labelled rows below which none are judged.

    Raises:
        RegistryError: when MLflow can't be read or written.
    """
    before = _before(connection, version)
    found = Looks(
        rows=look_of("rows", rows.digest, before["rows"], alpha),
        labels=look_of("labels", rows.digest_labelled, before["labels"], alpha)
        if rows.labelled >= least
        else None,
    )
    digests = {"rows": rows.digest, "labels": rows.digest_labelled}
    with connection.doing(f"count the look of run {run_id}") as client:
        client.set_tag(run_id, VERSION, version.version)
        for look in (found.rows, found.labels):
            if look is not None:
                client.set_tag(run_id, _tag(look.of), f"{look.number} {digests[look.of]}")
    return found


def trends(connection: Connection, champion: Plan, now: Mapping[str, float]) -> tuple[Trend, ...]:
    """The share of drifted columns and every gap, over all looks at the model's champions and this one.

    Args:
        connection: MLflow.
        champion: the plan whose limits are shown.
        now: the numbers of this look.

    Raises:
        RegistryError: when MLflow can't be read.
    """
    runs = _runs(
        connection, f"tags.`{KIND}` = '{champion.name}' and tags.`{VERSION}` != ''", ViewType.ACTIVE_ONLY
    )
    looks = [(_moment(run), run.data.metrics) for run in runs if SHARE in run.data.metrics]
    looks.append((datetime.now(UTC).isoformat(timespec="minutes"), dict(now)))
    judgement = champion.judgement
    wanted = [("share of drifted columns", SHARE, judgement.drift.maximum_drifted_share)]
    wanted += [
        (f"{headed(one.metric)} by {one.attribute}", key("gate", one.attribute, one.metric), one.limit)
        for one in judgement.limits
    ]
    return tuple(
        Trend(
            name=name,
            limit=limit,
            at=tuple(at for at, _ in looks),
            value=tuple(numbers.get(metric) for _, numbers in looks),
            low=tuple(numbers.get(f"{metric} low") for _, numbers in looks),
            high=tuple(numbers.get(f"{metric} high") for _, numbers in looks),
        )
        for name, metric, limit in wanted
    )


def _moment(run: Run) -> str:
    return datetime.fromtimestamp(run.info.start_time / 1000, UTC).isoformat(timespec="minutes")


def file_look(
    connection: Connection,
    run_id: str,
    found: tuple[Compared | None, Verdicts | None],
    folder: Path,
    tags: Mapping[str, str],
    description: str,
) -> None:
    """File what a look found: numbers, page and its folder.

    Raises:
        RegistryError: when MLflow refuses.
    """
    compared, verdicts = found
    contents = Contents(
        metrics=look_metrics(compared, verdicts),
        tags=tags,
        description=description,
        folders={"dossier": folder},
    )
    log_run(connection, run_id, contents)


def look_metrics(compared: Compared | None, verdicts: Verdicts | None) -> dict[str, float]:
    """The numbers of a look, named as a retraining names its own."""
    metrics = dict(metrics_of({"verdicts": verdicts}))
    if compared is not None:
        metrics[SHARE] = compared.drifted_share
        metrics |= {key("drift", one.column): one.value for one in compared.drift}
        metrics |= {key("drift of answers", one.column): one.value for one in compared.predictions}
    return metrics


def _tag(of: str) -> str:
    return f"assay.look.{of}"


def _before(connection: Connection, version: Version) -> dict[str, dict[str, int]]:
    """Digest -> number of the looks at this champion, by what was judged; deleted runs count."""
    wanted = f"tags.`{KIND}` = '{version.name}' and tags.`{VERSION}` = '{version.version}'"
    found: dict[str, dict[str, int]] = {"rows": {}, "labels": {}}
    for run in _runs(connection, wanted, ViewType.ALL):
        for of, known in found.items():
            number, _, digest = run.data.tags.get(_tag(of), "").partition(" ")
            if digest:
                known[digest] = int(number)
    return found


def _runs(connection: Connection, wanted: str, view: int) -> Sequence[Run]:
    with connection.doing("read the looks so far") as client:
        experiments = [
            each.experiment_id for each in client.search_experiments(view_type=ViewType.ACTIVE_ONLY)
        ]
        found: list[Run] = []
        token = None
        while True:
            page = client.search_runs(experiments, wanted, view, 1000, ["attributes.start_time ASC"], token)
            found += page
            token = page.token
            if not token:
                return found
