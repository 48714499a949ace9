"""Fairness: the audit cube, the metric table, inference and the gate."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasks.fairness.cube import Cube
    from tasks.fairness.gate import judge
    from tasks.fairness.verdict import Judged, Verdict

__all__ = ["Cube", "Judged", "Verdict", "judge"]

_HOMES = {"Cube": "cube", "judge": "gate", "Judged": "verdict", "Verdict": "verdict"}


def __getattr__(name: str) -> Any:
    """Import on first use: records of verdicts must not cost scipy and polars."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
