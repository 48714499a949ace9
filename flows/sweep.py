"""The leak sweep as a command: which files hold one of some values, however wrapped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flows.outcome import Outcome
from tasks.errors import PlanError
from tasks.privacy.sweep import sweep


def run_sweep(values: Path, places: Sequence[Path]) -> Outcome:
    """Seek the values of a file, one a line, below some places; exit 3 if one is found.

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
        found = sweep([value for _, value in numbered], *places)
    except ValueError as error:
        raise PlanError("sweep", [f"{values}: {error}"]) from None
    own = values.resolve()
    found = [one for one in found if one.path.resolve() != own]
    if not found:
        return Outcome(title="Nothing found", exit_code=0, lines=(f"{len(numbered)} values sought",))
    told = tuple(f"{one.path}: line {numbered[one.value][0]} of {values.name} ({one.how})" for one in found)
    return Outcome(title="Found", exit_code=3, lines=told)
