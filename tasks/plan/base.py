"""What every part of a plan is: frozen, strict and without room for unknown keys."""

import re
from collections.abc import Iterable
from typing import Annotated
from unicodedata import normalize

from pydantic import AfterValidator, BaseModel, ConfigDict


def crossing(attribute: str) -> tuple[str, ...]:
    """Split ``"sex x race"`` into ``("sex", "race")``; a plain attribute gives one name."""
    return tuple(re.split(r"\s+x\s+", attribute.strip()))


def names_of(attributes: Iterable[str]) -> tuple[str, ...]:
    """Attributes as a sequence; of one text, the parts of the crossing that it names."""
    return crossing(attributes) if isinstance(attributes, str) else tuple(attributes)


class Member(BaseModel):
    """A part of the plan."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _as_texts_are_read(term: str) -> str:
    if not term.strip():
        raise ValueError("a term of one character at least is expected, found a blank one")
    return normalize("NFKC", term)


Term = Annotated[str, AfterValidator(_as_texts_are_read)]
"""A term that is looked for in texts, in Unicode's form NFKC as these are: else it would be found in none."""
