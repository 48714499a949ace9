"""Replay of a dossier: chain, files, rows, predictions, counts, metrics and verdicts, in this order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import ValidationError

from tasks.errors import AssayError, EvidenceError, PlanError
from tasks.evaluate.differences import changed_cells, changed_counts, changed_rows, changed_values
from tasks.evaluate.evaluate import count_labels, count_predictions, estimate
from tasks.evaluate.opening import edges_on
from tasks.evaluate.predict import noise_of, predict_part
from tasks.evaluate.predictions import read_predictions
from tasks.evaluate.records import CUBE, PREDICTIONS, TRAINING_CUBE, file_of
from tasks.evidence.dossier import Entry, body_of, check_files, read_chain
from tasks.evidence.records import Dataset
from tasks.fairness.allowance import Allowance
from tasks.fairness.counts import Counts, read_counts
from tasks.fairness.cube import Cube
from tasks.fairness.spending import judge_within
from tasks.fairness.verdict import Judged, Verdict, Verdicts
from tasks.fairness.words import on_set
from tasks.ingest.clients import clients_of
from tasks.ingest.described import ROW_DIGEST, describe
from tasks.ingest.parts import read_part
from tasks.model.predictor import Predictor
from tasks.plan import Plan, read_locked
from tasks.plan.judgement import TEST
from tasks.replay.agreement import disagreements, model_problems
from tasks.replay.records import Replayed
from tasks.review.again import review_problems
from tasks.review.records import PACKET
from tasks.review.records import STEPS as REVIEW_STEPS

FOLLOWS = {Verdict.PASS: "Registered", Verdict.FAIL: "Refused", Verdict.INCONCLUSIVE: "Undecided"}
SCORE_TOLERANCE = 1e-6  # another processor may round the last bits of a score; the class must be equal

UNUSABLE = (AssayError, OSError, ValueError, KeyError, RuntimeError)
"""What reading a file that was tampered with, or removed, may raise."""


@dataclass
class Replay:
    """A dossier under replay.

    Attributes:
        folder: the dossier.
        entries: its records, their chain checked.
        plan: as locked in it.
        distinct: how many different rows each set has, once they were read.
    """

    folder: Path
    entries: Sequence[Entry]
    plan: Plan
    checked: list[str] = field(default_factory=list)
    mismatches: list[str] = field(default_factory=list)
    distinct: set[int] = field(default_factory=set)

    @classmethod
    def open(cls, folder: Path) -> Replay:
        """Read the chain and the plan.

        Raises:
            EvidenceError: no dossier, a broken chain, or one that doesn't start with its plan.
            PlanError: of a private model, where the accountant's package is not installed.
        """
        entries = list(read_chain(folder))
        if not entries:
            raise EvidenceError(f"{folder}: no dossier: a folder with records/00-plan.json is expected")
        try:
            plan = read_locked(folder)
        except (OSError, ValidationError) as error:
            raise EvidenceError(f"{folder / 'plan.json'}: not the plan of this dossier: {error}") from error
        replay = cls(folder, entries, plan)
        last = entries[-1].step
        whole = last == "ending" or last in REVIEW_STEPS  # a review comes after the run's ending
        cut = [] if whole else [f"it ends with {last!r}, not with an ending: records were cut off"]
        replay.note("chain of records", cut, f"{len(entries)} records")
        replay.note("files", check_files(folder, entries), f"{sum(len(e.files) for e in entries)} files")
        replay.note("plan", replay._plan_problems(), "digests of judgement, recipe and operations")
        try:
            problems = list(disagreements(entries, plan))
        except (*UNUSABLE, TypeError, AttributeError) as error:
            if isinstance(error, PlanError):
                raise
            problems = [f"not what a run writes: {type(error).__name__}: {error}"]
        replay.note("records", problems, "they agree with each other")
        return replay

    def note(self, what: str, problems: Sequence[str], found: str) -> None:
        """Keep a comparison: ``problems`` if it failed, else what agreed."""
        if problems:
            self.mismatches += [f"{what}: {problem}" for problem in problems]
        else:
            self.checked.append(f"{what}: {found}")

    def body(self, step: str) -> dict[str, Any]:
        """What a step recorded."""
        return body_of(self.entries, step)

    @property
    def recorded(self) -> Dataset:
        """The dataset version that the run pinned."""
        return Dataset.model_validate(self.body("data"))

    def reached(self, step: str) -> bool:
        """Whether the run came to a step."""
        return any(entry.step == step for entry in self.entries)

    def run(self, dataset: Dataset) -> Replayed:
        """Rebuild every number from the weights and the pinned rows, as far as the files let it."""
        try:
            judged = self._rebuild(dataset)
        except UNUSABLE as error:
            self.note("rebuilding", [f"not possible from these files: {error}"], "")
            judged = ()
        return Replayed(checked=tuple(self.checked), mismatches=tuple(self.mismatches), judged=judged)

    def _rebuild(self, dataset: Dataset) -> tuple[Judged, ...]:
        judgement = self.plan.judgement
        self._compare_data(dataset)
        predictor = Predictor.load(self.folder / "model")
        self._compare_noise(predictor)
        self.note("model", model_problems(self.body("freeze"), predictor), "bins and decisions as recorded")
        counts = {on: self._recount(on, dataset, predictor) for on in judgement.sets}
        training = count_labels(describe(read_part(dataset, "train", judgement), judgement), judgement)
        counted = Cube.from_json((self.folder / TRAINING_CUBE).read_bytes())
        self.note("training cube", changed_cells(counted, training), f"{training.rows} rows recounted")
        if self.reached(PACKET):
            rows = read_part(dataset, TEST, judgement)
            self.note("review", review_problems(self.folder, rows), "packet, signatures and figures agree")
        return self.judge(counts, training)

    def _recount(self, on: str, dataset: Dataset, predictor: Predictor) -> Counts:
        """Predict a set of rows again, count it and estimate its performance; compare with the record."""
        own, opened = self.plan.judgement.sets[on], self.body("opening")
        frame = read_part(dataset, on, own)
        self.distinct.add(frame[ROW_DIGEST].n_unique())
        self.note(f"opening{on_set(on)}", self._opening_problems(on, frame), f"{len(frame)} rows")
        described = describe(frame, own)
        predictions = predict_part(predictor, frame, self.plan.judgement, on)
        recorded = read_predictions(self.folder / file_of(PREDICTIONS, on), own)
        rows = changed_rows(recorded, predictions, SCORE_TOLERANCE)
        self.note(f"predictions{on_set(on)}", rows, f"{len(predictions)} rows predicted again, each the same")
        # Equal rows may differ in a score's last bits: then the bins are those of the scores on record.
        cube = count_predictions(predictions if rows else recorded, described, own, edges_on(predictor, on))
        filed = read_counts((self.folder / file_of(CUBE, on)).read_bytes())
        self.note(f"cube{on_set(on)}", changed_counts(filed, cube), f"{cube.rows} rows recounted")
        performance = [e.model_dump(mode="json") for e in estimate(predictions, described["label"], own)]
        found = opened if on == TEST else opened["audits"][on]
        problems = changed_values(found["performance"], performance)
        self.note(f"performance{on_set(on)}", problems, "every estimate recomputed")
        return cube

    def _opening_problems(self, on: str, frame: pl.DataFrame) -> list[str]:
        """How many rows a set has and, of federated training, which clients counted theirs."""
        opened, federated = self.body("opening"), self.plan.recipe.federated
        if on != TEST:
            return changed_values({"rows": opened["audits"][on]["rows"]}, {"rows": len(frame)})
        clients = None
        # Dossiers from before clients counted, on the day from which `made_by` is on record, name none.
        if federated is not None and ("clients" in opened or "made_by" in self.body("freeze")):
            clients = clients_of(frame, self.plan.judgement, federated).unique().sort().to_list()
        found = {"rows": opened["rows"], "clients": opened.get("clients")}
        return changed_values(found, {"rows": len(frame), "clients": clients})

    def _compare_noise(self, predictor: Predictor) -> None:
        """The frozen model answers with the plan's noise, else others' answers were judged than are given."""
        wanted = noise_of(self.plan)
        if predictor.noise is None and wanted is None:
            return
        told = [each.sentence if each else "no noise" for each in (predictor.noise, wanted)]
        problems = [] if predictor.noise == wanted else [f"{told[0]} in the model, {told[1]} by the plan"]
        self.note("noise", problems, told[0])

    def _compare_ending(self, verdict: Verdict) -> None:
        """The ending follows from the verdicts; a crash may come after any."""
        if not self.reached("ending"):
            return  # said with the chain
        recorded, follows = self.body("ending")["ending"], FOLLOWS[verdict]
        problems = [f"{recorded} on record, where {verdict} leads to {follows}"]
        self.note("ending", [] if recorded in (follows, "Crashed") else problems, str(recorded))

    def _compare_data(self, dataset: Dataset) -> None:
        recorded = self.recorded.parts
        problems = [
            f"{name}: SHA-256 {recorded[name].file.sha256[:12]}… on record, {part.file.sha256[:12]}… rebuilt"
            for name, part in dataset.parts.items()
            if recorded[name].file.sha256 != part.file.sha256
        ]
        rows = {name: part.rows for name, part in dataset.parts.items()}
        problems += changed_values({name: part.rows for name, part in recorded.items()}, rows)
        found = f"{len(dataset.sources)} sources and {len(dataset.parts)} parts have their SHA-256"
        self.note("data", problems, found)

    def judge(self, counts: Mapping[str, Counts], training: Cube) -> tuple[Judged, ...]:
        """Judge every limit again from counts, and compare: the allowance, the verdicts and the ending."""
        self.note("spending", self._allowance_problems(), self.allowance().summary)
        judged = judge_within(counts, training, self.plan.gate, self.allowance())
        rebuilt = [one.model_dump(mode="json") for one in judged]
        problems = changed_values(self.body("verdicts")["judged"], rebuilt)
        self.note("verdicts", problems, f"{len(judged)} limits judged again")
        self._compare_ending(Verdicts(judged=judged).verdict)
        return judged

    def allowance(self) -> Allowance:
        """What the ledger allowed before the test part was opened."""
        return Allowance.model_validate(self.body("spending"))

    def _allowance_problems(self) -> list[str]:
        """The level in force follows from the plan, and the rows are those of a set that was judged on."""
        test_set, allowed = self.plan.judgement.test_set, self.allowance()
        level, problems = self.plan.judgement.alpha / test_set.max_judgements, []
        if (allowed.alpha, allowed.max_judgements) != (level, test_set.max_judgements):
            recorded = f"level {allowed.alpha:g} of {allowed.max_judgements} judgements on record"
            problems.append(f"{recorded}, {level:g} of {test_set.max_judgements} by the plan")
        if self.distinct and allowed.rows not in self.distinct:
            problems.append(f"{allowed.rows} different rows on record, found {sorted(self.distinct)}")
        return problems

    def _plan_problems(self) -> list[str]:
        recorded = self.body("plan")["digests"]
        return [
            f"{block} has digest {digest[:12]}…, {recorded[block][:12]}… was locked before training"
            for block, digest in self.plan.digests.items()
            if recorded[block] != digest
        ]
