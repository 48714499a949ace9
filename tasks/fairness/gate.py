"""The gate: limits judged on a cube, each PASS and FAIL with a stated error rate.

PASS is an intersection-union test: every ordered pair of groups, in every quantity, is shown to keep the
limit at alpha, so the chance of passing a metric beyond its limit is at most alpha. FAIL needs one pair
shown to break it at alpha / comparisons (Bonferroni over all pairs, quantities and limits judged
together), so the chance that any limit that holds fails is at most alpha. Closed-form bounds propose,
the exact test (`tasks.fairness.exact`) or bounds that hold at any size confirm. A limit on every
group's own value compares each group with the limit alone. Everything else is INCONCLUSIVE, and says
what would settle it.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.fairness import settling
from tasks.fairness.counted import Counted, count_groups
from tasks.fairness.cube import Cube
from tasks.fairness.groups import Groups
from tasks.fairness.quantities import Of_contra
from tasks.fairness.scales import Scale, pairs_of
from tasks.fairness.settling import Pair
from tasks.fairness.table import METRICS, Metric
from tasks.fairness.verdict import Judged, Verdict
from tasks.plan.base import crossing
from tasks.plan.judgement import Limit, TooSmall
from tasks.plan.limits import parse_limits

HALVINGS = 12
DOUBLINGS = 20


def judge(
    cube: Cube,
    limits: Sequence[Limit | Mapping[str, Any]],
    alpha: float = 0.05,
    too_small: TooSmall | None = None,
    training_counts: Cube | None = None,
) -> list[Judged]:
    """Judge limits together; one record each, in their order.

    Where the cube names no positive class, each class is held against the rest, and the worst decides.
    Weighted rows are judged by their weights; rows of one unit count as what they are worth together.

    Args:
        cube: the test part.
        limits: as the plan has them, or as it writes them:
            ``{"metric": "demographic_parity_difference", "attribute": "sex", "limit": 0.05}``.
        alpha: the level in force, in (0, 1).
        too_small: the plan's policy for small groups; by default they make a limit INCONCLUSIVE.
        training_counts: the training part (`Cube.from_labels`), from which `too_small: report` settles
            which groups are judged; without it every group is.

    Raises:
        ValueError: for a limit that can't be read, an attribute that the cube lacks or that has fewer
            than two levels, a metric of the score where there is none, or a level that is none.
    """
    return judge_cases(cases_of(cube, limits, too_small, training_counts), alpha)


def cases_of(
    cube: Cube,
    limits: Sequence[Limit | Mapping[str, Any]],
    too_small: TooSmall | None = None,
    training_counts: Cube | None = None,
) -> list[Case]:
    """The limits with what they compare, as `judge` takes them.

    Raises:
        ValueError: as `judge`.
    """
    policy = too_small or TooSmall()
    wanted = parse_limits(limits)
    require_of(METRICS, wanted, "of a predicted number, these are classes")
    counted: dict[tuple[str, ...], Counted] = {}
    for attributes in (crossing(limit.attribute) for limit in wanted):
        if attributes not in counted:
            counted[attributes] = count_groups(cube, attributes, policy, training_counts)
    metrics = ((limit, METRICS[limit.metric]) for limit in wanted)
    return [
        Case(limit, metric, tables_of(metric, counted[crossing(limit.attribute)]))
        for limit, metric in metrics
    ]


def require_of(known: Container[str], limits: Sequence[Limit], others: str) -> None:
    """Refuse metrics of another kind of label.

    Raises:
        ValueError: naming all of them; ``others`` says what they are of.
    """
    if strange := [limit.metric for limit in limits if limit.metric not in known]:
        raise ValueError(f"{', '.join(dict.fromkeys(strange))}: {others}")


def judge_cases(cases: Sequence[Case], alpha: float) -> list[Judged]:
    """Judge limits together, on the rows of one set or of several; one record each, in their order.

    Args:
        cases: the limits with what they compare.
        alpha: the level in force, in (0, 1).

    Raises:
        ValueError: for a level that is none.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha: a level above 0 and below 1 is expected, found {alpha:g}")
    comparisons = sum(
        len(pairs_of(case.metric.scale, np.flatnonzero(groups.judged).tolist()))
        for case in cases
        for groups in case.tables
    )
    return [
        _Case(case.limit, case.metric, case.tables, alpha, max(1, comparisons)).judged() for case in cases
    ]


def tables_of(metric: Metric[Of_contra], counted: Of_contra) -> list[Groups]:
    """Each quantity of a metric by group."""
    return [table for quantity in metric.quantities for table in quantity.tables(counted)]


@dataclass(frozen=True, eq=False)
class Case:
    """One limit and the groups it compares, in each quantity of its metric."""

    limit: Limit
    metric: Metric[Any]
    tables: list[Groups]


@dataclass(frozen=True, eq=False)
class _Case(Case):
    """A case at its level."""

    alpha: float
    comparisons: int

    @property
    def scale(self) -> Scale:
        return self.metric.scale

    def judged(self) -> Judged:
        pairs = [pair for groups in self.tables for pair in self._pairs(groups)]
        reasons = [problem for groups in self.tables for problem in groups.problems()]
        pairs, broken = self._failing(pairs)
        if broken is not None:
            return self._record(Verdict.FAIL, pairs, broken, [])
        pairs, passed = (pairs, False) if reasons else self._passing(pairs)
        worst = None if any(groups.undefined for groups in self.tables) else self._worst(pairs)
        return self._record(Verdict.PASS if passed else Verdict.INCONCLUSIVE, pairs, worst, reasons)

    def _pairs(self, groups: Groups) -> list[Pair]:
        """What is compared among judged groups with defined values, with bounds."""
        value = groups.values(self.scale)
        worst_case = groups.worst_case(self.scale, self.alpha)
        best_case = groups.best_case(self.scale, self.alpha / self.comparisons)
        chosen = np.flatnonzero(groups.comparable).tolist()
        return [
            Pair(groups, g, h, float(value[g, h]), float(worst_case[g, h]), float(best_case[g, h]))
            for g, h in pairs_of(self.scale, chosen)
        ]

    def _worse(self, one: float, other: float) -> bool:
        return (one - other) * self.scale.sign > 0

    def _worst(self, pairs: list[Pair]) -> Pair | None:
        return max(pairs, key=lambda pair: pair.worst_case * self.scale.sign, default=None)

    def _failing(self, pairs: list[Pair]) -> tuple[list[Pair], Pair | None]:
        """The pair that breaks the limit, if one does; proposals that are not confirmed get exact bounds."""
        settled = list(pairs)
        for pair in sorted(pairs, key=lambda pair: -pair.best_case * self.scale.sign):
            if not self._worse(pair.best_case, self.limit.limit):
                break
            if self._breaks(pair, self.limit.limit):
                return settled, pair
            bound = self._search(pair, self._breaks, self.scale.equality)
            settled[settled.index(pair)] = pair.with_best_case(bound)
        return settled, None

    def _passing(self, pairs: list[Pair]) -> tuple[list[Pair], bool]:
        """Whether every pair keeps the limit; the first that is not confirmed gets its exact bound."""
        if not all(self._worse(self.limit.limit, pair.worst_case) for pair in pairs):
            return pairs, False
        for pair in sorted(pairs, key=lambda pair: -pair.worst_case * self.scale.sign):
            if not self._keeps(pair, self.limit.limit):
                bound = self._search(pair, self._keeps, self.scale.anything)
                return [pair.with_worst_case(bound) if p is pair else p for p in pairs], False
        return pairs, True

    def _keeps(self, pair: Pair, limit: float) -> bool:
        return pair.groups.keeps(self.scale, (pair.g, pair.h), limit, self.alpha)

    def _breaks(self, pair: Pair, limit: float) -> bool:
        return pair.groups.breaks(self.scale, (pair.g, pair.h), limit, self.alpha / self.comparisons)

    def _search(self, pair: Pair, shown: Callable[[Pair, float], bool], safe: float) -> float:
        """The exact bound: between the limit, which is not shown, and a value that needs no showing."""
        unsafe = self.limit.limit
        if np.isinf(safe):
            larger = (unsafe * 2.0**i for i in range(1, DOUBLINGS))
            safe = next((limit for limit in larger if shown(pair, limit)), safe)
        for _ in range(HALVINGS if np.isfinite(safe) else 0):
            middle = (safe + unsafe) / 2
            safe, unsafe = (middle, unsafe) if shown(pair, middle) else (safe, middle)
        return safe

    def _bounds(self, pairs: list[Pair], *, undefined: bool) -> tuple[float | None, float | None]:
        """Lower and upper bound of the metric; None where there is none."""
        sign = self.scale.sign
        outer = (
            None if undefined else max((p.worst_case for p in pairs), key=lambda v: v * sign, default=None)
        )
        inner = max((p.best_case for p in pairs), key=lambda v: v * sign, default=self.scale.equality)
        inner = max(inner * sign, self.scale.equality * sign) * sign  # a gap is never negative
        known = [
            None if bound is None or not np.isfinite(bound) else float(bound) for bound in (inner, outer)
        ]
        return (known[0], known[1]) if sign > 0 else (known[1], known[0])

    def _record(self, verdict: Verdict, pairs: list[Pair], worst: Pair | None, reasons: list[str]) -> Judged:
        sign = self.scale.sign
        # A metric of two rates is undefined where one of them can't be compared, whatever the other says.
        undefined = any(groups.undefined or not _compared(groups, pairs) for groups in self.tables)
        values = [] if undefined else [pair for pair in pairs if not np.isnan(pair.value)]
        most = max(values, key=lambda pair: pair.value * sign, default=None)
        low, high = self._bounds(pairs, undefined=undefined)
        view = settling.View(self.metric, self.limit, self.alpha, self.comparisons)
        settles = view.settles(worst, reasons) if verdict is Verdict.INCONCLUSIVE else ""
        return Judged(
            metric=self.limit.metric,
            attribute=self.limit.attribute,
            limit=self.limit.limit,
            verdict=verdict,
            measurement=None if most is None else most.value + 0.0,  # -0 is 0
            low=low,
            high=high,
            alpha=self.alpha,
            comparisons=self.comparisons,
            n=worst.n if worst is not None else 0,
            worst=worst.names if worst is not None else None,
            measured_on=None if most is None else most.names,
            worst_value=None if worst is None or not np.isfinite(worst.value) else worst.value + 0.0,
            settles=settles,
            detectable=view.detectable(worst) if worst is not None else None,
            groups=tuple(record for groups in self.tables for record in groups.records()),
            not_judged=tuple(dict.fromkeys(name for groups in self.tables for name in groups.not_judged)),
            sentence=view.sentence(verdict, most, (low, high), worst, settles),
        )


def _compared(groups: Groups, pairs: Sequence[Pair]) -> bool:
    """Whether some pair of these groups has a defined value."""
    return any(pair.groups is groups and not np.isnan(pair.value) for pair in pairs)
