"""What a look comes to: nothing that is missing, too small or undefined counts as fine."""

from __future__ import annotations

from enum import StrEnum

from tasks.evidence.records import Record
from tasks.fairness.verdict import Verdict, Verdicts
from tasks.monitor.records import Compared, NewRows


class Seen(StrEnum):
    """What a look may end with, beside Refused (it could not be read) and Crashed."""

    STABLE = "Stable"
    DRIFTED = "Drifted"
    ALARMED = "Alarmed"
    UNDECIDED = "Undecided"

    @property
    def exit_code(self) -> int:
        """Of the command line."""
        return {"Stable": 0, "Drifted": 3, "Alarmed": 3, "Undecided": 4}[self.value]

    @property
    def crossed(self) -> bool:
        """Whether a limit of the plan is crossed, so that a retraining is asked for."""
        return self in (Seen.DRIFTED, Seen.ALARMED)


class Found(Record):
    """How a look ended.

    Attributes:
        ending: one of `Seen`.
        because: a sentence each.
    """

    ending: Seen
    because: tuple[str, ...]


def ending_of(
    rows: NewRows, compared: Compared | None, verdicts: Verdicts | None, minimum_rows: int
) -> Found:
    """Alarmed before Drifted before Undecided: the worst that was shown decides.

    Args:
        rows: as read.
        compared: with the champion; None where there were too few rows.
        verdicts: of the rows with labels; None where there were too few.
        minimum_rows: below which neither is made.
    """
    if compared is None:
        return Found(ending=Seen.UNDECIDED, because=(rows.short,))
    crossed, unknown = list(compared.crossed), list(compared.open)
    if verdicts is None:
        unknown.append(
            f"fairness is not known: {rows.labelled} of {rows.rows} new rows have a label, "
            f"operations.monitoring.minimum_rows {minimum_rows}"
        )
    else:
        unknown += [one.sentence for one in verdicts.judged if one.verdict is Verdict.INCONCLUSIVE]
    if verdicts is not None and verdicts.problems:
        return Found(ending=Seen.ALARMED, because=(*verdicts.problems, *crossed))
    if crossed:
        return Found(ending=Seen.DRIFTED, because=tuple(crossed))
    if unknown or (verdicts is not None and verdicts.verdict is not Verdict.PASS):
        return Found(ending=Seen.UNDECIDED, because=tuple(unknown))
    shown = "" if verdicts is None else f"; {verdicts.summary}"
    told = f"{rows.rows:,} new rows keep the plan's limits on drift and population{shown}"
    return Found(ending=Seen.STABLE, because=(told,))
