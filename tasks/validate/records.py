"""What validation hands on."""

from __future__ import annotations

from tasks.evidence.records import FileRef, Record


class Expectation(Record):
    """One rule, checked. ``found`` never holds a value of a personal or protected column.

    ``remedy`` says what to do where it is broken and the rule alone does not tell.
    """

    part: str
    rule: str
    column: str | None
    met: bool
    found: str
    failing_rows: tuple[int, ...] = ()
    remedy: str = ""


class Validated(Record):
    """The validation step: every expectation of the plan on every part.

    Attributes:
        expectations: all that was evaluated, at least one per column.
        problems: sentences for the person, one per expectation that isn't met; any refuses.
        reports: HTML files to show in the run.
    """

    expectations: tuple[Expectation, ...]
    problems: tuple[str, ...]
    reports: tuple[FileRef, ...] = ()
