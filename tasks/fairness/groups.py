"""A quantity by group, with limits: what the gate compares, whatever the quantity is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from tasks.fairness.scales import Limits, Scale, own
from tasks.fairness.verdict import GroupRate
from tasks.fairness.words import words

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

UNJUDGED_SHARE = 0.05
"""At most this share of rows may go unjudged."""
ALWAYS_JUDGED = 200
"""A group with this denominator in the test part is never too small."""
ENOUGH = 20
"""Events and other rows of a group from which an approximation may be trusted."""
SMALLEST_LEVEL = 0.0005
"""Approximations were enumerated and simulated down to this level; below it only certain limits decide."""


@dataclass(frozen=True, eq=False)
class Groups(ABC):
    """One quantity by group.

    Attributes:
        name: the quantity, with the class where each is held against the rest: "tpr (b)".
        names: the groups, shape [groups].
        rows: rows of each group.
        judged: whether each takes part in the verdict.
        events: counts in the numerator, for the record.
        n: counts in the denominator.
        value: the quantity; nan where undefined.
    """

    name: str
    names: tuple[str, ...]
    rows: Ints
    judged: Bools
    events: Ints
    n: Ints
    value: Floats

    @abstractmethod
    def limits(self, level: float, *, certain: bool = False) -> Limits:
        """Values and one-sided limits of each group.

        Args:
            level: one-sided.
            certain: limits that hold at any size, rather than those that MOVER combines.
        """

    @property
    @abstractmethod
    def large(self) -> Bools:
        """Groups large enough for MOVER to decide alone."""

    @property
    def lacking(self) -> list[str]:
        """Reasons that keep judged groups from being compared, beyond an undefined value."""
        return []

    @property
    def comparable(self) -> Bools:
        """Groups that can be compared: judged and defined."""
        return np.asarray(self.judged & np.isfinite(self.value))

    @property
    def undefined(self) -> list[str]:
        """Judged groups whose value is undefined."""
        return [self.names[i] for i in np.flatnonzero(self.judged & ~np.isfinite(self.value))]

    @property
    def not_judged(self) -> list[str]:
        """Groups listed as too small."""
        return [name for name, judged in zip(self.names, self.judged, strict=True) if not judged]

    @property
    def design_effect(self) -> Floats:
        """Variance over that of as many independent, equal rows."""
        return np.ones(len(self.names))

    def values(self, scale: Scale) -> Floats:
        """The metric of each pair [g, h]; nan where undefined."""
        return scale.value(self.value)

    def worst_case(self, scale: Scale, level: float, *, certain: bool = False) -> Floats:
        """Bounds of each pair on the bad side; certain ones share the level between both groups."""
        if certain and not scale.alone:
            _, low, high = self.limits(level / 2, certain=True)
            return scale.apart(high, low)
        return scale.worst_case(self.limits(level, certain=certain))

    def best_case(self, scale: Scale, level: float, *, certain: bool = False) -> Floats:
        """Bounds of each pair on the good side."""
        if certain and not scale.alone:
            _, low, high = self.limits(level / 2, certain=True)
            return scale.apart(low, high)
        return scale.best_case(self.limits(level, certain=certain))

    def keeps(self, scale: Scale, pair: tuple[int, int], limit: float, level: float) -> bool:
        """Whether a pair is shown to keep a limit at a level, beyond the proposal of `worst_case`."""
        bound = self.worst_case(scale, level, certain=not self._decides(pair, level))[pair]
        return bool((limit - bound) * scale.sign > 0)

    def breaks(self, scale: Scale, pair: tuple[int, int], limit: float, level: float) -> bool:
        """Whether a pair is shown to break a limit."""
        bound = self.best_case(scale, level, certain=not self._decides(pair, level))[pair]
        return bool((bound - limit) * scale.sign > 0)

    def _decides(self, pair: tuple[int, int], level: float) -> bool:
        return level >= SMALLEST_LEVEL and bool(self.large[list(pair)].all())

    def said_need(self, need: str, level: float) -> str:  # noqa: ARG002 - where limits hold at every level
        """What would settle a pair at a level, in words: ``need``, or what else."""
        return need

    def error(self, g: int, level: float) -> float:
        """Standard error of a group's value, for planning only."""
        _, low, high = self.limits(level)
        return min(float(high[g, 0] - low[g, 0]), 1e6) / (2 * float(-ndtri(level)))

    def error_at_equality(self, g: int, h: int, level: float) -> tuple[float, float]:
        """A value between both groups', and the standard error of their difference there."""
        value = float(self.value[[g, h]].mean())
        return value, float(np.hypot(self.error(g, level), self.error(h, level)))

    def problems(self) -> list[str]:
        """Whatever keeps a limit from passing: rules that unjudged groups break, values undefined."""
        return [*self._unjudged_problems(), *self._undefined_problems(), *self.lacking]

    def _undefined_problems(self) -> list[str]:
        if not self.undefined:
            return []
        groups = ", ".join(self.undefined)
        return [f"{words(self.name)} is undefined in {groups}: no rows to take it over"]

    def _unjudged_problems(self) -> list[str]:
        found = []
        share = self.rows[~self.judged].sum() / max(1, self.rows.sum())
        if share > UNJUDGED_SHARE:
            found.append(
                f"{share:.1%} of rows are in groups too small to judge by {words(self.name)}, "
                f"at most {UNJUDGED_SHARE:.0%} may be"
            )
        large = [
            f"{self.names[i]} (n={self.n[i]})"
            for i in np.flatnonzero(~self.judged & (self.n >= ALWAYS_JUDGED))
        ]
        if large:
            found.append(
                f"groups of {ALWAYS_JUDGED} or more must be judged by {words(self.name)}, "
                f"the training part's counts leave out {', '.join(large)}"
            )
        if self.judged.sum() < 2:
            found.append(
                f"at least two groups must be judged by {words(self.name)}, found {self.judged.sum()}"
            )
        return found

    def interval(self, level: float) -> Limits:
        """Values and limits as each group's record has them."""
        return self.limits(level, certain=True)

    def records(self) -> list[GroupRate]:
        """Every group's value with its two-sided 95% interval."""
        value, low, high = self.interval(0.025)
        columns = zip(value, own(low), own(high), self.design_effect, strict=True)
        return [self._record(i, *map(float, found)) for i, found in enumerate(columns)]

    def _record(self, i: int, value: float, low: float, high: float, effect: float) -> GroupRate:
        known: dict[str, Any] = {"rate": value, "low": low, "high": high} if np.isfinite(value) else {}
        if not np.isfinite(known.get("high", 0.0)):
            known["high"] = None
        return GroupRate(
            rate_name=self.name,
            group=self.names[i],
            events=int(self.events[i]),
            n=int(self.n[i]),
            judged=bool(self.judged[i]),
            design_effect=effect if np.isfinite(effect) else None,
            **({"rate": None, "low": None, "high": None} | known),
        )
