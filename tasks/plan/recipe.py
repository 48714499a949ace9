"""The recipe: how the model is made. The one block that `--set` may change."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tasks.plan.base import Member


class Split(Member):
    """Division of the training part."""

    validation: Annotated[float, Field(gt=0, lt=0.5)] = Field(
        0.15, description="share of training units kept for stopping and for choosing strengths"
    )


class Reweighing(Member):
    """Kamiran and Calders' reweighing of group x label, before training."""

    kind: Literal["reweighing"]
    attribute: str = Field(description="a protected attribute, or a crossing: sex x race")
    strength: Annotated[float, Field(ge=0, le=1)] = Field(
        1.0, description="0 leaves the weights at 1, 1 makes group and label independent"
    )


class MLP(Member):
    """Perceptron on embedded categories and standardised numbers."""

    kind: Literal["mlp"]
    hidden: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)] = Field(
        default_factory=lambda: [128, 64]
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    embedding: Annotated[int, Field(ge=1, le=256)] = Field(
        16, description="width of the vector that stands for a category or a number"
    )
    members: Annotated[int, Field(ge=1, le=32)] = Field(
        1, description="perceptrons trained side by side, whose probabilities are averaged"
    )
    bins: Annotated[int, Field(ge=1, le=256)] = Field(
        128, description="quantile bins of a number, for its piecewise linear encoding"
    )
    exclude: list[str] = Field(default_factory=list, description="columns the model never sees")


class Adam(Member):
    """Adam with decoupled weight decay (AdamW)."""

    kind: Literal["adamw"] = "adamw"
    rate: Annotated[float, Field(gt=0)] = 3e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4


class Cosine(Member):
    """Cosine decay to zero after a linear warm-up."""

    kind: Literal["cosine"] = "cosine"
    warmup_epochs: Annotated[float, Field(ge=0)] = 1.0


class Training(Member):
    """The training loop."""

    epochs: Annotated[int, Field(ge=1)] = 12
    batch: Annotated[int, Field(ge=1)] = 512
    optimizer: Adam = Adam()
    schedule: Cosine = Cosine()
    patience: Annotated[int, Field(ge=1)] = Field(
        4, description="epochs without a better validation loss before training stops"
    )
    clip_norm: Annotated[float, Field(gt=0)] | None = 1.0


class Recipe(Member):
    """How the model is made."""

    seed: int = 0
    split: Split = Split()
    mitigation: list[Reweighing] = Field(default_factory=list)
    model: MLP
    training: Training = Training()
