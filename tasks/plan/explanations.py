"""Explanations: how much of a run they may take, of how many rows, and what may never have to differ."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tasks.plan.base import Member


class Explanations(Member):
    """What is explained of the frozen model, on validation rows; seeded by the recipe."""

    share: Annotated[float, Field(gt=0, le=0.5)] = Field(
        0.2, description="of the run's work and time; less is explained where it does not suffice"
    )
    decisions: Annotated[int, Field(ge=1, le=100)] = Field(6, description="single decisions explained")
    rows: Annotated[int, Field(ge=20, le=10_000)] = Field(200, description="rows summarised, by group too")
    background: Annotated[int, Field(ge=5, le=1000)] = Field(
        30, description="training rows that stand for a column whose value is taken away"
    )
    immutable: tuple[str, ...] = Field(
        (), description="columns that no counterfactual changes, beside those of protected attributes"
    )
