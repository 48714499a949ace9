"""Pretrained weights are pinned and fetched as sources are, into a folder that all plans share."""

from __future__ import annotations

from pathlib import Path

from infra.settings import settings
from tasks.evidence.digest import digest_file
from tasks.ingest.sources import fetch
from tasks.plan.model import Pretrained


def fetch_pretrained(model: Pretrained) -> dict[str, Path]:
    """Bring the model's files into ``var/pretrained``; those that are there with their hash are not fetched.

    Raises:
        SourceError: if a file can't be had, or has other bytes than the plan pins.
    """
    found = {}
    for file in model.files:
        path = settings().var / "pretrained" / file.sha256[:16] / file.name
        if not path.is_file() or digest_file(path) != file.sha256:
            fetch(file, path, settings().mirror)
        found[file.name] = path
    return found
