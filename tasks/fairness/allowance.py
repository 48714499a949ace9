"""The records of a test set's budget; see `tasks.fairness.spending`."""

from __future__ import annotations

from tasks.evidence.records import Record


class Line(Record):
    """One judgement that was made.

    Attributes:
        budget: which set of rows it was made on, from 0.
        weights: digest of the frozen model.
        judgement: digest of the plan's judgement.
        share: of alpha that it spent, 1 / max_judgements.
        run: the MLflow run that made it.
        at: when, UTC.
    """

    budget: int
    weights: str
    judgement: str
    share: float
    run: str
    at: str


class Allowance(Record):
    """What one judgement may spend; filed before the test part is opened.

    Attributes:
        alpha: the level in force: the plan's alpha / max_judgements.
        number: this judgement's place among those made on this set of rows, from 1.
        max_judgements: how many the set is to serve.
        rows: distinct test rows.
        problem: why no verdict may be given, or "".
    """

    alpha: float
    number: int
    max_judgements: int
    rows: int
    problem: str = ""

    @property
    def summary(self) -> str:
        """In words."""
        if self.problem:
            return self.problem
        return (
            f"judgement {self.number} of at most {self.max_judgements} on these test rows, "
            f"at level {self.alpha:g}"
        )
