"""What a plan's test set can show before it is opened: a limit that equal groups would miss asks too much."""

from __future__ import annotations

from tasks.evidence.records import Record
from tasks.fairness.cube import Cube
from tasks.fairness.power import expected_cube, power_at_equality, smallest_showable_on
from tasks.fairness.table import METRICS
from tasks.fairness.words import words
from tasks.plan.judgement import Judgement, Limit

LEAST_POWER = 0.5
"""A limit that equal groups would pass less often than this can't be meant."""


class Showable(Record):
    """What a test set can show of one limit.

    Attributes:
        metric: the metric's name.
        attribute: the attribute or crossing.
        limit: the plan's limit.
        alpha: the level in force.
        smallest: the tightest limit that equal groups would pass with a power of one half; None for metrics
            that are not planned for.
        power: chance that equal groups pass the plan's limit; None likewise, and for limits on each group's
            own value.
    """

    metric: str
    attribute: str
    limit: float
    alpha: float
    smallest: float | None
    power: float | None

    @property
    def problem(self) -> str:
        """Why the limit can't be meant, or ""."""
        if self.power is None or self.power >= LEAST_POWER:
            return ""
        return (
            f"{self._what}: with these rows even groups of equal rates would pass only {self.power:.0%} of "
            f"the time at level {self.alpha:g}; {LEAST_POWER:.0%} is the least. {self._could}: loosen it, "
            "judge on more rows, lower max_judgements, or let too_small report the smallest groups"
        )

    @property
    def sentence(self) -> str:
        """What could be shown, in words."""
        return f"{self._what}: {self._could}"

    @property
    def _what(self) -> str:
        return f"{words(self.metric)} by {self.attribute}, limit {self.limit:g}"

    @property
    def _could(self) -> str:
        if self.smallest is None:
            return "what could be shown is not worked out for this metric"
        return f"the tightest limit that could be shown at level {self.alpha:g} is {self.smallest:.3f}"


def showable(training: Cube, test_rows: int, judgement: Judgement) -> tuple[Showable, ...]:
    """What a test part of this size could show of each limit; see `tasks.fairness.power`.

    Args:
        training: counts of the training part by group and label, from which sizes and label rates follow.
        test_rows: rows of the test part.
        judgement: limits, alpha, ``max_judgements`` and the policy for small groups.
    """
    expected = expected_cube(training, test_rows)
    alpha = judgement.alpha / judgement.test_set.max_judgements
    return tuple(_showable(expected, limit, alpha, judgement) for limit in judgement.limits)


def _showable(expected: Cube, limit: Limit, alpha: float, judgement: Judgement) -> Showable:
    alone = METRICS[limit.metric].scale.alone
    power = None if alone else power_at_equality(expected, limit, alpha, judgement.too_small)
    smallest = smallest_showable_on(expected, limit, alpha, too_small=judgement.too_small)
    return Showable(
        metric=limit.metric,
        attribute=limit.attribute,
        limit=limit.limit,
        alpha=alpha,
        smallest=None if alone else smallest,
        power=power,
    )
