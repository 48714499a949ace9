"""Names that MLflow takes, made so that two groups never share one."""

from __future__ import annotations

import re
from hashlib import sha256

LONGEST = 250  # characters of a metric's or parameter's name
FORBIDDEN = re.compile(r"[^\w.\- :]")  # within one part; MLflow takes [/\w.\- :]
SPELLED = {
    "+": " and over",
    ">": "over ",
    "<": "under ",
    "=": " is ",
    "&": " and ",
}


def key(*parts: str) -> str:
    """Join ``parts`` with slashes into a metric's or parameter's name.

    Common signs are spelled out (``65+`` -> ``65 and over``). A part that still had to change ends with
    the first six hex digits of its SHA-256, so that different groups keep different names.
    """
    joined = "/".join(_part(part) for part in parts)
    if len(joined) <= LONGEST:
        return joined
    return f"{joined[: LONGEST - 7]}.{_mark(joined)}"


def _part(part: str) -> str:
    spelled = part
    for sign, words in SPELLED.items():
        spelled = spelled.replace(sign, words)
    plain = FORBIDDEN.sub("_", spelled).strip()
    if plain == spelled.strip() and plain.strip("."):
        return plain
    return f"{plain.strip('.') or '_'}.{_mark(part)}"


def _mark(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:6]
