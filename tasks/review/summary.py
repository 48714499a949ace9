"""What a review's answers say, a line each."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.fairness.verdict import Verdict, Verdicts
from tasks.review.records import Reviewed


def summary(reviewed: Reviewed) -> Iterator[str]:
    """Agreement, overrides, automation bias, and the fairness of the final decisions."""
    if (found := reviewed.agreement) is not None:
        told = (
            "undefined" if found.kappa is None else f"{found.kappa:.2f}, {found.low:.2f} to {found.high:.2f}"
        )
        yield f"Agreement   on {found.agreed} of {found.n} decisions (kappa {told})"
    for one in reviewed.overrides:
        if not one.attribute and one.low is not None and one.high is not None:
            interval = f"{one.low:.0%} to {one.high:.0%}"
            yield f"Overrides   {one.reviewer}: {one.events} of {one.n} of the model's decisions ({interval})"
    for one in reviewed.accepted_wrong:
        yield f"Automation  {one.reviewer} accepted {one.events} of {one.n} recommendations wrong on purpose"
    if reviewed.judged:
        verdicts = Verdicts(judged=reviewed.judged)
        few = ": too few rows to show more" if verdicts.verdict is Verdict.INCONCLUSIVE else ""
        rows = len(reviewed.cases)
        yield f"Fairness    of the final decisions on these {rows} rows: {verdicts.summary}{few}"
