"""The packet: the drawn decisions as a page to look at and as a table to fill in."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tasks.audit.template import page_style, page_template
from tasks.evidence.digest import digest_of
from tasks.plan import Plan
from tasks.review.inputs import Input, input_of
from tasks.review.pictures import map_uri
from tasks.review.reasons import Reasons
from tasks.review.records import Case, Packet

DECISION = "decision"
PAGE, TABLE = "packet.html", "packet.csv"


@dataclass(frozen=True)
class Sheet:
    """One case as the reviewers see it: nothing on it says why it was drawn, or what is true.

    Attributes:
        number: in the packet, from 1.
        given: the input.
        recommendation: a class.
        reasons: what explains it, if anything does.
    """

    number: int
    given: Input
    recommendation: str
    reasons: Reasons


def sheets_of(
    cases: Sequence[Case],
    rows: Sequence[dict[str, Any]],
    plan: Plan,
    explained: Mapping[int, Reasons],
    seed: int,
) -> list[Sheet]:
    """The cases as they are shown.

    A wrong recommendation has no honest explanation; so none is shown of it, nor of as many others, drawn at
    random, that would have one: what is missing gives nothing away.

    Args:
        cases: as drawn.
        rows: of the cases, in their order, typed.
        plan: what the model takes in.
        explained: row_id -> what explains the model's own decision.
        seed: of the draw.
    """
    wrong = [case.number for case in cases if not case.genuine]
    others = [case.number for case in cases if case.genuine and explained[case.row_id] != Reasons()]
    hidden = np.random.default_rng(seed).permutation(np.array(others, int))[: len(wrong)]
    without = {*wrong, *hidden.tolist()}
    return [
        Sheet(
            case.number,
            input_of(row, plan),
            case.shown,
            Reasons() if case.number in without else explained[case.row_id],
        )
        for case, row in zip(cases, rows, strict=True)
    ]


def digest_sheets(model: str, version: str, sheets: Sequence[Sheet]) -> str:
    """SHA-256 of everything that the reviewers see, as canonical JSON."""
    return digest_of({"model": model, "version": version, "cases": [asdict(sheet) for sheet in sheets]})


def packet_page(
    packet: Packet,
    sheets: Sequence[Sheet],
    plan: Plan,
    classes: Sequence[str],
    spectrograms: Mapping[int, str],
) -> str:
    """The page: self-contained, no scripts, the same bytes for the same packet.

    Args:
        packet: on record.
        sheets: its cases.
        plan: names the label and the reviewers.
        classes: that a decision may be.
        spectrograms: case -> picture of a recording beside which its map is laid, as data.
    """
    assert plan.operations.review is not None  # noqa: S101 - the flow has looked
    template = page_template("tasks.review", PAGE, map=map_uri)
    return template.render(
        packet=packet,
        sheets=sheets,
        classes=classes,
        label=plan.judgement.data.label.column,
        reviewers=list(plan.operations.review.reviewers),
        spectrograms=spectrograms,
        style=page_style(),
    )


def packet_table(packet: Packet, sheets: Sequence[Sheet]) -> str:
    """The table as CSV: the column `decision` is the reviewer's."""
    fields = list(dict.fromkeys(name for sheet in sheets for name in sheet.given.fields))
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    media = next((sheet.given.media for sheet in sheets), "")
    named = fields if not media else [media]
    writer.writerow(["packet", "case", *named, "recommendation", "explanation", DECISION])
    for sheet in sheets:
        seen = [sheet.given.fields.get(name, "") for name in fields] if not media else ["see the page"]
        explanation = " ".join(sheet.reasons.sentences)
        writer.writerow([packet.digest, sheet.number, *seen, sheet.recommendation, explanation, ""])
    return file.getvalue()
