"""What is laid before the reviewers, made from the dossier and the pinned rows: the same each time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from tasks.errors import EvidenceError
from tasks.evaluate.predictions import read_predictions
from tasks.evaluate.records import PREDICTIONS
from tasks.evidence.digest import write_atomically
from tasks.evidence.dossier import body_of
from tasks.fairness.verdict import Verdicts
from tasks.ingest.described import ROW_DIGEST, describe
from tasks.review.conclude import Asking
from tasks.review.draw import Examined, draw
from tasks.review.explained import NONE, Sentences, explain_rows, kept
from tasks.review.packet import PAGE, TABLE, Sheet, digest_sheets, packet_page, packet_table, sheets_of
from tasks.review.records import Packet
from tasks.review.standing import Standing


@dataclass(frozen=True)
class Laid:
    """Drawn decisions, with all that is known of them and all that is shown.

    Attributes:
        standing: the review.
        asking: the decisions, and what answers are held against.
        sheets: the decisions as they are shown.
        explained: row_id -> sentences.
    """

    standing: Standing
    asking: Asking
    sheets: list[Sheet]
    explained: Sentences

    @property
    def digest(self) -> str:
        """SHA-256 of all that is shown."""
        registration = self.standing.registration
        return digest_sheets(registration.model, registration.version, self.sheets)

    def packet(self, deadline: str) -> Packet:
        """The record of this packet.

        Args:
            deadline: UTC, ISO 8601.
        """
        cases, registration = self.asking.cases, self.standing.registration
        kinds = sorted({case.why for case in cases})
        return Packet(
            model=registration.model,
            version=registration.version,
            digest=self.digest,
            cases=len(cases),
            drawn={why: sum(case.why == why for case in cases) for why in kinds},
            deadline=deadline,
        )

    def require_recorded(self, packet: Packet) -> None:
        """Make sure that this is what the record says was shown.

        Raises:
            EvidenceError: with both digests.
        """
        if packet.digest != self.digest:
            raise EvidenceError(
                f"packet {packet.digest[:12]}… is on record for {packet.model} version {packet.version}, the "
                f"same rows give {self.digest[:12]}… now: the dossier, the rows or the code changed meanwhile"
            )

    def write(self, packet: Packet, folder: Path) -> None:
        """Write page and table; they hold persons' data, so the folder is its owner's."""
        page = packet_page(packet, self.sheets, self.standing.plan, self.standing.label.values)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(folder / PAGE, page.encode())
        write_atomically(folder / TABLE, packet_table(packet, self.sheets).encode())


def lay_out(standing: Standing, frame: pl.DataFrame, train: Callable[[], pl.DataFrame]) -> Laid:
    """Draw the decisions of a review, seeded by the frozen model.

    Args:
        standing: the review.
        frame: the test part, typed.
        train: reads the training part likewise; called for a packet that is not on record yet.

    Raises:
        EvidenceError: if these are not the rows that were judged.
        Refusal: if they are too few.
    """
    plan, entries = standing.plan, standing.entries
    predictions = read_predictions(standing.folder / PREDICTIONS, plan.judgement)
    if predictions[ROW_DIGEST].to_list() != frame[ROW_DIGEST].to_list():
        raise EvidenceError(f"{standing.folder}: the pinned rows are not the ones that were judged")
    described = describe(frame, plan.judgement)
    judged = Verdicts.model_validate(body_of(entries, "verdicts")).judged
    seed = int(body_of(entries, "freeze")["digest"][:16], 16)
    examined = Examined(predictions, described, standing.label, judged)
    cases = draw(examined, standing.review, seed)
    places = [case.row_id for case in cases]
    if standing.packet is None:
        explained = explain_rows(frame[places], described[places], train(), plan, standing.folder)
    else:
        explained = kept(standing.folder)
    rows = [frame.row(place, named=True) for place in places]
    sheets = sheets_of(cases, rows, plan, lambda row_id: explained.get(row_id) or [NONE], seed)
    return Laid(standing, Asking(standing.review, plan.judgement, cases, described), sheets, explained)
