"""The leak sweep as a command: which files hold one of some values, however wrapped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flows.outcome import Outcome
from tasks.errors import PlanError
from tasks.privacy.sweep import search


def run_sweep(values: Path, places: Sequence[Path]) -> Outcome:
    """Seek the values of a file, one a line, below some places.

    Returns:
        Exit 3 if one is found; else 4 if some file could not be searched, else 0.

    Raises:
        PlanError: for a file or a place that is not there, or a value that is too short.
    """
    if absent := [str(path) for path in (values, *places) if not path.exists()]:
        raise PlanError("sweep", [f"there is no {path}" for path in absent])
    lines = values.read_text(encoding="utf-8").splitlines()
    numbered = [(number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]
    if not numbered:
        raise PlanError("sweep", [f"{values}: a value a line is expected, found none"])
    try:
        swept = search([value for _, value in numbered], *places)
    except ValueError as error:
        raise PlanError("sweep", [f"{values}: {error}"]) from None
    own = values.resolve()
    found = [one for one in swept.found if one.path.resolve() != own]
    told = tuple(f"{one.path}: line {numbered[one.value][0]} of {values.name} ({one.how})" for one in found)
    closed = len({one.path for one in swept.unopened})
    if closed:
        places_of = tuple(f"{one.path}" + (f" ({one.how})" if one.how else "") for one in swept.unopened)
        told += (f"{closed} files could not be opened and were not searched inside:", *places_of)
    if found:
        return Outcome(title="Found", exit_code=3, lines=told)
    sought = f"{len(numbered)} values sought"
    if closed:
        return Outcome(title="Nothing found where it could be searched", exit_code=4, lines=(sought, *told))
    return Outcome(title="Nothing found", exit_code=0, lines=(sought,))
