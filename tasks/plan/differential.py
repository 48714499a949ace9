"""Differential privacy: what may become known, through the model, of a single row that it learned from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tasks.plan.base import Member

Epsilon = Annotated[float, Field(gt=0, le=1000)]


class DpSgd(Member):
    """Differentially private gradient descent (Abadi et al. 2016): clipped gradients and Gaussian noise.

    The guarantee is for one row: with it or without it, any model comes out about as likely (by a factor of
    e to the epsilon, but for a probability of delta). It covers the model, not the figures measured with it.
    """

    kind: Literal["dp_sgd"]
    epsilon: Epsilon = Field(description="what one training may spend; 1 is strict, 8 is loose")
    delta: Annotated[float, Field(gt=0, lt=1)] = Field(
        1e-5, description="at most one in the number of rows that are learned from"
    )
    clip: Annotated[float, Field(gt=0)] = Field(
        1.0, description="Euclidean length to which the gradient of each row is cut"
    )
    noise: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="deviation of the noise in multiples of `clip`; null: the least that keeps epsilon",
    )
    budget: Epsilon | None = Field(
        None,
        description="what all trainings on the same rows may spend together, at delta; null: epsilon, which "
        "is one training",
    )
    at_once: Annotated[int, Field(ge=1)] = Field(
        256, description="rows whose gradients are held at a time; bounds memory, changes nothing else"
    )

    @property
    def total(self) -> float:
        """The budget of all trainings on the same rows."""
        return self.epsilon if self.budget is None else self.budget

    @model_validator(mode="after")
    def _budget_holds_a_training(self) -> DpSgd:
        if self.total < self.epsilon:
            raise ValueError(
                f"`budget` is what all trainings may spend: at least `epsilon` ({self.epsilon:g}) is "
                f"expected, found {self.total:g}"
            )
        return self
