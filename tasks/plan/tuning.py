"""Tuning: which settings of the recipe are searched, how long, and what counts as better."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from tasks.plan.base import Member

FIXED = ("seed", "split", "tuning")
"""Keys of the recipe that can't be searched: they say on which rows trials are compared."""


class Between(Member):
    """A number within a range."""

    low: float
    high: float
    scale: Literal["linear", "log"] = "linear"
    type: Literal["number", "integer"] = "number"

    @model_validator(mode="after")
    def _is_a_range(self) -> Between:
        if not self.low < self.high:
            raise ValueError(f"`low` below `high` is expected, found {self.low:g} and {self.high:g}")
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"on a log scale `low` lies above 0, found {self.low:g}")
        if self.type == "integer" and not (self.low.is_integer() and self.high.is_integer()):
            raise ValueError(f"whole numbers are expected, found {self.low:g} and {self.high:g}")
        return self

    def ends(self) -> list[Any]:
        """The outermost values."""
        whole = self.type == "integer"
        return [int(self.low), int(self.high)] if whole else [self.low, self.high]


class OneOf(Member):
    """One of some values, of any shape that the key takes."""

    values: Annotated[list[Any], Field(min_length=2)]

    def ends(self) -> list[Any]:
        """All values."""
        return self.values


def _form(value: Any) -> str:
    listed = "values" in value if isinstance(value, dict) else isinstance(value, OneOf)
    return "one of" if listed else "between"


Setting = Annotated[
    Annotated[Between, Tag("between")] | Annotated[OneOf, Tag("one of")], Discriminator(_form)
]


class Tuning(Member):
    """A search over the recipe, on validation rows alone."""

    trials: Annotated[int, Field(ge=2, le=10_000)]
    search: Annotated[dict[str, Setting], Field(min_length=1)] = Field(
        description="key below `recipe` (training.optimizer.rate) -> what it may be"
    )
    aim: Literal["within_limits", "pareto"] = Field(
        "within_limits",
        description="the best performance that keeps the gate's limits on validation rows, or the front of "
        "performance against the worst gap, of which the best within limits is chosen",
    )
    metric: Literal["accuracy", "auc", "macro_f1", "r2"] | None = Field(
        None, description="performance; the first that the judgement demands when absent"
    )
    headroom: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.2, description="share of every limit that is left free: a gap on the limit itself can't be shown"
    )

    @field_validator("search")
    @classmethod
    def _keys_may_change(cls, search: dict[str, Setting]) -> dict[str, Setting]:
        for key in search:
            if key.partition(".")[0] in FIXED:
                raise ValueError(f"{key!r} can't be searched: it says on which rows trials are compared")
        return search
