"""A review on record, looked at again: the same packet, signatures that hold, and figures that follow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import polars as pl

from tasks.errors import EvidenceError
from tasks.evaluate.differences import changed_values
from tasks.model.predictor import Predictor
from tasks.review.answers import problems_of
from tasks.review.changed import Opened
from tasks.review.conclude import conclude
from tasks.review.flips import unturned
from tasks.review.laid import Laid, lay_out
from tasks.review.records import Answered
from tasks.review.standing import Standing

FOLLOWS = frozenset(
    {
        "cases",
        "agreement",
        "overrides",
        "accepted_wrong",
        "rubber_stamps",
        "disputed",
        "judged",
        "not_judged",
    }
)
"""What the answers alone decide; whether an approval came in time for its comparison is the registry's."""
LEADS_TO = {"approved": {"approved"}, "timed out": {"timed out", "not counted"}}


def review_problems(folder: Path, frame: pl.DataFrame) -> list[str]:
    """What does not agree in a review's records; one sentence each.

    Args:
        folder: the dossier, its chain checked.
        frame: the test part, typed, as pinned.
    """
    standing = Standing.of(folder)
    laid = lay_out(standing, frame, frame.clear)  # the packet is on record: no training row is read
    asked = standing.asked
    try:
        laid.require_recorded(asked.packet)
    except EvidenceError as error:
        return [str(error)]
    problems = _flip_problems(standing, laid, frame)
    told: list[str] = []
    for answered in standing.taken:
        at = datetime.fromisoformat(asked.packet.deadline)
        found = problems_of(answered.signed, replace(asked, answered=tuple(told), moment=at))
        problems += [f"the answers of {answered.reviewer}: {problem}" for problem in found]
        problems += _named(answered, asked.reviewer_of(answered.signed.answers.key))
        told.append(answered.reviewer)
    return problems or list(_figures(standing, laid))


def _flip_problems(standing: Standing, laid: Laid, frame: pl.DataFrame) -> list[str]:
    """Drawn flips that the frozen model does not turn."""
    rows = [case.row_id for case in laid.asking.cases if case.why == "counterfactual flip"]
    if not rows:
        return []
    predictor = Predictor.load(standing.folder / "model").without_noise()
    opened = Opened(standing.plan, predictor, frame, laid.asking.described)
    told = "was drawn as a counterfactual flip, and does not turn"
    return [f"row {row} {told}" for row in unturned(opened, rows, laid.kept.nearest)]


def _named(answered: Answered, name: str | None) -> list[str]:
    if answered.reviewer == name:
        return []
    return [f"{answered.reviewer} is named for a key of {name or 'nobody'}"]


def _figures(standing: Standing, laid: Laid) -> Iterator[str]:
    recorded = standing.reviewed
    if recorded is None:
        return
    rebuilt = conclude(standing.answers, laid.asking)
    pair = (one.model_dump(mode="json", include=set(FOLLOWS)) for one in (recorded, rebuilt))
    yield from changed_values(*pair)
    if recorded.outcome not in LEADS_TO.get(rebuilt.outcome, {rebuilt.outcome}):
        yield f"{recorded.outcome} on record, where these answers lead to {rebuilt.outcome}"
    if recorded.alias not in (None, standing.awaits.alias):
        yield f"alias {recorded.alias} on record, {standing.awaits.alias} was to be given"
    if recorded.alias is not None and recorded.outcome != "approved":
        yield f"alias {recorded.alias} on record of a version that was {recorded.outcome}"
