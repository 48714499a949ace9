"""A comparison under way: its lock, its folder, its runs in MLflow, and its variants as they come out."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from rich.console import Console

from flows.crashes import file_crashed_runs
from flows.outcome import Outcome
from flows.turns import locked, turn
from infra.settings import Settings
from tasks.errors import PlanError, Refusal
from tasks.evaluate.compared import Comparison, SetChange, Variant
from tasks.evaluate.records import Opened
from tasks.evidence.digest import canonical_json, write_atomically
from tasks.evidence.environment import code_digest
from tasks.evidence.keys import signing_key
from tasks.evidence.records import Dataset
from tasks.fairness.allowance import Allowance
from tasks.fairness.verdict import Verdicts
from tasks.plan import Plan
from tasks.plan.comparing import PlanVariant
from tasks.register import runs
from tasks.register.client import Connection
from tasks.register.comparisons import (
    file_comparison,
    file_variant,
    open_comparison,
    open_variant,
    refuse_variant,
)
from tasks.register.register import Filing
from tasks.train.records import Trained

RECORD, PAGE, FIGURE = "compare.json", "compare.html", "compare.png"


class Checked(Protocol):
    """A record of a check."""

    @property
    def problems(self) -> tuple[str, ...]: ...  # noqa: D102 - as every check has them


C = TypeVar("C", bound=Checked)


@dataclass
class Attempt:
    """A variant as far as it has come.

    Attributes:
        variant: what is tried.
        folder: gets its model, predictions and counts.
        filing: its nested run in MLflow.
    """

    variant: PlanVariant
    folder: Path
    filing: Filing
    frozen: Trained | None = None
    refused: str = ""
    allowance: Allowance | None = None
    opened: Opened | None = None
    verdicts: Verdicts = field(default_factory=lambda: Verdicts(judged=()))
    changes: tuple[SetChange, ...] = ()

    @property
    def weights(self) -> str:
        """Digest of the frozen model, "" where there is none."""
        return self.frozen.digest if self.frozen else ""

    def told(self) -> Variant:
        """As compare.json has it."""
        return Variant(
            name=self.variant.name,
            mitigation=self.variant.steps,
            settings=dict(self.variant.settings),
            recipe=self.variant.plan.digests["recipe"],
            refused=self.refused,
            weights=self.weights,
            allowance=self.allowance,
            performance=self.opened.performance if self.opened else (),
            judged=self.verdicts.judged,
            changes=self.changes,
            run=self.filing.run_id,
        )


@dataclass
class Comparing:
    """A comparison under way.

    Attributes:
        variants: `none` first.
        settings: of the environment.
        connection: MLflow.
        run_id: of the parent run; the name of the folder too.
        attempts: in the variants' order, as far as they were begun.
        outcome: set by the ending.
    """

    variants: Sequence[PlanVariant]
    settings: Settings
    connection: Connection
    run_id: str
    attempts: list[Attempt] = field(default_factory=list)
    outcome: Outcome = field(default_factory=lambda: Outcome(title="Running", exit_code=1))
    _mark: float = field(default_factory=time.monotonic)

    @property
    def plan(self) -> Plan:
        """The plan without mitigation; its judgement is that of every variant."""
        return self.variants[0].plan

    @property
    def top(self) -> Path:
        """Where all comparisons of this plan are kept."""
        return self.settings.var / "compare" / self.plan.name

    @property
    def folder(self) -> Path:
        """Where this one is."""
        return self.top / self.run_id

    def checkpoints(self, variant: PlanVariant) -> Path:
        """Where training of a variant may go on after a crash."""
        return self.top / "checkpoints" / variant.name

    def tags(self, variant: PlanVariant, dataset: Dataset) -> dict[str, str]:
        """What a variant is recognised by: as a retraining run of its recipe would be."""
        own = {f"assay.{block}": digest for block, digest in variant.plan.digests.items()}
        own.pop("assay.operations")
        return {**own, "assay.code": code_digest(), "assay.data": dataset.digest}

    def require(self, step: str, record: C) -> C:
        """Take what a check found; a problem ends the comparison.

        Raises:
            Refusal: naming all of them.
        """
        self.clock(step)
        if record.problems:
            raise Refusal("\n".join(record.problems))
        return record

    def begin(self, variant: PlanVariant, dataset: Dataset) -> Attempt:
        """Open a variant's run and folder."""
        tags = self.tags(variant, dataset)
        child = open_variant(self.connection, self.run_id, variant, tags)
        filing = Filing(self.connection, child, self.settings.var / "locks", tags)
        self.attempts.append(Attempt(variant, self.folder / variant.name, filing))
        return self.attempts[-1]

    @contextmanager
    def trying(self, attempt: Attempt) -> Iterator[None]:
        """Train a variant: where its own steps can't be carried out, the others go on, and it says why.

        Its rows may have no room for a step, or a library that a step needs is not installed.
        """
        try:
            yield
        except (Refusal, PlanError) as refusal:
            if attempt.variant is self.variants[0]:
                raise
            attempt.refused = str(refusal)
            refuse_variant(self.connection, attempt.filing.run_id, attempt.refused)
        self.clock(f"train {attempt.variant.name}")

    @property
    def frozen(self) -> list[Attempt]:
        """Variants that were trained."""
        return [attempt for attempt in self.attempts if attempt.frozen is not None]

    def clock(self, step: str) -> None:
        """A line a step, for whoever waits; standard output is for the table."""
        now = time.monotonic()
        Console(stderr=True).print(f"  {step:<28} {now - self._mark:7.1f} s", highlight=False)
        self._mark = now

    def finish(self, dataset: Dataset) -> None:
        """File what was found: the record, the page, the figure and the runs; nothing is registered."""
        # matplotlib: only a comparison that comes this far pays for its import.
        from tasks.report.compare import comparison_of, note, write_figure, write_page  # noqa: PLC0415

        for each in self.frozen:
            if each.opened:
                file_variant(self.connection, each.filing.run_id, each.opened, each.verdicts, each.changes)
        found = comparison_of(self.plan, dataset, code_digest(), [each.told() for each in self.attempts])
        files = [self.folder / name for name in (RECORD, PAGE, FIGURE)]
        write_atomically(files[0], canonical_json(found.model_dump(mode="json")) + b"\n")
        write_page(found, write_figure(found, files[2]), files[1])
        file_comparison(self.connection, self.run_id, files, note(found))
        runs.end(self.connection, self.run_id, "Compared", finished=True)
        self.clock("filing")
        self.outcome = Outcome(title="Compared", exit_code=0, lines=self._lines(found), comparison=found)

    def _lines(self, found: Comparison) -> tuple[str, ...]:
        spent = next(one.allowance for one in found.variants if one.allowance)
        refused = [f"{one.name} could not be trained: {one.refused}" for one in found.variants if one.refused]
        made = max(one.allowance.number for one in found.variants if one.allowance)
        told = (
            f"{len(found.finished)} variants judged on the same {found.test_rows:,} test rows, each at level "
            f"{spent.alpha:g}: {made} of {spent.max_judgements} judgements are made. Nothing was registered."
        )
        return (
            *refused,
            told,
            f"Page        {(self.folder / PAGE).as_posix()}",
            f"Record      {(self.folder / RECORD).as_posix()}",
            f"Review      assay ui, then run {self.run_id} in MLflow",
        )


@contextmanager
def open_run(
    variants: Sequence[PlanVariant], settings: Settings, connection: Connection, tags: Mapping[str, str]
) -> Iterator[Comparing]:
    """Open a comparison, one run of a model at a time, and file its ending whatever it is.

    A `Refusal` inside ends it as Refused; any other error as Crashed, and is raised again.
    """
    plan, locks = variants[0].plan, settings.var / "locks"
    key = signing_key(settings.signing_key, settings.var, plan.operations.signing.trusted_keys)
    locks.mkdir(parents=True, exist_ok=True)
    with turn(f"retrain {plan.name}"), locked(locks / f"{plan.name}.run.lock"):
        file_crashed_runs(connection, key)
        folder = settings.var / "compare" / plan.name
        run_id = open_comparison(connection, plan.name, folder, tags, plan.operations.registry.experiment)
        comparing = Comparing(variants, settings, connection, run_id)
        try:
            yield comparing
        except Refusal as refusal:
            runs.end(connection, run_id, "Refused", finished=True)
            comparing.outcome = Outcome(title="Refused", exit_code=3, lines=tuple(str(refusal).splitlines()))
        except BaseException:
            runs.end(connection, run_id, "Crashed", finished=False)
            raise
