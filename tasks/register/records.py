"""What registration hands on."""

from __future__ import annotations

from pydantic import Field

from tasks.evaluate.records import Paired
from tasks.evidence.records import Record


class Awaited(Record):
    """A human review that stands between a version and its alias.

    Attributes:
        alias: champion or challenger: what the version gets once it is approved.
        author: who started the run, and so can't be one of its reviewers.
    """

    alias: str
    author: str


class Registration(Record):
    """A model version made, and what became of it.

    Attributes:
        ending: Registered or Undecided.
        model: the registered model's name.
        version: its number.
        model_uri: where the version's files are.
        alias: champion or challenger; None for an undecided version, and for one that awaits its review.
        because: in words.
        champion_before: the version that was champion, None if there was none.
        paired: the comparison with it on the same test rows, if one was made.
        served_rows: test rows that the registered model predicted as they were judged.
        files: path -> SHA-256 of every file that was registered, the code that predicts included.
        awaits: the review that is to come; absent where none is asked for.
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
    files: dict[str, str] = Field(default_factory=dict)
    awaits: Awaited | None = Field(None, exclude_if=lambda awaits: awaits is None)
