"""A look at a champion under way: its lock, its folder, its MLflow run, and its ending."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefect.runtime import flow_run
from rich.console import Console

from flows.crashes import file_crashed_runs
from flows.outcome import Ending, Outcome
from flows.turns import locked, turn
from infra.settings import Settings
from tasks.errors import AssayError, Refusal, RegistryError, SourceAltered
from tasks.evidence.dossier import Dossier, R
from tasks.evidence.keys import SigningKey, signing_key
from tasks.evidence.records import Dataset, Record
from tasks.evidence.signature import sign_dossier
from tasks.monitor.records import Watched
from tasks.plan import Plan
from tasks.register import runs
from tasks.register.client import Connection
from tasks.register.monitoring import fetch_champion, file_look, look_metrics, open_look_run, trends
from tasks.register.registry import Version, champion

TREND = Path("figures") / "trend.png"
SCRATCH = ".look-"


class Filed(Record):
    """How a look ended: the last record of its folder."""

    ending: str
    message: str


@dataclass(frozen=True)
class Champion:
    """The champion that is looked at.

    Attributes:
        version: registered.
        plan: that it was made by; its judgement is the one that holds.
        folder: its dossier, for as long as the look takes.
        watched: the record of it.
    """

    version: Version
    plan: Plan
    folder: Path
    watched: Watched


@dataclass
class Look:
    """A look under way.

    Attributes:
        plan: as it is now.
        settings: of the environment.
        connection: MLflow.
        run_id: of its MLflow run; the name of its folder too.
        scratch: for the champion's dossier and the rows; deleted when the look ends.
        dossier: the records so far.
        key: signs them at the end.
        records: step -> what it found.
        outcome: set by the ending.
    """

    plan: Plan
    settings: Settings
    connection: Connection
    run_id: str
    scratch: Path
    dossier: Dossier
    key: SigningKey
    records: dict[str, Any] = field(default_factory=dict)
    outcome: Outcome = field(default_factory=lambda: Outcome(title="Running", exit_code=1))
    _champion: Champion | None = None
    _mark: float = field(default_factory=time.monotonic)

    @property
    def folder(self) -> Path:
        """Where the look leaves its records and files."""
        return self.dossier.folder

    @property
    def snapshot(self) -> Path:
        """Where the new rows are kept meanwhile."""
        return self.scratch / "rows.parquet"

    def find_champion(self) -> Champion:
        """The champion with its dossier, its plan and the rows that it learned from.

        Raises:
            Refusal: there is none.
            RegistryError: its dossier can't be relied on, or its training part was rebuilt as another.
            SourceError: its training part can't be had any more.
        """
        version = champion(self.connection, self.plan.name)
        if version is None:
            raise Refusal(f"{self.plan.name!r} has no champion to look at: `assay retrain {self.plan.name}`")
        folder, plan = fetch_champion(self.connection, version, self.scratch / "champion")
        watched = Watched(
            model=self.plan.name,
            version=version.version,
            run=version.run_id,
            judgement=plan.digests["judgement"],
            same_judgement=plan.digests["judgement"] == self.plan.digests["judgement"],
            train=self._dataset(version, plan).train.file,
        )
        self._champion = Champion(version, plan, folder, self.add("champion", watched))
        return self._champion

    def _dataset(self, version: Version, plan: Plan) -> Dataset:
        """The dataset version that the champion learned from: the pinned one, or rebuilt from its plan."""
        # The clients of the sources' origins: only a look that comes this far pays for their import.
        from tasks.ingest.parts import dataset_of  # noqa: PLC0415
        from tasks.ingest.rebuild import fetch_parts  # noqa: PLC0415

        beside, wanted = self.settings.data / plan.name, version.tags.get("assay.data")
        try:
            pinned = dataset_of(plan, beside)
        except SourceAltered:
            pinned = None
        if pinned is not None and pinned.digest == wanted:
            return pinned
        folder = self.settings.var / "champions" / plan.name / version.version
        rebuilt = fetch_parts(plan, folder, self.settings.mirror, beside)
        if rebuilt.digest != wanted:
            raise RegistryError(
                f"{version} learned from the dataset version {str(wanted)[:12]}…, its plan's sources give "
                f"{rebuilt.digest[:12]}…: what it learned from is not known any more"
            )
        return rebuilt

    def add(self, step: str, record: R) -> R:
        """Record what a step found, and how long it took."""
        now = time.monotonic()
        Console(stderr=True).print(f"  {step:<20} {now - self._mark:7.1f} s", highlight=False)
        self._mark, self.records[step] = now, record
        return self.dossier.add(step, record)

    def finish(self, ending: str, because: Sequence[str], exit_code: int) -> None:
        """File the ending in the folder and in MLflow, and say where to look next."""
        # matplotlib: only a look that comes to an end pays for its import.
        from tasks.report.monitoring import look_page, write_trend  # noqa: PLC0415

        self.add("ending", Filed(ending=ending, message="\n".join(because)))
        known = {step: self.records.get(step) for step in ("rows", "looks", "comparison", "verdicts")}
        compared, verdicts = known["comparison"], known["verdicts"]
        if self._champion is not None and compared is not None:
            now = look_metrics(compared, verdicts)
            write_trend(trends(self.connection, self._champion.plan, now), self.folder / TREND)
        tags = {"assay.monitoring_head": self.dossier.head, **sign_dossier(self.folder, self.key).tags}
        page = look_page(ending, because, *known.values())
        file_look(self.connection, self.run_id, (compared, verdicts), self.folder, tags, page)
        runs.end(self.connection, self.run_id, ending, finished=ending != Ending.CRASHED)
        self.outcome = Outcome(
            title=ending,
            exit_code=exit_code,
            lines=(*because, *self._where_next()),
            judged=verdicts.judged if verdicts else (),
        )

    def _where_next(self) -> Iterator[str]:
        if self._champion is not None and not self._champion.watched.same_judgement:
            yield (
                f"Judged by the judgement of {self._champion.version}; plan.yaml has another by now, which "
                "holds from the next retraining on"
            )
        if (announced := self.records.get("announcement")) is not None:
            yield f"Retrain     {announced.told}"
        yield f"Record      {self.folder.as_posix()}"
        if (self.folder / TREND).is_file():
            yield f"Trend       {(self.folder / TREND).as_posix()}"
        yield f"Review      assay ui, then run {self.run_id} in MLflow"


@contextmanager
def open_look(plan: Plan, settings: Settings, connection: Connection) -> Iterator[Look]:
    """Open a look, one at a time of a model, and file its ending whatever it is.

    A `Refusal` inside ends it as Refused; any other error as Crashed, and is raised again.
    """
    key = signing_key(settings.signing_key, settings.var, plan.operations.signing.trusted_keys)
    locks, top = settings.var / "locks", settings.var / "monitoring" / plan.name
    for folder in (locks, top):
        folder.mkdir(parents=True, exist_ok=True)
    with turn(f"monitor {plan.name}"), locked(locks / f"{plan.name}.monitor.lock"):
        for left in top.glob(f"{SCRATCH}*"):  # of a look that was killed: it holds rows
            shutil.rmtree(left)
        file_crashed_runs(connection, key)
        run_id = open_look_run(connection, plan, top, {"assay.prefect_run": str(flow_run.id or "")})
        with tempfile.TemporaryDirectory(dir=top, prefix=SCRATCH) as scratch:
            look = Look(plan, settings, connection, run_id, Path(scratch), Dossier(top / run_id), key)
            try:
                yield look
            except Refusal as refusal:
                look.finish(Ending.REFUSED, str(refusal).splitlines(), Ending.REFUSED.exit_code)
            except BaseException as error:
                _file_crash(look, error)
                raise


def _file_crash(look: Look, error: BaseException) -> None:
    """File a crash; where that fails too, the next start does it; the first error counts."""
    try:
        look.finish(Ending.CRASHED, [f"{type(error).__name__}: {error}"], Ending.CRASHED.exit_code)
    except (OSError, AssayError) as another:
        error.add_note(f"The crash could not be filed ({another}); the next start files it.")
