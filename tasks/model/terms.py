"""Terms of a text: whole words, in any case."""

from __future__ import annotations

import re
from collections.abc import Sequence

TERM = "<term>"
"""What stands for a masked term; a tokenizer that learned here has one token for it."""


def pattern_of(terms: Sequence[str]) -> re.Pattern[str]:
    """Any of the terms between characters of no word; a blank in a term is any white space.

    Where one term begins with another, the longer is found: or "african american" would leave "american".
    Each is a group, named ``t`` and its position: a match's ``lastgroup`` tells which term it is, however
    it is written.

    Args:
        terms: one at least, none of them blank.
    """
    longest = sorted(range(len(terms)), key=lambda i: -len(terms[i]))
    spelled = [r"\s+".join(map(re.escape, term.split())) for term in terms]
    found = "|".join(f"(?P<t{i}>{spelled[i]})" for i in longest)
    return re.compile(rf"(?<!\w)(?:{found})(?!\w)", re.IGNORECASE)
