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
from tasks.privacy.keys import Key
from tasks.privacy.tokens import normalised

By = Literal["unit", "row"]


class Tombstone(Record):
    """One person's.

    Attributes:
        mark: HMAC of the normalised value under the plan's key: it tells nobody whose it is. Early ones are
            of the value as it was given, and are understood.
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

    def with_one(self, key: Key, by: By, value: str, on: str, column: str = "") -> Tombstones:
        """The same and one more; a person forgotten twice has one, of the first day.

        Args:
            key: the plan's.
            by: what ``value`` is.
            value: a unit, or a row's digest, in any spelling.
            on: the day, as YYYY-MM-DD.
            column: of the unit.
        """
        mark, early = person_mark(key, by, value, column), _early_mark(key, by, value)
        known = {one.mark: one for one in self.gone}
        on = min([on, *(known[each].on for each in (mark, early) if each in known)])
        known.pop(early, None)
        known[mark] = Tombstone(mark=mark, by=by, on=on)
        return self.model_copy(update={"gone": tuple(known[mark] for mark in sorted(known))})

    def among(self, key: Key, by: By, values: Iterable[str | None], column: str = "") -> list[bool]:
        """Which of these units of a column, or row digests, are forgotten, however each is spelled."""
        listed = list(values)
        marks = {one.mark for one in self.gone if one.by == by}
        if not marks:
            return [False] * len(listed)
        plain = {value: normalised(column, value) for value in set(listed) if value is not None}
        gone = {
            plain[value]
            for value in plain
            if not marks.isdisjoint((person_mark(key, by, value, column), _early_mark(key, by, value)))
        }
        return [value is not None and plain[value] in gone for value in listed]


def person_mark(key: Key, by: By, value: str, column: str = "") -> str:
    """The keyed hash by which a tombstone names a unit of a column, or a row.

    Spellings that share a token (:func:`tasks.privacy.tokens.token` of the same column) share the mark.
    """
    return _mark(key, by, normalised(column, value))


def _early_mark(key: Key, by: By, value: str) -> str:
    """The mark of one spelling alone, which the first tombstones have."""
    return _mark(key, by, value.strip())


def _mark(key: Key, by: By, value: str) -> str:
    return key.mark("forgotten", f"{by}\0{value}".encode()).hex()


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
