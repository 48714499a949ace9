"""What registration hands on."""

from __future__ import annotations

from tasks.evaluate.records import Paired
from tasks.evidence.records import Record


class Registration(Record):
    """A model version made, and what became of it.

    Attributes:
        ending: Registered or Undecided.
        model: the registered model's name.
        version: its number.
        model_uri: where the version's files are.
        alias: champion or challenger; None for an undecided version.
        because: in words.
        champion_before: the version that was champion, None if there was none.
        paired: the comparison with it on the same test rows, if one was made.
        served_rows: test rows that the registered model predicted as they were judged.
    """

    ending: str
    model: str
    version: str
    model_uri: str
    alias: str | None
    because: str
    champion_before: str | None
    paired: Paired | None
    served_rows: int
