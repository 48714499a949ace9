"""The recipe: how the model is made. The one block that `--set` may change."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tasks.plan.answers import Answers
from tasks.plan.base import Member
from tasks.plan.differential import DpSgd
from tasks.plan.features import Features
from tasks.plan.federated import Federated
from tasks.plan.mitigation import Step
from tasks.plan.model import Model
from tasks.plan.training import Training
from tasks.plan.tuning import Tuning


class Split(Member):
    """Division of the training part."""

    validation: Annotated[float, Field(gt=0, lt=0.5)] = Field(
        0.15, description="share of training units kept for stopping and for choosing strengths"
    )


class Recipe(Member):
    """How the model is made."""

    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(
        0, description="of 32 bits: torch draws the same on a CPU for seeds that are alike in these"
    )
    split: Split = Split()
    features: Features = Field(description="how samples become tensors; its kind is the data's")
    mitigation: list[Step] = Field(
        default_factory=list, description="steps against bias, in the order in which they are made"
    )
    privacy: DpSgd | None = Field(
        None, description="what a single row may show of itself through the model; null: no promise"
    )
    answers: Answers | None = Field(
        None,
        description="noise in what callers are answered; null: answers are the model's decisions",
        # A plan that asks for none keeps the digest that it had before there was such a block.
        exclude_if=lambda answers: answers is None,
    )
    model: Model
    training: Training = Training()
    tuning: Tuning | None = None
    federated: Federated | None = None
