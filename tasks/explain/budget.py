"""What explaining may cost: a share of the run's work, counted, and of its time, measured.

Counted work decides how much is explained, so that the same plan gives the same bytes: an evaluation is one
row through the network, a gradient counts several (`GRADIENT` of `tasks.train.records`). Measured time only
stops a machine that is slower at explaining than at training: then whole parts are left out, and the record
says which.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

LEAST_SECONDS = 20.0
"""Time that is always given: a share of a short run is noise, and noise must not decide what is on record."""

LEAST_FLOPS = 2 * 10**9
"""Floating-point operations that are always given, for the same reason: about a second's."""


def share_of(work: float, share: float) -> float:
    """Further work that is ``share`` of the whole, it included: 0.2 of 8 done and 2 more."""
    return work * share / (1 - share)


@dataclass
class Budget:
    """What is left.

    Attributes:
        allowed: evaluations in all, at least 0.
        seconds: of wall-clock time in all.
        spent: evaluations so far.
    """

    allowed: int
    seconds: float
    spent: int = 0
    clock: Callable[[], float] = time.monotonic
    _begun: float = field(init=False)

    def __post_init__(self) -> None:
        self._begun = self.clock()

    @classmethod
    def of(cls, made: int, parameters: int, seconds: float, share: float) -> Budget:
        """A share of a run.

        Args:
            made: evaluations in training and after it.
            parameters: of the network, at least 1: two operations of an evaluation each.
            seconds: that the run took so far.
            share: of the whole run, above 0 and below 1.
        """
        counted = int(share_of(made, share))
        least = LEAST_FLOPS // (2 * parameters)
        return cls(max(least, counted), max(LEAST_SECONDS, share_of(seconds, share)))

    @property
    def left(self) -> int:
        """Evaluations that are left."""
        return max(0, self.allowed - self.spent)

    @property
    def seconds_left(self) -> float:
        """Wall-clock seconds that are left, at least 0."""
        return max(0.0, self.seconds - (self.clock() - self._begun))

    def spend(self, evaluations: int) -> None:
        """Count evaluations that were made; call it with what was really asked of the network."""
        self.spent += evaluations

    def lacking(self, evaluations: int) -> str:
        """Why a part that needs so many evaluations can't be made: "evaluations", "time", or ""."""
        if evaluations > self.left:
            return "evaluations"
        return "" if self.seconds_left > 0 else "time"

    def affordable(self, wanted: int, each: int, least: int, of_left: float = 1.0, besides: int = 0) -> int:
        """How many rows can be explained, from ``least`` to ``wanted``; 0 where not even the least.

        Args:
            wanted: the plan's number.
            each: evaluations that one row takes.
            least: fewer tell nothing.
            of_left: share of what is left that this part may take.
            besides: evaluations that it takes however many rows there are.
        """
        rows = min(wanted, max(0, int(self.left * of_left) - besides) // max(1, each))
        return rows if rows >= least else 0
