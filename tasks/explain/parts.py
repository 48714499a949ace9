"""A part of explaining: what it is of, what it needs at least, and the function that makes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from tasks.explain.context import Context, Made

KINDS = frozenset({"audio", "image", "tabular", "text"})


class Unexplained(ValueError):  # noqa: N818 - says what happened
    """A model that a part can't explain, say for want of gradients; filed as skipped, with the sentence."""


class Part(NamedTuple):
    """A part.

    Attributes:
        name: on record where it is skipped.
        kinds: of data that it is made for.
        least: evaluations without which it is not begun.
        make: makes it, within what the context's budget has left; raises :class:`Unexplained`.
    """

    name: str
    kinds: frozenset[str]
    least: Callable[[Context], int]
    make: Callable[[Context], Sequence[Made]]
