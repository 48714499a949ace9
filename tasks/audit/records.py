"""The records of an audit: what was asked, what was read, what was judged and by which versions."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from platform import python_version
from typing import Any, Literal

from tasks.audit.laws import Laws
from tasks.evidence.digest import canonical_json, digest_of
from tasks.evidence.environment import code_digest
from tasks.evidence.records import FileRef, Record
from tasks.fairness.cube import Cube
from tasks.fairness.verdict import Judged, Verdicts
from tasks.plan.judgement import Limit

FORMAT = "assay-audit/1"


class Columns(Record):
    """Which column of the file is what.

    Attributes:
        label: true classes.
        prediction: predicted classes.
        groups: attributes whose levels are compared, at least one.
        score: probability of the positive class, in [0, 1].
        weight: how many rows of the population a row stands for, above 0.
        unit: the sampling unit; rows when None.
    """

    label: str
    prediction: str
    groups: tuple[str, ...]
    score: str | None = None
    weight: str | None = None
    unit: str | None = None

    def roles(self) -> Iterator[tuple[str, str]]:
        """Each option of the command line with its column."""
        yield "--label", self.label
        yield "--prediction", self.prediction
        for option, column in (("--score", self.score), ("--weight", self.weight), ("--unit", self.unit)):
            if column is not None:
                yield option, column
        yield from (("--group", column) for column in self.groups)

    @property
    def names(self) -> list[str]:
        """All columns, in the order of the options."""
        return [column for _, column in self.roles()]


class Limits(Record):
    """What is judged, and where the limits come from.

    Attributes:
        limits: as a plan writes them.
        file: the file they were read from; None for the conventional limits.
    """

    limits: tuple[Limit, ...]
    file: FileRef | None

    @property
    def origin(self) -> str:
        """In words, for every output."""
        return "conventional, not from a plan" if self.file is None else f"from {self.file.path}"


class Versions(Record):
    """What an audit was made by; `code` is `tasks.evidence.environment.code_digest`."""

    assay: str
    code: str
    python: str
    numpy: str
    scipy: str
    polars: str

    @classmethod
    def here(cls) -> Versions:
        """Those that are running."""
        named = {"assay": version("assay-audit"), "code": code_digest(), "python": python_version()}
        return cls(**named, **{name: version(name) for name in ("numpy", "scipy", "polars")})


class Audit(Record):
    """An audit, whole: it holds counts and no row, and rebuilds every verdict.

    Attributes:
        format: of this record.
        file: the file that was read; its path as it was given.
        rows: rows read, at least one.
        columns: which column is what.
        positive: the class whose rates are compared; None where there are more than two.
        notes: how spellings were brought together, and what else was done to the values.
        limits: what was judged.
        alpha: the level.
        cube: the counts, as `Cube.to_json` writes them.
        judged: one record a limit.
        laws: tables in the shape of a law.
        made_by: the versions.
    """

    format: Literal["assay-audit/1"] = "assay-audit/1"
    file: FileRef
    rows: int
    columns: Columns
    positive: str | None
    notes: tuple[str, ...]
    limits: Limits
    alpha: float
    cube: dict[str, Any]
    judged: tuple[Judged, ...]
    laws: Laws
    made_by: Versions

    @property
    def verdicts(self) -> Verdicts:
        """All limits together."""
        return Verdicts(judged=self.judged)

    @property
    def counted(self) -> Cube:
        """The cube.

        Raises:
            ValueError: for counts that are none.
        """
        return Cube.from_json(canonical_json(self.cube))

    @property
    def digest(self) -> str:
        """SHA-256 of the record as canonical JSON."""
        return digest_of(self.model_dump(mode="json"))
