"""Rebuild every number of an audit: its verdicts from its counts, its counts from the file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tasks.audit.audit import judged_all
from tasks.audit.counting import count_file
from tasks.audit.laws import law_tables
from tasks.audit.limits import conventional
from tasks.audit.records import Audit, Versions
from tasks.audit.store import read_audit
from tasks.errors import AssayError, PlanError
from tasks.evaluate.differences import changed_cells, changed_values
from tasks.evidence.digest import digest_file
from tasks.fairness.verdict import Judged
from tasks.plan.limits import read_limits


@dataclass
class Rebuilt:
    """What a replay found.

    Attributes:
        mismatches: what is not as recorded, each named.
        checked: what was found the same.
        notes: what could not be looked at, or was made by other versions.
        judged: the verdicts, as rebuilt.
        recounted: whether the rows were at hand and counted again.
    """

    mismatches: list[str] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    judged: tuple[Judged, ...] = ()
    recounted: bool = False

    def note(self, what: str, problems: list[str], same: str) -> None:
        """File what was compared: the problems, or that there are none."""
        self.mismatches += [f"{what}: {problem}" for problem in problems]
        if not problems:
            self.checked.append(same)


def replay(path: Path, data: Path | None = None) -> Rebuilt:
    """Rebuild an audit's verdicts from its cube and, where the file is at hand, the cube from the file.

    Args:
        path: the JSON file of `assay audit --json`.
        data: the audited file; None to look where the audit found it, then beside ``path``.

    Raises:
        PlanError: for a ``path`` that holds no audit, or ``data`` that isn't there.
        EvidenceError: for an audit whose values can't be what they are called.
    """
    audit, altered = read_audit(path)
    found = Rebuilt()
    found.note("record", altered, "the record has the SHA-256 it was written with")
    found.note("cube", list(_sums(audit)), f"the counts are of {audit.rows:,} rows")
    _compare_verdicts(audit, found)
    found.note("laws", _law_problems(audit), "the tables of laws follow from the counts")
    _compare_limits(audit, path, found)
    _recount(audit, _located(audit.file.path, path, data), found)
    if audit.made_by != (here := Versions.here()):
        found.notes.append(f"made by {_told(audit.made_by)}; replayed by {_told(here)}")
    return found


def _sums(audit: Audit) -> Iterator[str]:
    cube = audit.counted
    if cube.rows != audit.rows:
        yield f"{audit.rows:,} rows on record, the counts are of {cube.rows:,}"
    if cube.positive != audit.positive:
        yield f"positive class {audit.positive!r} on record, the counts have {cube.positive!r}"
    if tuple(cube.axes) != audit.columns.groups:
        yield f"groups {list(audit.columns.groups)} on record, the counts have {list(cube.axes)}"


def _compare_verdicts(audit: Audit, found: Rebuilt) -> None:
    try:
        found.judged = judged_all(audit.counted, audit.limits, audit.alpha)
    except AssayError as error:
        found.note("verdicts", [str(error)], "")
        return
    if len(found.judged) != len(audit.judged):
        found.note("verdicts", [f"{len(audit.judged)} on record, the limits make {len(found.judged)}"], "")
    same = True
    for i, (old, new) in enumerate(zip(audit.judged, found.judged, strict=False), start=1):
        problems = changed_values(old.model_dump(mode="json"), new.model_dump(mode="json"))
        found.mismatches += [f"verdict {i} ({new.metric} by {new.attribute}): {line}" for line in problems]
        same = same and not problems
    if same:
        found.checked.append(f"every verdict follows from the counts ({audit.verdicts.summary})")


def _law_problems(audit: Audit) -> list[str]:
    """The tables are built from the groups on record, if the counts have them."""
    groups = [name for name in audit.columns.groups if name in audit.counted.axes]
    tables = law_tables(audit.counted, groups)
    return changed_values(audit.laws.model_dump(mode="json"), tables.model_dump(mode="json"))


def _compare_limits(audit: Audit, path: Path, found: Rebuilt) -> None:
    limits, groups = audit.limits, audit.columns.groups
    if limits.file is None:
        expected = tuple(conventional(groups))
        problems = [] if limits.limits == expected else ["called conventional, and are others"]
        found.note("limits", problems, "the limits are the conventional ones, not from a plan")
        return
    file = _located(limits.file.path, path, None)
    if file is None:
        found.notes.append(f"{limits.file.path} is not at hand: the limits are those on record")
        return
    if digest_file(file) != limits.file.sha256:
        found.note("limits", [f"{file} has other bytes than were read"], "")
        return
    problems = [] if read_limits(file, groups) == limits.limits else [f"other limits than {file} states"]
    found.note("limits", problems, f"the limits are those of {file}")


def _located(recorded: str, beside: Path, given: Path | None) -> Path | None:
    """Where a file of the audit is now."""
    if given is not None:
        if not given.is_file():
            raise PlanError("--data", [f"there is no file {given}"])
        return given
    places = (Path(recorded), beside.parent / Path(recorded).name)
    return next((place for place in places if place.is_file()), None)


def _recount(audit: Audit, file: Path | None, found: Rebuilt) -> None:
    if file is None:
        found.notes.append(f"{audit.file.path} is not at hand: its rows are not recounted (--data FILE)")
        return
    if (digest := digest_file(file)) != audit.file.sha256:
        found.note("data", [f"{file} has SHA-256 {digest[:12]}, {audit.file.sha256[:12]} was audited"], "")
    try:
        counted = count_file(file, audit.columns, audit.positive)
    except PlanError as error:
        found.note("data", list(error.problems), "")
        return
    found.recounted = True
    found.note("cube", changed_cells(audit.counted, counted.cube), f"{file} gives the same counts")


def _told(versions: Versions) -> str:
    return ", ".join(f"{name} {value[:12]}" for name, value in versions.model_dump().items())
