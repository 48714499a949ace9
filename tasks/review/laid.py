"""What is laid before the reviewers, made from the dossier and the pinned rows: the same each time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import polars as pl

from tasks.errors import EvidenceError
from tasks.evaluate.predictions import read_predictions
from tasks.evaluate.records import PREDICTIONS
from tasks.evidence.digest import write_atomically
from tasks.evidence.dossier import body_of
from tasks.fairness.verdict import Verdicts
from tasks.ingest.described import ROW_DIGEST, describe
from tasks.model.audio import AudioFeatures
from tasks.model.predictor import Predictor
from tasks.review.changed import Opened
from tasks.review.conclude import Asking
from tasks.review.draw import Examined, draw
from tasks.review.explained import FILE, Kept, Train, explain_rows, nearest
from tasks.review.flips import find_flips
from tasks.review.packet import PAGE, TABLE, Sheet, digest_sheets, packet_page, packet_table, sheets_of
from tasks.review.pictures import spectrogram_uri
from tasks.review.reasons import features_of, reasons_of
from tasks.review.records import Case, Packet
from tasks.review.standing import Standing
from tasks.review.weighed import Told


@dataclass(frozen=True)
class Laid:
    """Drawn decisions, with all that is known of them and all that is shown.

    Attributes:
        standing: the review.
        asking: the decisions, and what answers are held against.
        sheets: the decisions as they are shown.
        rows: of the decisions, typed, in their order.
        kept: what the dossier keeps of it.
    """

    standing: Standing
    asking: Asking
    sheets: list[Sheet]
    rows: pl.DataFrame
    kept: Kept

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
            flips=self.kept.flips,
            deadline=deadline,
        )

    def require_recorded(self, packet: Packet) -> None:
        """Make sure that this is what the record says was shown.

        Raises:
            EvidenceError: with what either says.
        """
        if packet.flips != self.kept.flips:
            raise EvidenceError(
                f"the packet's record says of counterfactual flips: {packet.flips.told!r}; "
                f"{FILE} says {self.kept.flips.told!r}"
            )
        if packet.digest != self.digest:
            raise EvidenceError(
                f"packet {packet.digest[:12]}… is on record for {packet.model} version {packet.version}, the "
                f"same rows give {self.digest[:12]}… now: the dossier, the rows or the code changed meanwhile"
            )

    def write(self, packet: Packet, folder: Path) -> None:
        """Write page and table; they hold persons' data, so the folder is its owner's."""
        plan = self.standing.plan
        page = packet_page(packet, self.sheets, plan, self.standing.label.values, self._spectrograms())
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(folder / PAGE, page.encode())
        write_atomically(folder / TABLE, packet_table(packet, self.sheets).encode())

    def _spectrograms(self) -> dict[int, str]:
        """Of recordings that have a map: the page shows them, the digest covers the recordings."""
        features = features_of(self.standing.folder, self.standing.plan)
        if not isinstance(features, AudioFeatures):
            return {}
        return {
            sheet.number: spectrogram_uri(features, row)
            for sheet, row in zip(self.sheets, self.rows.iter_slices(1), strict=True)
            if sheet.reasons.cells
        }


def lay_out(standing: Standing, frame: pl.DataFrame, train: Train) -> Laid:
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
    folder, review = standing.folder, standing.review
    if standing.packet is None:
        train = cache(train)
        opened = Opened(plan, Predictor.load(folder / "model").without_noise(), frame, described)
        nearest_of = partial(nearest, opened, train=train, folder=folder)
        pool = find_flips(opened, predictions["prediction"], nearest_of, seed, review.decisions)
        kept = Kept(flips=pool.record, pool=pool.rows, nearest=pool.nearest, rows={})
    else:
        kept = Kept.read(folder)
    cases = draw(Examined(predictions, described, standing.label, judged, kept.pool), review, seed)
    places = [case.row_id for case in cases]
    if standing.packet is None:
        told_of = explain_rows(opened, _decided_as_told(cases, opened), train, folder)
        kept = kept.model_copy(update={"rows": told_of})
    rows = frame[places]
    told = [kept.rows.get(place, Told()) for place in places]
    explained = dict(zip(places, reasons_of(told, rows, features_of(folder, plan)), strict=True))
    sheets = sheets_of(cases, rows.to_dicts(), plan, explained, seed)
    return Laid(standing, Asking(review, plan.judgement, cases, described), sheets, rows, kept)


def _decided_as_told(cases: Sequence[Case], opened: Opened) -> list[int]:
    """Rows of which the model decided what it answered: an answer that is noise has no explanation."""
    decided = opened.decided(opened.frame[[case.row_id for case in cases]])
    return [case.row_id for case, own in zip(cases, decided, strict=True) if case.prediction == own]
