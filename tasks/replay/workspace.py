"""The rows that a replay predicts: rebuilt from the pinned sources, and the workspace's copies compared."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path

import polars as pl
from pydantic import ValidationError

from tasks.errors import EvidenceError
from tasks.evaluate.differences import shortened
from tasks.evaluate.predictions import read_predictions
from tasks.evaluate.records import PREDICTIONS, file_of
from tasks.evidence.records import Dataset
from tasks.ingest.archive import digest_source
from tasks.ingest.described import ROW_DIGEST
from tasks.ingest.fetched import RECORD
from tasks.ingest.parts import read_audit_set, read_sources
from tasks.ingest.rebuild import fetch_parts
from tasks.plan import Plan
from tasks.plan.judgement import TEST
from tasks.replay.replay import Replay


def pinned_sources(replay: Replay) -> dict[str, str]:
    """SHA-256 of each raw file: the plan's, or of what de-identification left, which is on record.

    Raises:
        EvidenceError: if the record is not as it was written.
    """
    if replay.plan.judgement.privacy is None:
        return {source.name: source.sha256 for source in replay.plan.judgement.sources}
    try:
        return {Path(file.path).name: file.sha256 for file in replay.recorded.sources}
    except ValidationError as error:
        raise EvidenceError(f"the record `data` names no files: {error}") from error


def rebuild_dataset(
    plan: Plan, pinned: Mapping[str, str], beside: Path, mirror: Path | None, folder: Path
) -> Dataset:
    """Fetch the sources again, from the workspace's ``raw`` where its bytes are right, and divide them.

    Args:
        plan: as locked.
        pinned: SHA-256 of each raw file.
        beside: the plan's folder in the workspace.
        mirror: searched before the network.
        folder: gets the files.

    Raises:
        SourceError: when a source can't be had anywhere, or not be de-identified without its key.
    """
    raw = beside / "raw"
    right = all((raw / name).is_file() for name in pinned) and not altered_sources(pinned, raw)
    if plan.judgement.privacy is None:
        return fetch_parts(plan, folder, raw if right else mirror)
    if right and (raw / RECORD).is_file():
        for name in (*pinned, RECORD):
            (folder / "raw").mkdir(parents=True, exist_ok=True)
            shutil.copyfile(raw / name, folder / "raw" / name)
    return fetch_parts(plan, folder, mirror, beside)


def altered_sources(pinned: Mapping[str, str], raw: Path) -> list[str]:
    """The workspace's raw files that have other bytes than is pinned."""
    return [
        name
        for name, sha256 in pinned.items()
        if (raw / name).is_file() and digest_source(raw / name) != sha256
    ]


def workspace_problems(plan: Plan, pinned: Mapping[str, str], raw: Path, dossier: Path) -> list[str]:
    """Name what the workspace's raw files have changed, to the row for those of the test part."""
    altered = altered_sources(pinned, raw)
    problems = [
        f"{raw / name}: SHA-256 {pinned[name][:12]}… is pinned, found {digest_source(raw / name)[:12]}…"
        for name in altered
    ]
    return [*problems, *_changed_rows(plan, raw, dossier, set(altered))]


def _changed_rows(plan: Plan, raw: Path, dossier: Path, altered: set[str]) -> Iterator[str]:
    """Rows of the altered files that were judged, in each set of them."""
    for on, own in plan.judgement.sets.items():
        sources = own.data.sources
        judged = {source.name for source in sources if on != TEST or source.part == TEST}
        if not altered & judged or not all((raw / source.name).is_file() for source in sources):
            continue
        rows = read_sources(raw, own.data)["test"] if on == TEST else read_audit_set(raw, own)
        recorded = read_predictions(dossier / file_of(PREDICTIONS, on), own)
        yield from _changed(recorded, rows[ROW_DIGEST].to_list())


def _changed(recorded: pl.DataFrame, found: list[str]) -> list[str]:
    pairs = enumerate(zip_longest(recorded["row_digest"], found))
    return shortened(
        [f"row {row}: the row's values are not the ones that were judged" for row, (a, b) in pairs if a != b]
    )
