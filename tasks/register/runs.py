"""One MLflow run for each retrain: opened, filled in batches, ended, or filed as crashed."""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import TypeVar

import psutil
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag, ViewType

from tasks.errors import RegistryError
from tasks.register.client import Connection

NOTE = "mlflow.note.content"  # the run's description, shown as Markdown
LONGEST_TEXT = 8000  # characters of a tag's value, the description's too
PER_CALL, METRICS_PER_CALL = 100, 1000
PROCESS_TAGS = ("assay.host", "assay.pid", "assay.process_started")
OTHER_HOSTS = timedelta(days=2)
T = TypeVar("T")


@dataclass(frozen=True)
class Input:
    """A file of data that the run used, as MLflow shows it under "datasets".

    Attributes:
        name: for example ``adult train``.
        context: ``training`` or ``testing``.
        sha256: of the file that was read; our own, over all bytes.
        source: where it is, relative to the working directory.
        rows: how many.
        tags: further digests.
    """

    name: str
    context: str
    sha256: str
    source: str
    rows: int
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Contents:
    """What a run holds; every name goes through `tasks.register.keys.key`.

    Attributes:
        params: settings.
        metrics: one number each; undefined metrics are left out, never 0, NaN or infinite.
        series: metric name -> value at steps 1, 2, 3 ...
        tags: short texts; an existing tag of the same name is replaced.
        description: Markdown; what does not fit ends with a pointer to ``description.md``.
        texts: artifact path -> text.
        folders: artifact path -> folder whose files are uploaded below it ("" for the root).
        inputs: the data.
    """

    params: Mapping[str, str | float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    series: Mapping[str, Sequence[float]] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)
    folders: Mapping[str, Path] = field(default_factory=dict)
    inputs: Sequence[Input] = ()


@dataclass(frozen=True)
class CrashedRun:
    """A run whose process ended without filing it.

    Attributes:
        run_id: of the run.
        model: the plan's name.
        dossier: its folder, None if the run had not named it.
        why: in words.
        prefect_run: id of its flow run, "" if it had none.
    """

    run_id: str
    model: str
    dossier: Path | None
    why: str
    prefect_run: str = ""


def start(
    connection: Connection, model: str, dossier: Path, tags: Mapping[str, str], experiment: str | None = None
) -> str:
    """Open the run of one retrain and say which process it lives in; returns the run's id.

    Args:
        connection: MLflow.
        model: the plan's name.
        dossier: folder of dossiers; the run's own is ``dossier / run_id``.
        tags: digests and whatever else is known before the run.
        experiment: MLflow's experiment; the plan's name when absent.

    Raises:
        RegistryError: when MLflow can't make it.
    """
    experiment_id = connection.experiment(experiment or model)
    with connection.doing(f"open a run for {model!r}") as client:
        name = f"{model} {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())}Z"
        run = client.create_run(
            experiment_id, run_name=name, tags={**tags, **_process(), "assay.model": model}
        )
        run_id = str(run.info.run_id)
        client.set_tag(run_id, "assay.dossier", (dossier / run_id).as_posix())
    return run_id


def log_run(connection: Connection, run_id: str, contents: Contents) -> None:
    """File ``contents`` under the run, in as few calls as MLflow allows; doing so again changes nothing.

    Raises:
        RegistryError: for a number that is not finite, or when MLflow refuses.
    """
    metrics = _metrics(contents)
    params = [Param(name, str(value)) for name, value in sorted(contents.params.items())]
    tags = [RunTag(name, value) for name, value in sorted(contents.tags.items())]
    if contents.description:
        tags.append(RunTag(NOTE, fitting(contents.description)))
    with connection.doing(f"file the results of run {run_id}") as client:
        for some_metrics in _chunks(metrics, METRICS_PER_CALL):
            client.log_batch(run_id, metrics=some_metrics)
        for some_params in _chunks(params, PER_CALL):
            client.log_batch(run_id, params=some_params)
        for some_tags in _chunks(tags, PER_CALL):
            client.log_batch(run_id, tags=some_tags)
        if contents.inputs:
            client.log_inputs(run_id, [_dataset(each) for each in contents.inputs])
        for path, text in _texts(contents).items():
            client.log_text(run_id, text, path)
    for path, folder in contents.folders.items():
        upload_folder(connection, run_id, folder, path)


def page_of(connection: Connection, run_id: str, artifact: str) -> str:
    """Where MLflow shows an artifact of a run: an address relative to any page of the same server.

    Raises:
        RegistryError: when the run can't be read.
    """
    with connection.doing(f"look up run {run_id}") as client:
        experiment = client.get_run(run_id).info.experiment_id
    return f"#/experiments/{experiment}/runs/{run_id}/artifacts/{artifact}"


def upload_folder(connection: Connection, run_id: str, folder: Path, artifact_path: str = "") -> None:
    """Upload every file of ``folder`` into the run, below ``artifact_path``.

    Raises:
        RegistryError: when the folder is not there or can't be uploaded.
    """
    if not folder.is_dir():
        raise RegistryError(f"{folder}: no folder to upload into run {run_id}")
    with connection.doing(f"upload {folder} into run {run_id}") as client:
        client.log_artifacts(run_id, str(folder), artifact_path or None)


def end(connection: Connection, run_id: str, ending: str, *, finished: bool) -> None:
    """Close the run with its ending (Registered, Refused ...), which its name then begins with.

    ``finished`` is False for Crashed. The tags that tell whether its process lives are taken off.

    Raises:
        RegistryError: when MLflow can't.
    """
    with connection.doing(f"close run {run_id} as {ending}") as client:
        tags = client.get_run(run_id).data.tags
        name = f"{ending}: {tags['mlflow.runName'].removeprefix(f'{ending}: ')}"
        client.log_batch(run_id, tags=[RunTag("assay.ending", ending), RunTag("mlflow.runName", name)])
        for tag in PROCESS_TAGS:
            if tag in tags:
                client.delete_tag(run_id, tag)
        client.set_terminated(run_id, "FINISHED" if finished else "FAILED")


def file_crashed(connection: Connection, other_hosts: timedelta = OTHER_HOSTS) -> tuple[CrashedRun, ...]:
    """File runs as FAILED, ending Crashed, that are still RUNNING though their process is gone.

    A run of another machine can't be looked at from here: it is filed once it is ``other_hosts`` old.

    Raises:
        RegistryError: when MLflow can't be read or written.
    """
    with connection.doing("look for crashed runs") as client:
        experiments = [e.experiment_id for e in client.search_experiments(view_type=ViewType.ACTIVE_ONLY)]
        running = list(
            client.search_runs(experiments, "attributes.status = 'RUNNING' and tags.`assay.pid` != ''")
        )
        crashed = tuple(found for run in running if (found := _crash(run, other_hosts)) is not None)
        for found in crashed:
            client.set_tag(found.run_id, "assay.crash", found.why)
            client.set_tag(found.run_id, "assay.ending", "Crashed")
            client.set_terminated(found.run_id, "FAILED")
    return crashed


def fitting(description: str, longest: int = LONGEST_TEXT) -> str:
    """The description, cut at a line's end where MLflow's field is too short, with a pointer to the rest."""
    if len(description) <= longest:
        return description
    pointer = "\n\n*Cut here: the whole page is the artifact `description.md`.*\n"
    return description[: longest - len(pointer)].rpartition("\n")[0] + pointer


def _process() -> dict[str, str]:
    pid = os.getpid()
    started = psutil.Process(pid).create_time()
    return dict(zip(PROCESS_TAGS, (socket.gethostname(), str(pid), f"{started:.2f}"), strict=True))


def _crash(run: Run, other_hosts: timedelta) -> CrashedRun | None:
    tags = run.data.tags
    host, pid, started = (tags.get(name, "") for name in PROCESS_TAGS)
    if host == socket.gethostname():
        if _lives(int(pid), float(started)):
            return None
        why = f"process {pid} on {host} is gone: killed, out of memory, or the machine stopped"
    elif time.time() - run.info.start_time / 1000 > other_hosts.total_seconds():
        why = f"no ending after {other_hosts} from process {pid} on {host}"
    else:
        return None
    dossier = tags.get("assay.dossier")
    return CrashedRun(
        run.info.run_id,
        tags.get("assay.model", ""),
        Path(dossier) if dossier else None,
        why,
        tags.get("assay.prefect_run", ""),
    )


def _lives(pid: int, started: float) -> bool:
    try:
        process = psutil.Process(pid)
        same = bool(abs(process.create_time() - started) < 1)  # else the number was given to another process
        return same and bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _metrics(contents: Contents) -> list[Metric]:
    now = int(time.time() * 1000)
    metrics = [Metric(name, float(value), now, 0) for name, value in sorted(contents.metrics.items())]
    for name, values in sorted(contents.series.items()):
        metrics += [Metric(name, float(value), now, step) for step, value in enumerate(values, start=1)]
    if broken := sorted({metric.key for metric in metrics if not math.isfinite(metric.value)}):
        raise RegistryError(
            f"metrics must be finite, found NaN or infinity in: {', '.join(broken)}. "
            "Leave an undefined metric out"
        )
    return metrics


def _texts(contents: Contents) -> dict[str, str]:
    page = {"description.md": contents.description} if contents.description else {}
    return {**page, **contents.texts}


def _dataset(given: Input) -> DatasetInput:
    # MLflow's digest field takes 36 characters: the whole digest stands in the source and in a tag.
    source = f'{{"path": "{given.source}", "sha256": "{given.sha256}"}}'
    profile = f'{{"num_rows": {given.rows}}}'
    dataset = Dataset(given.name, given.sha256[:36], "local", source, profile=profile)
    tags = {"mlflow.data.context": given.context, "sha256": given.sha256, **given.tags}
    return DatasetInput(dataset, [InputTag(name, value) for name, value in sorted(tags.items())])


def _chunks(items: Sequence[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
