"""What a plan's test set can show before it is opened, in records and in words.

The figures are `tasks.fairness.coverage`'s; this file imports no arithmetic, so that the flows may read it.
"""

from __future__ import annotations

from collections.abc import Sequence

from tasks.evidence.records import Record
from tasks.fairness.words import on_set, words
from tasks.plan.judgement import TEST, Limit

LEAST_POWER = 0.5
"""A limit that equal groups would pass less often than this can't be meant."""


class Expected(Record):
    """What one group of the test part is expected to bring to one rate.

    Attributes:
        rate: the rate, "tpr (b)" where class b is held against the rest.
        group: the level, or levels joined by " x ".
        training: its denominator in the training part (positives for the TPR, and so on).
        expected: its denominator expected in the test part, from the training part's counts.
        assumed: the rate, equal in all groups, at which `Showable.needed` holds; None where it takes none.
        judged: False for a group that the plan's `too_small: report` lists instead.
        enough: expected >= needed.
    """

    rate: str
    group: str
    training: int
    expected: float
    assumed: float | None
    judged: bool
    enough: bool


class Showable(Record):
    """What a test set can show of one limit.

    Attributes:
        metric: the metric's name.
        attribute: the attribute or crossing.
        limit: the plan's limit.
        alpha: the level in force.
        smallest: the tightest limit that equal groups would pass with a power of one half; None where none
            would do (a group is expected to have no rows), or ``power`` is None.
        power: chance that equal groups pass the plan's limit; None for metrics that are not planned for,
            and for limits on each group's own value.
        needed: denominator at which as many groups as are judged, all of that size and of equal rates, pass
            the plan's limit with a power of 80%, correct within some percent. For quantities of a score the
            rows of either class below which the gate judges none. None where nothing is worked out, and
            where no practical number would do.
        groups: one per rate and group; empty where nothing is worked out.
        on: the set of rows: the test part, or an audit set.
    """

    metric: str
    attribute: str
    limit: float
    alpha: float
    smallest: float | None
    power: float | None
    needed: int | None
    groups: tuple[Expected, ...]
    on: str = TEST

    @classmethod
    def unknown(
        cls, limit: Limit, alpha: float, needed: int | None = None, groups: tuple[Expected, ...] = ()
    ) -> Showable:
        """For a metric whose power is not worked out."""
        return cls(
            metric=limit.metric,
            attribute=limit.attribute,
            limit=limit.limit,
            alpha=alpha,
            smallest=None,
            power=None,
            needed=needed,
            groups=groups,
        )

    @property
    def problem(self) -> str:
        """Why the limit can't be meant, or ""."""
        if self.power is None or self.power >= LEAST_POWER:
            return ""
        could = self._could[0].upper() + self._could[1:]
        return (
            f"{self._what}: with these rows even groups of equal rates would pass only {self.power:.0%} of "
            f"the time at level {self.alpha:g}; {LEAST_POWER:.0%} is the least. {could}. Loosen the limit, "
            "judge on more rows, lower max_judgements, or let too_small report the smallest groups"
        )

    @property
    def sentence(self) -> str:
        """What could be shown, in words."""
        return f"{self._what}: {self._could}"

    @property
    def warning(self) -> str:
        """Which judged groups are expected to be too small, or ""."""
        short = [one for one in self.groups if one.judged and not one.enough]
        if not short:
            return ""
        several = len({one.rate for one in self.groups}) > 1
        listed = ", ".join(
            f"{one.expected:,.0f} of {one.group}" + (f" ({words(one.rate)})" if several else "")
            for one in short
        )
        return f"{self._what}: even equal rates may not be shown; {self._takes}, expected are {listed}"

    @property
    def _what(self) -> str:
        return f"{words(self.metric)} by {self.attribute}{on_set(self.on)}, limit {self.limit:g}"

    @property
    def _could(self) -> str:
        if self.power is None:
            known = "" if self.needed is None else f"; {self._takes}"
            return f"what could be shown is not worked out for this metric{known}"
        if self.smallest is None:
            return f"no limit could be shown at level {self.alpha:g}; {self._takes}"
        return (
            f"the tightest limit that could be shown at level {self.alpha:g} is {self.smallest:.3f}; "
            f"{self._takes}"
        )

    @property
    def _takes(self) -> str:
        if self.needed is None:
            return "no practical number of rows would do for the plan's"
        if self.power is None:
            return f"it takes {self.needed:,} rows of either class a group"
        rows = "rows" if len({one.rate for one in self.groups}) == 1 else "rows in each denominator"
        return f"the plan's takes about {self.needed:,} {rows} a group (80% power)"


def coverage_warnings(shown: Sequence[Showable]) -> list[str]:
    """One sentence for each limit of which judged groups are expected to be too small."""
    return [f"coverage: {one.warning}" for one in shown if one.warning]
