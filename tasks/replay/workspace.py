"""The rows that a replay predicts: rebuilt from the pinned sources, and the workspace's copies compared."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import polars as pl

from tasks.evaluate.differences import shortened
from tasks.evaluate.predictions import read_predictions
from tasks.evaluate.records import PREDICTIONS, file_of
from tasks.evidence.records import Dataset
from tasks.ingest.archive import digest_source
from tasks.ingest.described import ROW_DIGEST
from tasks.ingest.parts import read_audit_set, read_sources
from tasks.ingest.rebuild import fetch_parts
from tasks.plan import Plan
from tasks.plan.judgement import TEST


def rebuild_dataset(plan: Plan, raw: Path, mirror: Path | None, folder: Path) -> Dataset:
    """Fetch the sources again, from the workspace's ``raw`` where its bytes are right, and divide them.

    Raises:
        SourceError: when a source can't be had anywhere.
    """
    whole = all((raw / s.name).is_file() for s in plan.judgement.sources)
    return fetch_parts(plan, folder, raw if whole and not altered_sources(plan, raw) else mirror)


def altered_sources(plan: Plan, raw: Path) -> list[str]:
    """The workspace's raw files that have other bytes than the plan pins."""
    return [
        source.name
        for source in plan.judgement.sources
        if (raw / source.name).is_file() and digest_source(raw / source.name) != source.sha256
    ]


def workspace_problems(plan: Plan, raw: Path, dossier: Path) -> list[str]:
    """Name what the workspace's raw files have changed, to the row for those of the test part."""
    altered = altered_sources(plan, raw)
    problems = [
        f"{raw / source.name}: SHA-256 {source.sha256[:12]}… is pinned, "
        f"found {digest_source(raw / source.name)[:12]}…"
        for source in plan.judgement.sources
        if source.name in altered
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
