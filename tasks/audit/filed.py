"""What a dossier's filed cube is of, to be published: read from its records and its plan, without a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from tasks.audit.publishing import Subject
from tasks.errors import EvidenceError, PlanError
from tasks.evaluate.records import Opened
from tasks.evidence.dossier import body_of, check_files, read_chain
from tasks.evidence.records import Dataset
from tasks.fairness.columns import UNKNOWN
from tasks.fairness.counts import read_counts
from tasks.fairness.cube import Cube
from tasks.plan import Plan, read_locked
from tasks.plan.federated import levels_of
from tasks.plan.judgement import TEST


def filed_subject(folder: Path, named: Mapping[str, str]) -> Subject:
    """The cube of a run's test part.

    Args:
        folder: the dossier's.
        named: what the run is called, beside its plan.

    Raises:
        EvidenceError: a broken or altered dossier, or a plan in it of another version; a run that ended
            before it was judged.
        PlanError: counts of a predicted number, which are not published.
    """
    entries = list(read_chain(folder))
    if not entries:
        raise EvidenceError(f"{folder}: no dossier: a folder with records/00-plan.json is expected")
    if problems := check_files(folder, entries):
        raise EvidenceError("\n".join(problems))
    if not any(entry.step == "verdicts" for entry in entries):
        raise EvidenceError(f"{folder}: the run ended before it was judged: there are no counts to publish")
    plan, dataset = body_of(entries, "plan"), Dataset.model_validate(body_of(entries, "data"))
    opened = Opened.model_validate(body_of(entries, "opening"))
    cube = read_counts(opened.cubes(folder)[TEST].read_bytes())
    if not isinstance(cube, Cube):
        raise PlanError("publish", [f"counts of predicted classes are published; {folder} predicts a number"])
    try:
        locked = read_locked(folder)
    except (OSError, ValidationError) as error:
        raise EvidenceError(f"{folder / 'plan.json'}: not the plan of this dossier: {error}") from error
    rows = dataset.test.file.sha256
    return Subject(
        cube=cube,
        rows=rows,
        asked=(body_of(entries, "freeze")["digest"],),
        of={"plan": plan["name"], **named, "rows": "test part"},
        digests={"judgement": plan["digests"]["judgement"], "data": dataset.digest, "test part": rows},
        sources=_sources(locked, dataset),
        levels={name: (*levels, UNKNOWN) for name in cube.axes if (levels := _declared(locked, name))},
    )


def _declared(plan: Plan, name: str) -> list[str] | None:
    return levels_of(plan.judgement, name) if name in plan.judgement.protected else None


def _sources(plan: Plan, dataset: Dataset) -> tuple[str, ...]:
    """SHA-256 of each source that test rows are from, as the plan names it and as it was pinned.

    The prepared test part has another digest with every column more or less; its people are the source's. Of
    de-identified sources the plan has a keyed hash, which stays as it is when a person is forgotten.
    """
    named = {one.name: one.sha256 for one in plan.judgement.data.sources if one.part != "train"}
    pinned = [file.sha256 for file in dataset.sources if Path(file.path).name in named]
    return (*named.values(), *pinned)
