"""What every part of a plan is: frozen, strict and without room for unknown keys."""

from pydantic import BaseModel, ConfigDict


class Member(BaseModel):
    """A part of the plan."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
