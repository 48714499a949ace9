"""Rebuild a dataset version in any folder, from nothing but its plan."""

from __future__ import annotations

from pathlib import Path

from tasks.evidence.records import Dataset
from tasks.ingest.parts import dataset_of, prepare
from tasks.ingest.sources import fetch
from tasks.plan.plan import Plan


def fetch_parts(plan: Plan, folder: Path, mirror: Path | None) -> Dataset:
    """Fetch, prepare and check without DVC or a workspace: for a replay from a copied dossier.

    Args:
        plan: names the sources and what becomes of them.
        folder: gets ``raw``, ``prepared`` and ``manifest.json``.
        mirror: searched before the network.

    Raises:
        SourceError: as :func:`tasks.ingest.sources.fetch`.
        Refusal: as :func:`tasks.ingest.parts.prepare`.
    """
    for source in plan.judgement.sources:
        fetch(source, folder / "raw" / source.name, mirror)
    prepare(plan, folder)
    return dataset_of(plan, folder)
