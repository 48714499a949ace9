"""The groups that a limit compares: their counts, and which of them are judged.

Under `too_small: report` a group is judged if its denominator in the test part is expected to reach
the plan's smallest denominator. The expectation comes from the training part alone: the training
count, scaled by rows of test / rows of training. For TPR and FPR it is the count of positives and
negatives. Where the denominator counts predictions (PPV, NPV ...), which training labels do not show,
the rule is declared: labelled positives stand for predicted positives, negatives for negatives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.fairness.bounds import lower_limit, upper_limit
from tasks.fairness.cube import Cube
from tasks.fairness.metrics import Rate, tally
from tasks.fairness.verdict import GroupRate
from tasks.plan.judgement import TooSmall

Ints = NDArray[np.int64]

UNJUDGED_SHARE = 0.05
"""At most this share of rows may go unjudged."""
ALWAYS_JUDGED = 200
"""A group with this denominator in the test part is never too small."""


@dataclass(frozen=True, eq=False)
class Groups:
    """One rate by group.

    Attributes:
        rate: the rate.
        names: levels, joined by " x " for a crossing, shape [groups].
        events: numerators.
        n: denominators.
        rows: rows of each group.
        judged: whether each takes part in the verdict.
    """

    rate: Rate
    names: tuple[str, ...]
    events: Ints
    n: Ints
    rows: Ints
    judged: NDArray[np.bool_]

    @property
    def comparisons(self) -> int:
        """Ordered pairs of judged groups."""
        judged = int(self.judged.sum())
        return judged * (judged - 1)

    @property
    def undefined(self) -> list[str]:
        """Judged groups whose rate is undefined."""
        return [
            name for name, n, judged in zip(self.names, self.n, self.judged, strict=True) if judged and not n
        ]

    @property
    def not_judged(self) -> list[str]:
        """Groups listed as too small."""
        return [name for name, judged in zip(self.names, self.judged, strict=True) if not judged]

    def problems(self) -> list[str]:
        """Rules that the groups left unjudged break; any keeps a limit from passing."""
        found = []
        share = self.rows[~self.judged].sum() / max(1, self.rows.sum())
        if share > UNJUDGED_SHARE:
            found.append(
                f"{share:.1%} of rows are in groups too small to judge by {self.rate.name}, "
                f"at most {UNJUDGED_SHARE:.0%} may be"
            )
        large = [
            f"{self.names[i]} (n={self.n[i]})"
            for i in np.flatnonzero(~self.judged & (self.n >= ALWAYS_JUDGED))
        ]
        if large:
            found.append(
                f"groups of {ALWAYS_JUDGED} or more must be judged by {self.rate.name}, "
                f"the training part's counts leave out {', '.join(large)}"
            )
        if self.judged.sum() < 2:
            found.append(f"at least two groups must be judged by {self.rate.name}, found {self.judged.sum()}")
        return found

    def records(self) -> list[GroupRate]:
        """Every group's rate with its two-sided 95% Clopper-Pearson interval."""
        low, high = lower_limit(self.events, self.n, 0.025), upper_limit(self.events, self.n, 0.025)
        return [self._record(i, float(low[i]), float(high[i])) for i in range(len(self.names))]

    def _record(self, i: int, low: float, high: float) -> GroupRate:
        events, n = int(self.events[i]), int(self.n[i])
        known: dict[str, Any] = {"rate": events / n, "low": low, "high": high} if n else {}
        return GroupRate(
            rate_name=self.rate.name,
            group=self.names[i],
            events=events,
            n=n,
            judged=bool(self.judged[i]),
            **({"rate": None, "low": None, "high": None} | known),
        )


def groups_of(
    cube: Cube, attributes: tuple[str, ...], rate: Rate, too_small: TooSmall, training: Cube | None
) -> Groups:
    """Count a rate by group, and settle from the training part which groups are judged.

    A level of the training part that the test part lacks is a group too, without rows.

    Args:
        cube: the test part.
        attributes: one, or several for their crossing.
        rate: a proportion.
        too_small: the plan's policy.
        training: counts of the training part (`Cube.from_labels`); without them every group is judged.

    Raises:
        ValueError: for an attribute that a cube lacks, or a rate of the positive class where none is named.
    """
    if cube.positive is None and rate.name != "accuracy":
        raise ValueError(f"{rate.name} compares one class with the rest: `positive` must name it")
    known = {name: training.axes[name] if training is not None else () for name in attributes}
    part = cube.widened(known, cube.labels)
    levels, counts = part.cells(attributes)
    cells = tally(counts, part.labels, part.positive)
    judged = np.ones(len(levels), bool)
    if training is not None and too_small.policy == "report":
        expected = _expected(cube, part, training, attributes, rate)
        judged = expected >= too_small.smallest_denominator
    return Groups(
        rate=rate,
        names=tuple(" x ".join(level) for level in levels),
        events=rate.numerator(cells),
        n=rate.denominator(cells),
        rows=counts.sum(axis=(1, 2)),
        judged=judged,
    )


def _expected(
    cube: Cube, part: Cube, training: Cube, attributes: tuple[str, ...], rate: Rate
) -> NDArray[np.float64]:
    wide = training.widened(part.axes, tuple(dict.fromkeys([*cube.labels, *training.labels])))
    _, counts = wide.cells(attributes)
    by_class = counts.sum(axis=2)
    if rate.basis == "n":
        expected = by_class.sum(axis=1)
    else:
        positives = by_class[:, wide.labels.index(str(cube.positive))]
        expected = positives if rate.basis == "positives" else by_class.sum(axis=1) - positives
    return np.asarray(expected * (cube.rows / max(1, training.rows)))
