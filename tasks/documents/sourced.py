"""Values that know where in the evidence they stand: all that a page may show of a run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from tasks.documents.said import said
from tasks.errors import EvidenceError
from tasks.evidence.digest import digest_file
from tasks.evidence.dossier import check_files, read_chain


@dataclass(frozen=True)
class Sourced:
    """A value of a JSON file of the dossier, with its place there.

    ``one.measurement`` and ``one["groups"]`` are the values below it, with theirs; a key that is not there is
    undefined, and a template that asks for it fails.

    Attributes:
        plain: the value as plain JSON. (No attribute is called as a record's key may be.)
        in_file: path of the file below the dossier's folder.
        in_digest: SHA-256 of the file.
        at: JSON Pointer (RFC 6901) to the value.
    """

    plain: Any
    in_file: str
    in_digest: str
    at: str = ""

    def __getattr__(self, name: str) -> Sourced:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self[name]
        except (KeyError, TypeError, ValueError) as error:
            raise AttributeError(name) from error

    def __getitem__(self, key: str | int) -> Sourced:
        place = f"{self.at}/{str(key).replace('~', '~0').replace('/', '~1')}"
        return Sourced(self.plain[key], self.in_file, self.in_digest, place)

    def __iter__(self) -> Iterator[Sourced]:
        if isinstance(self.plain, dict):
            return (self[key] for key in self.plain)
        return (self[index] for index in range(len(self.plain)))

    def __bool__(self) -> bool:
        return bool(self.plain)

    def __eq__(self, other: object) -> bool:
        return bool(self.plain == (other.plain if isinstance(other, Sourced) else other))

    def __hash__(self) -> int:
        return hash((self.in_file, self.at))

    def __html__(self) -> str:
        return self.shown("text")

    def shown(self, how: str) -> Markup:
        """The value as one way of saying it has it, marked with where it comes from.

        Args:
            how: a name of :data:`tasks.documents.said.WAYS`.
        """
        text = said(how, self.plain, self.at)
        source = f"{self.in_file}#{self.at}"
        return Markup('<data value="{}" data-as="{}" data-from="{}" data-sha256="{}">{}</data>').format(
            _plain(self.plain), how, source, self.in_digest, escape(text)
        )


def _plain(value: Any) -> str:
    """What the element's own value says: the number itself; nothing for a table."""
    return "" if isinstance(value, (dict, list)) or value is None else str(value)


class Evidence:
    """A dossier's records and JSON files, opened for a page.

    Attributes:
        folder: the dossier's.
    """

    def __init__(self, folder: Path) -> None:
        """Read the chain.

        Raises:
            EvidenceError: there is none, it is broken, or a file that it names is missing or altered.
        """
        self.folder = folder
        entries = list(read_chain(folder))
        if not entries:
            raise EvidenceError(
                f"{folder}: no record is there to draw a page from; a page without evidence says nothing. "
                "Give the dossier's folder, with records/ in it"
            )
        if problems := check_files(folder, entries):
            raise EvidenceError("\n".join(problems))
        self._last = {entry.step: entry.file_name for entry in entries}
        self.records = [self.json(f"records/{entry.file_name}") for entry in entries]

    def __contains__(self, step: str) -> bool:
        return step in self._last

    def __getitem__(self, step: str) -> Sourced:
        """What the last record of a step found.

        Raises:
            KeyError: the run had no such step.
        """
        return self.json(f"records/{self._last[step]}").body

    def json(self, path: str) -> Sourced:
        """A JSON file of the dossier.

        Raises:
            EvidenceError: it is missing.
        """
        return self._read(path, json.loads)

    def text(self, path: str) -> Sourced:
        """The whole of a text file of the dossier, as one value.

        Raises:
            EvidenceError: it is missing.
        """
        return self._read(path, str)

    def _read(self, path: str, parse: Callable[[str], Any]) -> Sourced:
        file = self.folder / path
        if not file.is_file():
            raise EvidenceError(f"{file}: a page draws from it, and it is missing")
        return Sourced(parse(file.read_text(encoding="utf-8")), path, digest_file(file))
