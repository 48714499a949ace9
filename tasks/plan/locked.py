"""The plan as it is locked at the start of a run."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from tasks.evidence.digest import ordered_json, write_atomically
from tasks.evidence.records import Record
from tasks.plan.load import read_statements
from tasks.plan.plan import Plan

PLAN = "plan.json"
CARD = "card.md"
STATED = "statements.json"


class Locked(Record):
    """What is fixed before any result exists.

    Attributes:
        name: the plan's folder, and the model's name.
        digests: SHA-256 of each block of plan.json in its own order of keys.
        changes: of the recipe, from the command line.
    """

    name: str
    digests: dict[str, str]
    changes: tuple[str, ...]


def lock(plan: Plan, changes: Sequence[str], data: Path, folder: Path) -> Locked:
    """Write the plan, its data card, its reference population and the provider's statements into the dossier.

    Args:
        plan: as carried out.
        changes: of the recipe.
        data: the folder of plans.
        folder: the dossier's folder.

    Raises:
        PlanError: for statements that can't be read.
    """
    here = data / plan.name
    write_atomically(folder / PLAN, ordered_json(plan.model_dump(mode="json")) + b"\n")
    shutil.copyfile(here / CARD, folder / CARD)
    population = plan.judgement.population
    if population is not None and (here / population.file).is_file():
        shutil.copyfile(here / population.file, folder / population.file)
    if (stated := read_statements(here)) is not None:
        write_atomically(folder / STATED, ordered_json(stated.model_dump(exclude_none=True)) + b"\n")
    return Locked(name=plan.name, digests=plan.digests, changes=tuple(changes))


def read_locked(folder: Path) -> Plan:
    """The plan of a dossier.

    Raises:
        OSError: when there is none.
        pydantic.ValidationError: when it is no plan of this version.
    """
    return Plan.model_validate_json((folder / PLAN).read_bytes())
