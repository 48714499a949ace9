"""What every part of a plan is: frozen, strict and without room for unknown keys."""

import re

from pydantic import BaseModel, ConfigDict


def crossing(attribute: str) -> tuple[str, ...]:
    """Split ``"sex x race"`` into ``("sex", "race")``; a plain attribute gives one name."""
    return tuple(re.split(r"\s+x\s+", attribute.strip()))


class Member(BaseModel):
    """A part of the plan."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
