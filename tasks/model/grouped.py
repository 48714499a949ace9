"""A decision that reads the group: which columns say it, and what is done for each level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .columns import Codes, Floats, Spellings, read_numbers
from .inputs import Table, refuse
from .tabular import values_of

UNKNOWN = "unknown"
"""The level of a missing value, and of a number below the first band."""
SURE = 1e-7  # a float32 score of 0 or 1 has no finite log odds
SHOWN = 12  # levels named in a sentence; all stand in model.json and in the dossier


@dataclass(frozen=True)
class Attribute:
    """An attribute of which a sample has one level.

    Attributes:
        name: of the attribute.
        column: that says it.
        edges: of a column of numbers: rising lower edges of the bands, the last one open above.
        bands: their names; both are empty for a category, whose values are the levels.
    """

    name: str
    column: str
    edges: tuple[float, ...] = ()
    bands: tuple[str, ...] = ()


@dataclass(frozen=True)
class Adjustment:
    """What is done for one level.

    Attributes:
        threshold: score from which a row is positive; above 1 none is.
        slope: of the calibration, on the log odds; 1 leaves them.
        intercept: of the calibration, on the log odds; 0 leaves them.
    """

    threshold: float
    slope: float = 1.0
    intercept: float = 0.0


@dataclass(frozen=True)
class Grouped:
    """A decision by group.

    Attributes:
        attributes: whose crossing is the group.
        nulls: spellings of a missing value.
        metric: what the thresholds equalise; empty where only scores are calibrated.
        levels: seen on validation rows, each with its adjustment, in order.
        common: for every other level.
    """

    attributes: tuple[Attribute, ...]
    nulls: tuple[str, ...]
    metric: str
    levels: Mapping[str, Adjustment]
    common: Adjustment

    @property
    def columns(self) -> tuple[str, ...]:
        """What a decision reads beside the model's inputs."""
        return tuple(attribute.column for attribute in self.attributes)

    def positions(self, frame: Table) -> Codes:
        """Position (n,) of each row's level among ``levels``, -1 for any other.

        Raises:
            ValueError: names the columns that are missing, or hold no numbers where they should.
        """
        codes, names = read_levels(frame, self.attributes, self.nulls)
        place = {name: position for position, name in enumerate(self.levels)}
        return np.array([place.get(name, -1) for name in names] or [-1], np.int64)[codes]

    def calibrated(self, scores: npt.NDArray[np.floating], positions: Codes) -> Floats:
        """Scores (n,) of the positive class, calibrated by the levels' slopes and intercepts."""
        slopes, intercepts = self._each("slope")[positions], self._each("intercept")[positions]
        moved = 1 / (1 + np.exp(-(slopes * log_odds(scores) + intercepts)))
        # What is not calibrated keeps its bits.
        return np.where((slopes == 1) & (intercepts == 0), scores, moved)

    def thresholds(self, positions: Codes) -> npt.NDArray[np.float32]:
        """Each row's threshold (n,)."""
        return self._each("threshold")[positions].astype(np.float32)

    def _each(self, name: str) -> Floats:
        """A number of each level, the common one last, where position -1 finds it."""
        return np.array([getattr(own, name) for own in (*self.levels.values(), self.common)], np.float64)

    @property
    def sentence(self) -> str:
        """What the decision reads and does with it, for whoever looks at the model."""
        by = " x ".join(attribute.name for attribute in self.attributes)
        named = list(self.levels.items())
        done = []
        if any(one.slope != 1 or one.intercept != 0 for one in (*self.levels.values(), self.common)):
            names = [name for name, _ in named[:SHOWN]] + _more(len(named))
            done.append(f"scores calibrated for {', '.join(names)}")
        if self.metric:
            each = [f"{_spelled(own.threshold)} for {name}" for name, own in named[:SHOWN]]
            others = f"{_spelled(self.common.threshold)} for any other"
            listed = ", ".join([*each, *_more(len(named)), others])
            done.append(f"thresholds {listed} ({self.metric.replace('_', ' ')})")
        return f"Decides by {by}: {'; '.join(done)}"

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Grouped:
        """From what ``dataclasses.asdict`` gave, or JSON made of it."""
        attributes = tuple(
            Attribute(each["name"], each["column"], tuple(each["edges"]), tuple(each["bands"]))
            for each in stored["attributes"]
        )
        levels = {name: Adjustment(**own) for name, own in stored["levels"].items()}
        common = Adjustment(**stored["common"])
        return cls(attributes, tuple(stored["nulls"]), stored["metric"], levels, common)


def log_odds(scores: npt.NDArray[np.floating]) -> Floats:
    """Of probabilities, finite also of those that a float32 takes for 0 or 1."""
    sure = np.clip(scores.astype(np.float64), SURE, 1 - SURE)
    return np.log(sure) - np.log1p(-sure)


def read_levels(
    frame: Table, attributes: Sequence[Attribute], nulls: Sequence[str]
) -> tuple[Codes, tuple[str, ...]]:
    """Levels of a crossing: each row's position (n,), and the names of those that occur, in order.

    Args:
        frame: typed rows, or rows as a user of the model has them.
        attributes: whose crossing it is.
        nulls: spellings of a missing value.

    Raises:
        ValueError: names the columns that are missing, or hold no numbers where they should.
    """
    problems = [
        f"column {own.column!r} is missing: the model decides by {own.name}"
        for own in attributes
        if own.column not in frame.columns
    ]
    refuse(problems)
    codes, names = np.zeros(len(frame), np.int64), [""]
    for own in attributes:
        of_rows, known = _levels_of(frame, own, nulls, problems)
        pairs, codes = np.unique(codes * len(known) + of_rows, return_inverse=True)
        joined = [(names[pair // len(known)], known[pair % len(known)]) for pair in pairs.tolist()]
        names = [" x ".join(part for part in parts if part) for parts in joined]
    refuse(problems)
    # A spelling with blanks at an end is the same level.
    distinct, places = np.unique(np.array(names, dtype=str), return_inverse=True)
    return places[codes], tuple(distinct.tolist())


def _levels_of(
    frame: Table, own: Attribute, nulls: Sequence[str], problems: list[str]
) -> tuple[Codes, tuple[str, ...]]:
    values = values_of(frame, own.column)
    if own.edges:
        read = read_numbers(own.column, values, nulls, integer=False, hidden=True, problems=problems)
        below = np.nan_to_num(read, nan=-np.inf)
        return np.searchsorted(own.edges, below, side="right").astype(np.int64), (UNKNOWN, *own.bands)
    spelled = Spellings.of(values, nulls)
    return spelled.codes + 1, (UNKNOWN, *(_plain(text) for text in spelled.texts))


def _plain(text: str) -> str:
    """A code as it is without the fraction that a missing value elsewhere in its column gives it."""
    whole = text.removesuffix(".0")
    return whole if whole.removeprefix("-").isdigit() else text


def _more(levels: int) -> list[str]:
    return [f"{levels - SHOWN} more"] if levels > SHOWN else []


def _spelled(threshold: float) -> str:
    return "none" if threshold > 1 else f"{threshold:.2f}"
