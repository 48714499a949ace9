"""What a replay found."""

from __future__ import annotations

from tasks.evidence.records import Record
from tasks.fairness.verdict import Judged


class Replayed(Record):
    """A replay.

    Attributes:
        checked: what was rebuilt and agrees, in words.
        mismatches: what differs, each named; empty when every number was rebuilt.
        judged: the verdicts as rebuilt.
        notes: what could not be compared to the byte, and why.
        lacking: whether not all that was asked for could be rebuilt: rows that were judged are gone, or the
            weights can't be trained again.
    """

    checked: tuple[str, ...]
    mismatches: tuple[str, ...]
    judged: tuple[Judged, ...] = ()
    notes: tuple[str, ...] = ()
    lacking: bool = False
