"""Terms of a text: whole words, in any case."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from unicodedata import category

TERM = "<term>"
"""What stands for a masked term; a tokenizer that learned here has one token for it."""


@cache
def _inside() -> str:
    r"""Of words, but not in Python's ``\w`` as in Rust's: joiners, and marks (vowels of Hindi are such)."""
    marks = (chr(code) for code in range(0x300, 0x20000) if category(chr(code)).startswith("M"))
    return rf"[\u200c\u200d{''.join(marks)}]"


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
    # What stands before a term is looked at once a term stands there: five times as fast as at every blank.
    begun = rf"(?<!\w)(?=(?i:{'|'.join(spelled)}))(?<!{_inside()})"
    return re.compile(rf"{begun}(?i:{found})(?!\w)(?!{_inside()})")
