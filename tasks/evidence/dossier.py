"""The dossier: a folder of chained records, one per step, and the files that they name.

The format is specified in docs/evidence_format.md, apart from this code.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel

from tasks.errors import EvidenceError, Refusal
from tasks.evidence.digest import digest_file, write_atomically
from tasks.evidence.records import FileRef, Record

SCHEMA = "assay.record/1"
NO_PREVIOUS = "0" * 64
NO_EVIDENCE = frozenset({"records", "figures", "documents", "signatures", "timings.json"})
"""What no record vouches for: the records, pictures and pages made from them, signatures, and durations."""
R = TypeVar("R", bound=Record)


class Checked(Protocol):
    """A step's record that may hold reasons to refuse."""

    @property
    def problems(self) -> tuple[str, ...]:
        """Rules of the plan that do not hold."""
        ...


C = TypeVar("C", bound=Checked)


class Entry(Record):
    """One record of the chain, as it stands in ``records/NN-STEP.json``.

    Attributes:
        schema_version: of this format.
        index: place in the chain, from 0.
        step: what was done.
        previous: SHA-256 of the record file before, 64 zeros for the first.
        files: files of the dossier that this step made, with their digests.
        body: what the step found.
    """

    schema_version: str = SCHEMA
    index: int
    step: str
    previous: str
    files: tuple[FileRef, ...]
    body: dict[str, Any]

    @property
    def file_name(self) -> str:
        """``NN-STEP.json``."""
        return f"{self.index:02d}-{self.step}.json"


class Dossier:
    """An open dossier, to which steps are added in order.

    Attributes:
        folder: ``var/dossiers/MODEL/RUN_ID``.
    """

    def __init__(self, folder: Path) -> None:
        """Open ``folder``, continuing the chain that is there."""
        self.folder = folder
        (folder / "records").mkdir(parents=True, exist_ok=True)
        self._entries = list(read_chain(folder))
        self._head = digest_file(self._path(self._entries[-1])) if self._entries else NO_PREVIOUS

    @property
    def head(self) -> str:
        """SHA-256 of the last record: it stands for everything before it."""
        return self._head

    @property
    def steps(self) -> list[str]:
        """Steps recorded so far."""
        return [entry.step for entry in self._entries]

    def add(self, step: str, record: R) -> R:
        """Record what a step found, vouching for every file that it left in the dossier.

        Args:
            step: the step's name, lower case.
            record: what was found; handed back.
        """
        self._append(step, record.model_dump(mode="json"))
        return record

    def _append(self, step: str, body: dict[str, Any]) -> None:
        refs = tuple(FileRef.of(path, relative_to=self.folder) for path in self._new_files())
        entry = Entry(index=len(self._entries), step=step, previous=self._head, files=refs, body=body)
        text = json.dumps(
            entry.model_dump(mode="json"), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False
        )
        path = self._path(entry)
        write_atomically(path, text.encode() + b"\n")
        self._entries.append(entry)
        self._head = digest_file(path)

    def require(self, step: str, record: C) -> C:
        """Record what a check found, then end the run as Refused if a rule does not hold.

        Raises:
            Refusal: with every problem found.
        """
        assert isinstance(record, BaseModel)  # noqa: S101 - every check's record is one
        self._append(step, record.model_dump(mode="json"))
        if record.problems:
            raise Refusal("\n".join(record.problems))
        return record

    def _new_files(self) -> list[Path]:
        """Files that no record vouches for yet, sorted; see `NO_EVIDENCE`."""
        vouched = {self.folder / ref.path for entry in self._entries for ref in entry.files}
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return sorted(
            path
            for path in found
            if path not in vouched and path.relative_to(self.folder).parts[0] not in NO_EVIDENCE
        )

    def _path(self, entry: Entry) -> Path:
        return self.folder / "records" / entry.file_name


def read_chain(folder: Path) -> Iterable[Entry]:
    """Read a dossier's records in order, checking that each names the one before.

    Raises:
        EvidenceError: naming the first record that is edited, missing, out of order or unreadable.
    """
    previous = NO_PREVIOUS
    for index, path in enumerate(sorted((folder / "records").glob("*.json"))):
        entry = _read_entry(path)
        if entry.index != index or path.name != entry.file_name:
            raise EvidenceError(
                f"{path}: record {index:02d} is expected here, found {entry.index:02d} ({entry.step}): "
                "a record was removed, added or renamed"
            )
        if entry.previous != previous:
            raise EvidenceError(
                f"{path}: it names {entry.previous[:12]}… as the record before, which has {previous[:12]}…: "
                f"record {index - 1:02d} or this one was changed"
            )
        previous = digest_file(path)
        yield entry


def check_files(folder: Path, entries: Iterable[Entry]) -> list[str]:
    """Compare every file that the records vouch for with its digest; one sentence per difference."""
    problems = []
    for entry in entries:
        for ref in entry.files:
            path = folder / ref.path
            if not path.is_file():
                problems.append(f"{ref.path}: named by record {entry.file_name} and missing")
            elif (found := digest_file(path)) != ref.sha256:
                problems.append(
                    f"{ref.path}: record {entry.file_name} names SHA-256 {ref.sha256[:12]}…, "
                    f"found {found[:12]}…"
                )
    return problems


def body_of(entries: Iterable[Entry], step: str) -> dict[str, Any]:
    """The body of the last record of a step.

    Raises:
        EvidenceError: when the dossier has no such step.
    """
    for entry in reversed(list(entries)):
        if entry.step == step:
            return entry.body
    raise EvidenceError(f"the dossier has no record of the step {step!r}")


def _read_entry(path: Path) -> Entry:
    try:
        document = json.loads(path.read_bytes())
        return Entry.model_validate(document)
    except ValueError as error:  # JSON and pydantic errors alike
        raise EvidenceError(f"{path}: not a record of schema {SCHEMA}: {error}") from error
