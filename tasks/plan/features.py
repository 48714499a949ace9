"""Features: how samples become the tensors that a model takes in. One member for each kind of data."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tasks.plan.base import Member

Width = Annotated[int, Field(ge=1, le=4096)]


class TabularFeatures(Member):
    """Categories as learned vectors, numbers by piecewise linear encoding."""

    kind: Literal["tabular"] = "tabular"
    embedding: Annotated[int, Field(ge=1, le=256)] = Field(
        16, description="width of the vector that stands for a category or a number"
    )
    bins: Annotated[int, Field(ge=1, le=256)] = Field(
        128, description="quantile bins of a number, for its piecewise linear encoding"
    )
    exclude: list[str] = Field(default_factory=list, description="columns the model never sees")


class TextFeatures(Member):
    """Texts as tokens, each a learned vector; the tokenizer learns on the fit rows alone."""

    kind: Literal["text"] = "text"
    tokenizer: Literal["word", "bpe", "wordpiece", "byte"] = Field(
        "bpe",
        description="`byte` learns nothing: a token for each byte; ignored by a pretrained model, which "
        "brings its own",
    )
    vocabulary: Annotated[int, Field(ge=16, le=200_000)] = Field(
        8000, description="tokens at most; bytes are 256"
    )
    length: Annotated[int, Field(ge=1, le=4096)] = Field(
        64, description="tokens kept of a text, from its start"
    )
    embedding: Width = 128


class ImageFeatures(Member):
    """Pixels, standardised by the mean and deviation of the fit rows."""

    kind: Literal["image"] = "image"


class AudioFeatures(Member):
    """Log-mel spectrograms, standardised by the mean and deviation of the fit rows."""

    kind: Literal["audio"] = "audio"
    mels: Annotated[int, Field(ge=8, le=256)] = 40
    window_seconds: Annotated[float, Field(gt=0, le=1)] = 0.032
    hop_seconds: Annotated[float, Field(gt=0, le=1)] = 0.016
    seconds: Annotated[float, Field(gt=0, le=60)] = Field(
        1.0, description="kept of a recording, from its start; a shorter one is filled up with silence"
    )


Features = Annotated[
    TabularFeatures | TextFeatures | ImageFeatures | AudioFeatures, Field(discriminator="kind")
]
"""How samples of each kind become tensors."""
