"""What every part of a plan is: frozen, strict and without room for unknown keys."""

import re
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict


def crossing(attribute: str) -> tuple[str, ...]:
    """Split ``"sex x race"`` into ``("sex", "race")``; a plain attribute gives one name."""
    return tuple(re.split(r"\s+x\s+", attribute.strip()))


def names_of(attributes: Iterable[str]) -> tuple[str, ...]:
    """Attributes as a sequence; of one text, the parts of the crossing that it names."""
    return crossing(attributes) if isinstance(attributes, str) else tuple(attributes)


class Member(BaseModel):
    """A part of the plan."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
