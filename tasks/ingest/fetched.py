"""What stands in ``raw`` of a plan: as the plan pins it, or as de-identification left it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from tasks.errors import SourceAltered
from tasks.evidence.records import Deidentified, Record
from tasks.ingest.archive import digest_source
from tasks.plan.plan import Plan

RECORD = "deidentified.json"


class Fetched(Record):
    """What ``raw/deidentified.json`` says.

    Attributes:
        asked: digest of everything in the plan that the files follow from.
        files: SHA-256 of each de-identified file.
        found: what the data record says of them.
    """

    asked: str
    files: dict[str, str]
    found: Deidentified


def read_fetched(raw: Path) -> Fetched:
    """Read ``raw/deidentified.json``.

    Raises:
        SourceAltered: if it is missing or no such record.
    """
    try:
        return Fetched.model_validate_json((raw / RECORD).read_bytes())
    except (OSError, ValidationError) as error:
        raise SourceAltered(f"{raw / RECORD}: no readable record of de-identification ({error})") from error


def expected_sources(plan: Plan, raw: Path) -> Mapping[str, str]:
    """SHA-256 by which each file of ``raw`` is known: the plan's, or that of the de-identified file.

    Raises:
        SourceAltered: as :func:`read_fetched`.
    """
    if plan.judgement.privacy is not None:
        return read_fetched(raw).files
    return {source.name: source.sha256 for source in plan.judgement.sources}


def altered_sources(raw: Path, expected: Mapping[str, str]) -> list[str]:
    """A sentence for each file that is missing or has other bytes than it should."""
    problems: list[str] = []
    for name, sha256 in expected.items():
        path = raw / name
        problems += difference(path, sha256, digest_source(path) if path.is_file() else None)
    return problems


def difference(path: Path, expected: str, found: str | None) -> list[str]:
    """A sentence, if a file is missing or has another SHA-256."""
    if found is None:
        return [f"{path}: the file is missing; sha256 {expected} is expected"]
    return [] if found == expected else [f"{path}: sha256 {expected} is expected, found {found}"]
