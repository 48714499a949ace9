"""Tombstones: whose rows are left out of every later version, by keyed hashes alone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from tasks.errors import SourceError
from tasks.evidence.digest import write_atomically
from tasks.evidence.records import Record
from tasks.plan.deidentification import FORGOTTEN
from tasks.privacy.keys import Key, person_mark

By = Literal["unit", "row"]


class Tombstone(Record):
    """One person's.

    Attributes:
        mark: HMAC of the value under the plan's key: it tells nobody whose it is.
        by: whether ``mark`` is of a unit's value, or of a row's digest.
        on: the day, as YYYY-MM-DD.
    """

    mark: str
    by: By
    on: str


class Tombstones(Record):
    """The file ``forgotten.json`` beside a plan.

    Attributes:
        fingerprint: of the key; with another, nobody would be left out.
        gone: sorted by mark.
    """

    version: Literal[1] = 1
    fingerprint: str
    gone: tuple[Tombstone, ...]

    def with_one(self, by: By, mark: str, on: str) -> Tombstones:
        """The same and one more; a person forgotten twice has one."""
        known = {one.mark: one for one in self.gone}
        known.setdefault(mark, Tombstone(mark=mark, by=by, on=on))
        return self.model_copy(update={"gone": tuple(known[mark] for mark in sorted(known))})

    def among(self, key: Key, by: By, values: Iterable[str | None]) -> list[bool]:
        """Which of these units, or row digests, are forgotten."""
        marks = {one.mark for one in self.gone if one.by == by}
        if not marks:
            return [False for _ in values]
        listed = list(values)
        gone = {value for value in set(listed) if value is not None and person_mark(key, by, value) in marks}
        return [value in gone for value in listed]


def read_tombstones(beside: Path) -> Tombstones | None:
    """The tombstones beside a plan, or None.

    Raises:
        SourceError: for a file that is none: with it ignored, persons would come back.
    """
    path = beside / FORGOTTEN
    if not path.is_file():
        return None
    try:
        return Tombstones.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise SourceError(
            f"{path}: no readable list of tombstones ({error.error_count()} problems); restore it from git"
        ) from None


def write_tombstones(beside: Path, stones: Tombstones) -> None:
    """Write the file, whole or not at all."""
    write_atomically(beside / FORGOTTEN, (stones.model_dump_json(indent=2) + "\n").encode())
