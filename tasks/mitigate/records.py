"""What steps after training hand on."""

from __future__ import annotations

from tasks.evidence.records import Record


class GroupDecision(Record):
    """What is done for one level, and how its validation rows fare; weighted as the rows are.

    Attributes:
        level: of the attribute.
        rows: validation rows.
        threshold: score from which a row is positive; above 1 none is.
        slope: of the calibration, on the log odds.
        intercept: of the calibration, on the log odds.
        selection_rate: share decided positive.
        tpr: share of the positive rows decided so, None without such rows.
        fpr: share of the negative rows decided positive, None without such rows.
    """

    level: str
    rows: int
    threshold: float
    slope: float
    intercept: float
    selection_rate: float | None
    tpr: float | None
    fpr: float | None


class Decision(Record):
    """A decision that reads the group.

    Attributes:
        attribute: a protected attribute, or a crossing.
        columns: that are read at every decision.
        metric: what the thresholds equalise; empty where only scores are calibrated.
        slack: gap that was allowed on validation rows.
        groups: each level that validation rows have.
        accuracy: on validation rows.
        accuracy_before: on the same rows, with the common threshold and scores as they were.
        notes: sentences on groups that could not be fitted by themselves.
        sentence: what the decision reads and does with it, for the run's front page.
    """

    attribute: str
    columns: tuple[str, ...]
    metric: str = ""
    slack: float | None = None
    groups: tuple[GroupDecision, ...]
    accuracy: float
    accuracy_before: float
    notes: tuple[str, ...] = ()
    sentence: str
