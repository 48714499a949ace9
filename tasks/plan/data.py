"""The data: what each sample is, what describes it and what is predicted of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from tasks.plan.base import Member, Term
from tasks.plan.source import Column, CsvFormat, FilesFormat, IdxFormat, JsonFormat, ParquetFormat, Source


class Classes(Member):
    """A class is predicted."""

    column: str
    values: Annotated[list[str], Field(min_length=2, description="the classes, in order")]
    positive: str | None = Field(None, description="the class whose rates are compared")
    spellings: dict[str, str] = Field(
        default_factory=dict, description="other spellings in the source, each with its class"
    )

    @model_validator(mode="after")
    def _classes_are_known(self) -> Classes:
        if twice := sorted({value for value in self.values if self.values.count(value) > 1}):
            raise ValueError(f"each class is expected once under `values`, found {twice} several times")
        if self.positive is not None and self.positive not in self.values:
            raise ValueError(f"positive {self.positive!r} is none of {self.values}")
        if strange := sorted(set(self.spellings.values()) - set(self.values)):
            raise ValueError(f"spellings lead to {strange}, which are none of {self.values}")
        if len(self.values) == 2 and self.positive is None:
            raise ValueError("with two classes `positive` must name one")
        return self


class Number(Member):
    """A number is predicted: the audit compares errors, not rates."""

    type: Literal["number"]
    column: str
    minimum: float = Field(description="smallest value that may occur; bounds the error of an interval")
    maximum: float = Field(description="largest value that may occur")

    @model_validator(mode="after")
    def _range_is_open(self) -> Number:
        if self.minimum >= self.maximum:
            raise ValueError(
                f"minimum below maximum is expected, found {self.minimum:g} and {self.maximum:g}"
            )
        return self


def _label_type(value: Any) -> str:
    kind = value.get("type") if isinstance(value, Mapping) else getattr(value, "type", None)
    return "number" if kind == "number" else "classes"


Label = Annotated[
    Annotated[Classes, Tag("classes")] | Annotated[Number, Tag("number")], Discriminator(_label_type)
]
"""What is predicted: one of some classes, or a number (`type: number`)."""


SOUND = "sound"
"""What the column `form` says of a sample that can be used; of others it says what is wrong."""
FORM = "form"


class Dataset(Member, ABC):
    """What every kind of data has.

    Validation, representativeness and fairness see the columns alone: those that a table has, or what
    describes a text, an image or a recording.
    """

    sources: Annotated[list[Source], Field(min_length=1)]
    label: Label

    @abstractmethod
    def described(self) -> Mapping[str, Column]:
        """The columns that every sample is described by, the label's not among them."""

    @property
    def payload(self) -> str | None:
        """The column that a model takes in instead of the described ones; a table has none."""
        return None

    @property
    def inputs(self) -> tuple[str, ...]:
        """What a model takes in, by column."""
        return (self.payload,) if self.payload else tuple(self.described())

    @model_validator(mode="after")
    def _label_is_not_an_input(self) -> Self:
        if self.label.column in (*self.described(), self.payload):
            raise ValueError(
                f"label column {self.label.column!r} is also listed under `columns`: "
                "leave it to `label`, a model must not see it"
            )
        return self


class Tabular(Dataset):
    """Rows and columns, from CSV or Parquet."""

    kind: Literal["tabular"]
    format: Annotated[CsvFormat | JsonFormat | ParquetFormat, Field(discriminator="type")]
    columns: Annotated[dict[str, Column], Field(min_length=2)]

    def described(self) -> Mapping[str, Column]:
        """The columns, as declared."""
        return self.columns


class Text(Dataset):
    """Texts, a column of a CSV, JSON lines or Parquet file."""

    kind: Literal["text"]
    format: Annotated[CsvFormat | JsonFormat | ParquetFormat, Field(discriminator="type")]
    text: str = Field("text", description="column of the texts")
    columns: dict[str, Column] = Field(
        default_factory=dict, description="other columns that are kept; the rest are left out"
    )
    identities: dict[str, dict[str, Annotated[list[Term], Field(min_length=1)]]] = Field(
        default_factory=dict,
        description="columns made of terms in the text: column -> level -> terms (whole words, any case)",
    )
    frames: dict[str, str] = Field(
        default_factory=dict,
        description="columns of the text without an identity's terms: column -> that identity; texts that "
        "differ in the term alone have one frame, and are no independent rows",
    )
    maximum_characters: Annotated[int, Field(ge=1)] = Field(
        20_000, description="a longer text is refused: it is no sample but a mistake"
    )

    @model_validator(mode="after")
    def _frames_have_terms(self) -> Self:
        if strange := sorted(set(self.frames.values()) - set(self.identities)):
            raise ValueError(f"frames are made of {', '.join(strange)}, which `identities` does not name")
        return self

    def described(self) -> Mapping[str, Column]:
        """The kept columns, the identities, the frames and what describes a text."""
        share = Column(type="number", minimum=0, maximum=1)
        return {
            FORM: Column(type="category", values=[SOUND]),
            "characters": Column(type="integer", minimum=1),
            "words": Column(type="integer", minimum=0),
            "distinct_share": share,
            "capital_share": share,
            **{
                name: Column(type="category", values=[*levels, NONE, SEVERAL])
                for name, levels in self.identities.items()
            },
            **{name: Column(type="category") for name in self.frames},
            **self.columns,
        }

    @property
    def payload(self) -> str:
        """The texts."""
        return self.text


NONE, SEVERAL = "none", "several"
"""Levels of an identity column: no term was found, or terms of more than one level."""


class Image(Dataset):
    """Images of one size."""

    kind: Literal["image"]
    format: Annotated[IdxFormat | FilesFormat, Field(discriminator="type")]
    height: Annotated[int, Field(ge=1, le=4096)]
    width: Annotated[int, Field(ge=1, le=4096)]
    channels: Literal[1, 3] = 1
    fit: Literal["refuse", "resize"] = Field(
        "refuse", description="what becomes of images of another size; other channels are always refused"
    )
    columns: dict[str, Column] = Field(default_factory=dict, description="columns beside the image")

    def described(self) -> Mapping[str, Column]:
        """The columns beside the image and what describes it."""
        return {
            FORM: Column(type="category", values=[SOUND]),
            "brightness": Column(type="number", minimum=0, maximum=1),
            "contrast": Column(type="number", minimum=0, maximum=1),
            **self.columns,
        }

    @property
    def payload(self) -> str:
        """Pixels, uint8, row by row, the channels of a pixel together."""
        return "image"


class Audio(Dataset):
    """Recordings of one sampling rate, one channel."""

    kind: Literal["audio"]
    format: FilesFormat
    rate: Annotated[int, Field(ge=1000, le=192_000)] = Field(description="samples a second")
    fit: Literal["refuse", "resample"] = Field(
        "refuse", description="what becomes of recordings of another rate"
    )
    maximum_seconds: Annotated[float, Field(gt=0)] = Field(60.0, description="a longer recording is refused")
    columns: dict[str, Column] = Field(default_factory=dict, description="columns beside the recording")

    def described(self) -> Mapping[str, Column]:
        """The columns beside the recording and what describes it."""
        return {
            FORM: Column(type="category", values=[SOUND]),
            "seconds": Column(type="number", minimum=0),
            "loudness": Column(type="number", maximum=0),
            **self.columns,
        }

    @property
    def payload(self) -> str:
        """Samples, int16, one channel."""
        return "audio"


Data = Annotated[Tabular | Text | Image | Audio, Field(discriminator="kind")]
"""The kinds of data."""
