"""What a private training knows beforehand: bounds and levels that the plan states, none of them learned."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tasks.plan.data import Number
from tasks.plan.source import Column


def even_edges(low: float, high: float, bins: int) -> tuple[float, ...]:
    """Rising edges of bins of one width, the outer ones with them; one edge where the range is a point."""
    return tuple(np.unique(np.linspace(low, high, bins + 1)).tolist())


def score_edges(low: float, high: float, bins: int) -> tuple[float, ...]:
    """Inner edges of score bins of one width."""
    return even_edges(low, high, bins)[1:-1]


def centre(low: float, high: float) -> tuple[float, float]:
    """Mean and standard deviation of a number that is spread evenly from ``low`` to ``high``."""
    return (low + high) / 2, (high - low) / math.sqrt(12) or 1.0


def bounds(column: Column | Number) -> tuple[float, float]:
    """The range that the plan states."""
    assert column.minimum is not None  # noqa: S101 - such a plan is refused
    assert column.maximum is not None  # noqa: S101
    return column.minimum, column.maximum


def levels(column: Column) -> Sequence[str]:
    """Every category that the plan states, sorted as those that are learned are."""
    return sorted(column.values or ())
