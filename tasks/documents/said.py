"""The ways in which a page says a value: one table, which the check of a finished page reads too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tasks.audit.figures import rates_drawn
from tasks.fairness.verdict import Judged
from tasks.fairness.words import by, decided_by, headed, limit_of, measured, number, words

HASH = 16


def said(how: str, value: Any, pointer: str) -> str:
    """A value in words.

    Args:
        how: a name of :data:`WAYS`.
        value: plain JSON.
        pointer: where it stands; its last part is a name that may be said too.

    Raises:
        KeyError: there is no such way.
    """
    if how == "key":
        return pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
    return WAYS[how](value)


def _judged(say: Callable[[Judged], str]) -> Callable[[Any], str]:
    return lambda value: say(Judged.model_validate(value))


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "none" if value is None else str(value)


def _count(value: Any) -> str:
    return "undefined" if value is None else f"{value:,}"


def _percent(value: Any) -> str:
    return "undefined" if value is None else f"{value:.1%}"


def _flat(value: Any, *place: str) -> list[str]:
    if isinstance(value, dict) and value:
        return [line for name, inner in value.items() for line in _flat(inner, *place, name)]
    if isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        return [line for index, inner in enumerate(value) for line in _flat(inner, *place, str(index))]
    if value is None or value in ({}, []):
        return []
    return [f"{'.'.join(place)}: {_text(value)}"]


def _first(value: Any) -> str:
    return str(value)[:HASH]


WAYS: Mapping[str, Callable[[Any], str]] = {
    "text": _text,
    "number": number,
    "exact": lambda value: "undefined" if value is None else f"{value:g}",
    "count": _count,
    "percent": _percent,
    "words": words,
    "headed": headed,
    "hash": _first,
    "length": lambda value: f"{len(value):,}",
    "unmet": lambda value: f"{sum(not one['met'] for one in value):,}",
    "drifted": lambda value: f"{sum(one['drifted'] for one in value):,}",
    "settings": lambda value: "; ".join(_flat(value)),
    "date": lambda value: str(value)[:10],
    "by": _judged(by),
    "limit": _judged(limit_of),
    "measured": _judged(measured),
    "decided": _judged(decided_by),
    "rates": _judged(lambda one: ", then ".join(words(name) for name in rates_drawn(one))),
    "bounds": lambda value: f"{number(value['low'])} to {number(value['high'])}",
}
"""Name of a way -> what it makes of plain JSON. Beside them, "key" says a value's own name."""
