"""Tables that follow from a cube: written as a file of their own, from which the pages draw."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from tasks.audit.laws import law_tables
from tasks.audit.places import SMALL, small_cells
from tasks.audit.sections import section, shown_laws
from tasks.documents.sourced import Evidence
from tasks.evidence.digest import digest_file
from tasks.fairness.cube import Cube
from tasks.plan.base import crossing

TABLES = "documents/tables.json"
IMPACT = "Local Law 144"


def derived_tables(evidence: Evidence) -> dict[str, Any]:
    """Confusion counts and rates of each group, and the tables of laws, of every cube of classes.

    Args:
        evidence: of a run that may have ended before it judged; then there are none.
    """
    if "opening" not in evidence or "verdicts" not in evidence:
        return {"sets": []}
    opening = evidence["opening"].plain
    sets = {"test": opening, **opening["audits"]}
    attributes = {on: _attributes(evidence, on) for on in sets}
    found = [_of(evidence.folder / one["cube"]["path"], on, attributes[on]) for on, one in sets.items()]
    return {"sets": [one for one in found if one is not None]}


def _attributes(evidence: Evidence, on: str) -> list[str]:
    judged = evidence["verdicts"].plain["judged"]
    return list(dict.fromkeys(one["attribute"] for one in judged if one["on"] == on))


def _of(path: Path, on: str, attributes: list[str]) -> dict[str, Any] | None:
    content = path.read_bytes()
    if b'"labels"' not in content:  # numbers have moments, and no confusion counts
        return None
    cube = Cube.from_json(content)
    groups = [name for name in attributes if all(part in cube.axes for part in crossing(name))]
    sections = [section(cube, name) for name in groups]
    single = [name for name in cube.axes if name != "label"]
    return {
        "on": on,
        "cube": {"path": path.name, "sha256": digest_file(path)},
        "rows": cube.rows,
        "positive": cube.positive,
        "small_cells": small_cells(cube),
        "fewer_than": SMALL,
        "sections": [
            {"attribute": one.attribute, "columns": one.columns, "rows": one.rows, "matrices": one.matrices}
            for one in sections
        ],
        "laws": [asdict(one) for one in shown_laws(law_tables(cube, single))],
    }
