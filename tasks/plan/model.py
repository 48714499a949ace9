"""The model: its structure, one member for each. What it can take in is said by `takes`."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from tasks.plan.base import Member
from tasks.plan.features import Width
from tasks.plan.source import Source

Layers = Annotated[list[Width], Field(min_length=1)]
Dropout = Annotated[float, Field(ge=0, lt=1)]
Initial = Annotated[
    Literal["torch", "xavier", "he", "orthogonal"],
    Field(
        description="how weights are drawn: as torch does, Glorot and Bengio 2010, He 2015 (for ReLU), Saxe "
        "2014. The last three draw each matrix by itself: each member's, number column's and recurrent "
        "gate's, attention's query, key and value, a convolution over what its window covers; biases begin "
        "at 0, the vectors of tokens, categories and places as with torch"
    ),
]


class MLP(Member):
    """Perceptron; an image or a spectrogram is laid out as one vector."""

    takes: ClassVar[tuple[str, ...]] = ("tabular", "image", "audio")
    kind: Literal["mlp"]
    hidden: Layers = Field(default_factory=lambda: [128, 64])
    dropout: Dropout = 0.2
    members: Annotated[int, Field(ge=1, le=32)] = Field(
        1, description="perceptrons trained side by side, whose probabilities are averaged"
    )
    initial: Initial = "torch"


class CNN(Member):
    """Convolutions of 3 x 3, normalised, halved in size after each, then a perceptron."""

    takes: ClassVar[tuple[str, ...]] = ("image", "audio")
    kind: Literal["cnn"]
    channels: Layers = Field(default_factory=lambda: [32, 64])
    hidden: list[Width] = Field(default_factory=lambda: [128])
    norm: Literal["batch", "group", "none"] = Field(
        "batch",
        description="over the rows of a batch, which one process must hold (`workers: 1`); of each row by "
        "itself, over its channels in up to 4 groups; or none",
    )
    dropout: Dropout = 0.2
    initial: Initial = "torch"


class RNN(Member):
    """A recurrent network over tokens, the frames of a spectrogram or the columns of an image."""

    takes: ClassVar[tuple[str, ...]] = ("text", "audio", "image")
    kind: Literal["rnn"]
    cell: Literal["rnn", "lstm", "gru"] = "lstm"
    width: Width = 128
    layers: Annotated[int, Field(ge=1, le=8)] = 1
    directions: Literal[1, 2] = Field(2, description="2 reads from both ends")
    pool: Literal["last", "mean", "max"] = Field("max", description="which of the steps' states are taken")
    dropout: Dropout = 0.2
    initial: Initial = "torch"


class Transformer(Member):
    """A Transformer encoder (normalisation first) over tokens, frames or columns; mean over the steps."""

    takes: ClassVar[tuple[str, ...]] = ("text", "audio", "image")
    kind: Literal["transformer"]
    width: Width = 128
    heads: Annotated[int, Field(ge=1, le=64)] = 4
    layers: Annotated[int, Field(ge=1, le=24)] = 2
    feedforward: Width = 256
    dropout: Dropout = 0.1
    initial: Initial = "torch"

    @model_validator(mode="after")
    def _heads_divide(self) -> Transformer:
        if self.width % self.heads:
            raise ValueError(f"`width` must be a multiple of `heads`, found {self.width} and {self.heads}")
        return self


WEIGHTS, TOKENIZER = "model.safetensors", "tokenizer.json"


class Pretrained(Member):
    """A pretrained BERT encoder with its own tokenizer, fine-tuned: the head first, then the layers."""

    takes: ClassVar[tuple[str, ...]] = ("text",)
    kind: Literal["pretrained"]
    files: Annotated[list[Source], Field(min_length=2, max_length=2)] = Field(
        description=f"where {WEIGHTS} and {TOKENIZER} are had"
    )
    layers: Annotated[int, Field(ge=1, le=48)] = Field(
        6, description="of the encoder, as its weights have it"
    )
    heads: Annotated[int, Field(ge=1, le=64)] = 12
    feedforward: Annotated[int, Field(ge=1)] = 1536
    positions: Annotated[int, Field(ge=1)] = 512
    head_epochs: Annotated[int, Field(ge=0)] = Field(
        1, description="epochs in which the new head alone learns, before the layers do"
    )
    frozen_layers: Annotated[int, Field(ge=0)] = Field(
        0, description="lowest layers that never learn, the vectors of tokens with them"
    )
    dropout: Dropout = 0.1
    initial: Literal["torch"] = Field("torch", description="of the head; the layers keep their weights")

    @model_validator(mode="after")
    def _files_are_named(self) -> Pretrained:
        names = sorted(file.name for file in self.files)
        if names != [WEIGHTS, TOKENIZER]:
            raise ValueError(f"`files` must be {WEIGHTS} and {TOKENIZER}, found {', '.join(names)}")
        if self.frozen_layers > self.layers:
            raise ValueError(f"`frozen_layers` is at most {self.layers}, found {self.frozen_layers}")
        return self


Model = Annotated[MLP | CNN | RNN | Transformer | Pretrained, Field(discriminator="kind")]
"""The structures."""
