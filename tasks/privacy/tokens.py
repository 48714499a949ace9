"""Tokens that stand for values: random-looking, equal for equal values, not reversible without the key."""

from __future__ import annotations

import base64
import re
import unicodedata

from tasks.privacy.keys import Key

CODE_BYTES = 10
NUMBERS = frozenset({"PHONE", "CARD", "IBAN", "NATIONAL"})
"""Kinds whose blanks and dashes mean nothing."""
MADE = r"<\w+_[a-z2-7]{16}>"
"""What a token looks like: :data:`CODE_BYTES` in base32."""
WHOLE = re.compile(r"(\d+)\.0")
"""As pandas writes a column of whole numbers of which one was missing."""


def token(key: Key, kind: str, value: str) -> str:
    """``<KIND_CODE>``: 80 bits of HMAC-SHA256 over kind and normalised value, in lower-case base32.

    Two of a million different values share a token with a probability below 1e-12.

    Args:
        key: of the plan.
        kind: of the value, or the column's name.
        value: as found.
    """
    name = re.sub(r"\W+", "_", kind)
    digest = key.mark("token", f"{name}\0{normalised(name, value)}".encode())
    return f"<{name}_{base64.b32encode(digest[:CODE_BYTES]).decode().lower()}>"


def normalised(kind: str, value: str) -> str:
    """A value without what spellings of it differ in: width, case, blanks; for numbers all punctuation.

    7.0 is 7: in one file a person's number may be whole, and in the next, of the same data set, not.
    """
    plain = unicodedata.normalize("NFKC", value).casefold()
    if kind in NUMBERS:
        return re.sub(r"[\W_]+", "", plain)
    plain = " ".join(plain.split())
    return whole[1] if (whole := WHOLE.fullmatch(plain)) else plain
