"""How a flow ended: what is printed and the exit code."""

from __future__ import annotations

from enum import StrEnum

from tasks.evaluate.compared import Comparison
from tasks.evidence.records import Record
from tasks.fairness.verdict import Judged, Verdict


class Ending(StrEnum):
    """The endings of a retraining run; each but Unchanged leaves a dossier."""

    REGISTERED = "Registered"
    UNDECIDED = "Undecided"
    REFUSED = "Refused"
    UNCHANGED = "Unchanged"
    CRASHED = "Crashed"

    @property
    def exit_code(self) -> int:
        """Of the command line."""
        return {"Registered": 0, "Unchanged": 0, "Crashed": 1, "Refused": 3, "Undecided": 4}[self.value]


VERDICT_EXIT = {Verdict.PASS: 0, Verdict.FAIL: 3, Verdict.INCONCLUSIVE: 4}


class Outcome(Record):
    """What a flow hands to the person who started it.

    Attributes:
        title: the ending in a word or two.
        exit_code: of the command line.
        lines: what happened and where to look next.
        judged: the verdicts, if any were reached.
        comparison: of variants, if that was asked for.
    """

    title: str
    exit_code: int
    lines: tuple[str, ...] = ()
    judged: tuple[Judged, ...] = ()
    comparison: Comparison | None = None


def show(outcome: Outcome) -> None:
    """Print the verdict table, then the ending and where to look next."""
    from rich.console import Console  # noqa: PLC0415 - a flow in a worker prints nothing

    from tasks.report.compare_table import comparison_table  # noqa: PLC0415 - likewise
    from tasks.report.front_page import terminal_table  # noqa: PLC0415

    console = Console()
    if outcome.judged:
        console.print(terminal_table(outcome.judged))
    if outcome.comparison:
        console.print(comparison_table(outcome.comparison))
    console.print(f"[bold]{outcome.title}[/bold]", highlight=False)
    for line in outcome.lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
