"""How often Python searches for cycles of garbage: once for all processes of ours."""

from __future__ import annotations

import gc


def collect_seldom() -> None:
    """Let a process that imports much search seldom.

    Imports make a million objects and no cycle that ends: by Python's own threshold of 700 a quarter of their
    time goes into searching for some.
    """
    gc.set_threshold(50_000, 20, 20)
