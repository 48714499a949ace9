"""Rates that are rising functions of a proportion, so that exact limits of the one are those of the other.

F1 = 2J / (1 + J) with J = TP / (TP + FP + FN), and FN / FP = p / (1 - p) with p = FN / (FN + FP): J and p
are shares of rows, their counts are binomial given the denominator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Link:
    """A rising function of a proportion.

    Attributes:
        name: what it is called.
        of: the function; infinity is allowed at 1, and is undefined as a rate.
        back: its inverse, on [0, infinity).
    """

    name: str
    of: Callable[[Any], Floats]
    back: Callable[[Any], Floats]


def _same(p: Any) -> Floats:
    return np.asarray(p, float)


def _f1(p: Any) -> Floats:
    return np.asarray(2 * p / (1 + p))


def _f1_back(value: Any) -> Floats:
    value = np.clip(value, 0.0, 1.0)
    return np.asarray(value / (2 - value))


def _odds(p: Any) -> Floats:
    p = np.asarray(p, float)
    return np.asarray(np.where(p >= 1, np.inf, p / np.where(p >= 1, 1.0, 1 - p)))


def _odds_back(value: Any) -> Floats:
    value = np.maximum(value, 0.0)
    return np.asarray(np.where(np.isinf(value), 1.0, value / (1 + np.where(np.isinf(value), 0.0, value))))


IDENTITY = Link("share", _same, _same)
F1 = Link("2p / (1 + p)", _f1, _f1_back)
ODDS = Link("p / (1 - p)", _odds, _odds_back)
