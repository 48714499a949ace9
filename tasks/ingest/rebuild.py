"""Rebuild a dataset version in any folder, from nothing but its plan."""

from __future__ import annotations

from pathlib import Path

from tasks.evidence.records import Dataset
from tasks.ingest.deidentified import fetch_deidentified
from tasks.ingest.parts import dataset_of, prepare
from tasks.ingest.sources import fetch
from tasks.plan.plan import Plan


def fetch_parts(plan: Plan, folder: Path, mirror: Path | None, beside: Path | None = None) -> Dataset:
    """Fetch, prepare and check without DVC or a workspace: for a replay from a copied dossier.

    Args:
        plan: names the sources and what becomes of them.
        folder: gets ``raw``, ``prepared`` and ``manifest.json``.
        mirror: searched before the network.
        beside: the plan's own folder, with what its de-identification needs: a list of names, and the
            tombstones of those who are left out; ``folder`` when absent.

    Raises:
        SourceError: as :func:`tasks.ingest.sources.fetch`, or the key of de-identification is not at hand.
        Refusal: as :func:`tasks.ingest.parts.prepare`.
    """
    if plan.judgement.privacy is not None:
        fetch_deidentified(plan, folder / "raw", beside or folder, mirror)
    else:
        for source in plan.judgement.sources:
            fetch(source, folder / "raw" / source.name, mirror)
    prepare(plan, folder)
    return dataset_of(plan, folder)
