"""Operations: when runs start and where they are filed. No part of any digest that decides a verdict."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tasks.plan.base import Member
from tasks.plan.explanations import Explanations
from tasks.plan.monitoring import Cron, Monitoring
from tasks.plan.review import Review
from tasks.plan.signing import Signing


class Schedule(Member):
    """When retraining starts by itself."""

    cron: Cron = Field(description="five fields, UTC: minute hour day month weekday")


class Registry(Member):
    """How the runs are filed in MLflow."""

    experiment: str | None = Field(None, description="MLflow experiment; the plan's name when absent")
    tags: dict[str, str] = Field(default_factory=dict)


class Compute(Member):
    """What a run may use."""

    threads: Annotated[int, Field(ge=1)] = 2


class Operations(Member):
    """When runs start and where they are filed."""

    schedule: Schedule | None = None
    registry: Registry = Registry()
    compute: Compute = Compute()
    explanations: Explanations | None = Field(
        Explanations(),
        description="what is explained of the frozen model; null: nothing",
        # A plan that names none keeps the digest that it had before there was such a block.
        exclude_if=lambda explanations: explanations == Explanations(),
    )
    review: Review | None = Field(
        None,
        description="who looks at drawn decisions before a version gets its alias",
        exclude_if=lambda review: review is None,
    )
    monitoring: Monitoring | None = Field(
        None,
        description="what is watched of the champion in service",
        exclude_if=lambda monitoring: monitoring is None,
    )
    signing: Signing = Field(
        Signing(),
        # A plan that lists none keeps the digest that it had before there was such a block.
        exclude_if=lambda signing: not signing.trusted,
    )
