"""A retraining run under way: its lock, its dossier, its MLflow run, its clock, and its ending."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from prefect.runtime import flow_run
from rich.console import Console

from flows.ask import ask
from flows.crashes import file_crashed_runs
from flows.outcome import Ending, Outcome
from flows.turns import locked, turn
from infra.embedded import is_temporary
from infra.settings import Settings
from tasks.errors import AssayError, Refusal
from tasks.evidence.digest import digest_of, write_atomically
from tasks.evidence.dossier import C, Dossier, R
from tasks.evidence.keys import SigningKey, signing_key
from tasks.evidence.records import Record
from tasks.evidence.signature import Signed, sign_dossier
from tasks.plan import Plan
from tasks.register import runs
from tasks.register.client import Connection
from tasks.register.publish import TIMINGS, publish, publish_documents, publish_timings
from tasks.register.register import Filing, give_alias
from tasks.register.registry import tag_version
from tasks.register.signed import file_signature
from tasks.register.trials import log_trial
from tasks.train.records import Trial

REVIEW = "review/manual"
"""The deployment of the review flow, in infra/prefect.yaml and of `assay serve`."""


class Filed(Record):
    """The ending of a run: the last record of its dossier."""

    ending: str
    message: str


@dataclass
class Run:
    """A run under way.

    Attributes:
        plan: what is carried out.
        settings: of the environment.
        connection: MLflow.
        run_id: of the MLflow run; the name of the dossier's folder too.
        dossier: the records so far.
        key: signs the registered files, and at the end the dossier.
        records: step -> what it found.
        seconds: step -> wall-clock seconds.
        cost: what training and predicting took; no evidence.
        outcome: set by the ending.
    """

    plan: Plan
    settings: Settings
    connection: Connection
    run_id: str
    dossier: Dossier
    key: SigningKey
    records: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    cost: dict[str, float] = field(default_factory=dict)
    _outcome: Outcome | None = None
    _mark: float = field(default_factory=time.monotonic)

    @property
    def folder(self) -> Path:
        """The dossier's folder, in which steps leave their files."""
        return self.dossier.folder

    @property
    def elapsed(self) -> float:
        """Wall-clock seconds of the steps so far."""
        return sum(self.seconds.values())

    @property
    def checkpoints(self) -> Path:
        """Where training may go on after a crash."""
        return self.settings.var / "checkpoints" / self.plan.name

    @property
    def trials(self) -> Path:
        """Where a search may go on after a crash: the same data, judgement, recipe, code and arithmetic."""
        named = {name: value for name, value in self.tags.items() if name != "assay.operations"}
        arithmetic = {"threads": self.plan.operations.compute.threads, "torch": version("torch")}
        key = digest_of({**named, **arithmetic})
        return self.settings.var / "trials" / self.plan.name / key[:16]

    def file_trial(self, trial: Trial) -> None:
        """File a finished trial of the search as a nested run."""
        log_trial(self.connection, self.run_id, trial)

    @property
    def filing(self) -> Filing:
        """Where the model is registered."""
        return Filing(
            self.connection,
            self.run_id,
            self.settings.var / "locks",
            self.tags,
            self.key,
            self.settings.starter,
        )

    @property
    def tags(self) -> dict[str, str]:
        """What the run and its version are recognised by."""
        tags = {f"assay.{block}": digest for block, digest in self.plan.digests.items()}
        if "environment" in self.records:
            tags["assay.code"] = self.records["environment"].code
        if "data" in self.records:
            tags["assay.data"] = self.records["data"].digest
        if "freeze" in self.records and (spent := self.records["freeze"].privacy) is not None:
            tags["assay.privacy"] = spent.summary
        return tags

    @property
    def outcome(self) -> Outcome:
        """How the run ended."""
        assert self._outcome is not None  # noqa: S101 - `open_run` ends every run
        return self._outcome

    def add(self, step: str, record: R) -> R:
        """Record what a step found, and how long it took."""
        self._keep(step, record)
        return self.dossier.add(step, record)

    def add_costly(self, step: str, record: R, cost: Mapping[str, float]) -> R:
        """Record a step whose cost is filed beside its duration."""
        self.cost.update(cost)
        return self.add(step, record)

    def require(self, step: str, record: C) -> C:
        """Record what a check found; a problem ends the run as Refused."""
        self._keep(step, record)
        return self.dossier.require(step, record)

    def finish(self, ending: Ending, message: str) -> None:
        """File the ending in the dossier and in MLflow, and say where to look next."""
        self.add("ending", Filed(ending=ending, message=message))
        tags = {**self.tags, "assay.dossier_head": self.dossier.head}
        publish(self.connection, self.run_id, self.plan, self.records, self.folder, tags)
        self._clock("filing")
        publish_timings(self.connection, self.run_id, self.folder, self._write_timings())
        publish_documents(self.connection, self.run_id, self.folder)
        registration = self.records.get("registration")
        # Signed last: the envelope lists every page and figure that lies in the dossier by now.
        signed = sign_dossier(self.folder, self.key)
        if registration is not None:
            tag_version(self.connection, registration.model, registration.version, tags)
        file_signature(self.connection, self.run_id, self.folder, signed, registration)
        if registration is not None and ending is not Ending.CRASHED:
            with turn(f"promote {registration.model}"):
                give_alias(self.filing, registration)
        runs.end(self.connection, self.run_id, ending, finished=ending is not Ending.CRASHED)
        verdicts = self.records.get("verdicts")
        self._outcome = Outcome(
            title=ending,
            exit_code=ending.exit_code,
            lines=(*message.splitlines(), *self._where_next(signed)),
            judged=verdicts.judged if verdicts else (),
        )

    def call_reviewers(self) -> None:
        """Have the review started that the version awaits, where a Prefect server can; else say what to type.

        Comes last, when the ending is filed: whatever becomes of it, that stands.
        """
        registration = self.records.get("registration")
        if registration is None or registration.awaits is None:
            return
        target = f"{registration.model}@{registration.version}"
        told = command = f"assay review {target}"
        if not is_temporary():
            told = ask(REVIEW, command, f"review {self.run_id}", f"review {target}", target=target).told
        lines = (*self.outcome.lines, f"Approval    {told}")
        self._outcome = self.outcome.model_copy(update={"lines": lines})

    def _keep(self, step: str, record: Any) -> None:
        self._clock(step)
        self.records[step] = record

    def _clock(self, step: str) -> None:
        now = time.monotonic()
        self.seconds[step] = round(now - self._mark, 3)
        self._mark = now
        # A line a step, for whoever waits; standard output is for the verdicts.
        Console(stderr=True).print(f"  {step:<20} {self.seconds[step]:7.1f} s", highlight=False)

    def _write_timings(self) -> dict[str, dict[str, float]]:
        timings = {"seconds": self.seconds, "cost": self.cost}
        content = {"written": datetime.now(UTC).isoformat(timespec="seconds"), **timings}
        write_atomically(self.folder / TIMINGS, json.dumps(content, indent=1).encode() + b"\n")
        return timings

    def _where_next(self, signed: Signed) -> list[str]:
        registration = self.records.get("registration")
        target = f"{self.plan.name}@{registration.version}" if registration else self.folder.as_posix()
        return [
            f"Dossier     {self.folder.as_posix()}",
            f"Replay      assay replay {target}",
            f"Signed      by {signed.by}: assay verify {target}{signed.allowance}",
            f"Review      assay ui, then run {self.run_id} in MLflow",
        ]


@contextmanager
def open_run(plan: Plan, settings: Settings, connection: Connection) -> Iterator[Run]:
    """Open a run of a model, one at a time, and file its ending whatever it is.

    A `Refusal` inside ends the run as Refused and goes no further; any other error files the partial
    dossier as Crashed and is raised again. Runs that were killed are filed first.
    """
    key = signing_key(settings.signing_key, settings.var, plan.operations.signing.trusted_keys)
    locks = settings.var / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with turn(f"retrain {plan.name}"), locked(locks / f"{plan.name}.run.lock"):
        file_crashed_runs(connection, key)
        folder = settings.var / "dossiers" / plan.name
        tags = {"assay.prefect_run": str(flow_run.id or ""), "assay.prefect_url": _prefect_url(settings)}
        run_id = runs.start(connection, plan.name, folder, tags, plan.operations.registry.experiment)
        run = Run(plan, settings, connection, run_id, Dossier(folder / run_id), key)
        try:
            yield run
            registration = run.records["registration"]
            run.finish(Ending(registration.ending), registration.because)
        except Refusal as refusal:
            run.finish(Ending.REFUSED, str(refusal))
        except BaseException as error:
            _file_crash(run, error)
            raise
    run.call_reviewers()


def _file_crash(run: Run, error: BaseException) -> None:
    """File a crash; where that fails too (a full disk), the next start does it; the first error counts."""
    try:
        run.finish(Ending.CRASHED, f"{type(error).__name__}: {error}")
    except (OSError, AssayError) as another:
        error.add_note(f"The crash could not be filed ({another}); the next start files it.")


def _prefect_url(settings: Settings) -> str:
    """Where the flow run is looked at: on the server that runs it, or in `assay ui` of this folder."""
    own = f"http://{settings.ui_host}:{settings.prefect_port}"
    known = os.environ.get("PREFECT_UI_URL") or own
    return f"{known.rstrip('/')}/runs/flow-run/{flow_run.id}"


@contextmanager
def crashed_without_mlflow(plan: Plan, settings: Settings) -> Iterator[None]:
    """File a dossier for a run that could not even be opened in MLflow."""
    try:
        yield
    except AssayError as error:
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        dossier = Dossier(settings.var / "dossiers" / plan.name / f"unopened-{moment}")
        dossier.add("ending", Filed(ending=Ending.CRASHED, message=f"{type(error).__name__}: {error}"))
        sign_dossier(dossier.folder, signing_key(settings.signing_key, settings.var))
        raise
