"""The gate: limits judged on a cube, each PASS and FAIL with a stated error rate.

PASS is an intersection-union test: every ordered pair of groups, in every rate, is shown to keep the
limit at alpha, so the chance of passing a metric beyond its limit is at most alpha. FAIL needs one pair
shown to break it at alpha / comparisons (Bonferroni over all pairs, rates and limits judged together),
so the chance that any limit that holds fails is at most alpha. Closed-form bounds propose
(`tasks.fairness.bounds`), the exact test confirms (`tasks.fairness.exact`). Everything else is
INCONCLUSIVE, and says what would settle it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np

from tasks.fairness import settling
from tasks.fairness.bounds import proportion
from tasks.fairness.cube import Cube
from tasks.fairness.exact import rejects
from tasks.fairness.groups import Groups, groups_of
from tasks.fairness.metrics import METRICS, ParityMetric
from tasks.fairness.scales import SCALES, Scale
from tasks.fairness.settling import Pair
from tasks.fairness.verdict import Judged, Verdict
from tasks.plan.judgement import Limit, TooSmall
from tasks.plan.plan import crossing

HALVINGS = 12


def judge(
    cube: Cube,
    limits: Sequence[Limit | Mapping[str, Any]],
    alpha: float = 0.05,
    too_small: TooSmall | None = None,
    training_counts: Cube | None = None,
) -> list[Judged]:
    """Judge limits together; one record each, in their order.

    Args:
        cube: the test part.
        limits: as the plan has them, or as it writes them:
            ``{"metric": "demographic_parity_difference", "attribute": "sex", "limit": 0.05}``.
        alpha: the level in force, in (0, 1).
        too_small: the plan's policy for small groups; by default they make a limit INCONCLUSIVE.
        training_counts: the training part (`Cube.from_labels`), from which `too_small: report` settles
            which groups are judged; without it every group is.

    Raises:
        ValueError: for a limit that can't be read or an attribute that the cube lacks.
    """
    policy = too_small or TooSmall()
    wanted = [limit if isinstance(limit, Limit) else Limit.model_validate(limit) for limit in limits]
    compared = [
        [
            groups_of(cube, crossing(limit.attribute), rate, policy, training_counts)
            for rate in METRICS[limit.metric].rates
        ]
        for limit in wanted
    ]
    comparisons = max(1, sum(groups.comparisons for tables in compared for groups in tables))
    return [
        _Case(limit, METRICS[limit.metric], tables, alpha, comparisons).judged()
        for limit, tables in zip(wanted, compared, strict=True)
    ]


@dataclass(frozen=True, eq=False)
class _Case:
    """One limit and the groups it compares."""

    limit: Limit
    metric: ParityMetric
    tables: list[Groups]
    alpha: float
    comparisons: int

    @property
    def scale(self) -> Scale:
        return SCALES[self.metric.kind]

    def judged(self) -> Judged:
        pairs = [pair for groups in self.tables for pair in self._pairs(groups)]
        reasons = self._reasons()
        pairs, broken = self._failing(pairs)
        if broken is not None:
            return self._record(Verdict.FAIL, pairs, broken, [])
        pairs, passed = (pairs, False) if reasons else self._passing(pairs)
        worst = None if any(groups.undefined for groups in self.tables) else self._worst(pairs)
        return self._record(Verdict.PASS if passed else Verdict.INCONCLUSIVE, pairs, worst, reasons)

    def _pairs(self, groups: Groups) -> list[Pair]:
        """Ordered pairs of judged groups with defined rates, with their bounds."""
        rate = proportion(groups.events, groups.n)
        value = self.scale.value(rate)
        worst_case = self.scale.worst_case(groups.events, groups.n, self.alpha)
        best_case = self.scale.best_case(groups.events, groups.n, self.alpha / self.comparisons)
        chosen = np.flatnonzero(groups.judged & (groups.n > 0)).tolist()
        return [
            Pair(groups, g, h, float(value[g, h]), float(worst_case[g, h]), float(best_case[g, h]))
            for g, h in permutations(chosen, 2)
        ]

    def _reasons(self) -> list[str]:
        """Why the limit can't pass, whatever the bounds say."""
        found = [problem for groups in self.tables for problem in groups.problems()]
        for groups in self.tables:
            found += [
                f"{groups.rate.name} of {name} is undefined: no rows to take it over"
                for name in groups.undefined
            ]
        return found

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
            bound = self._search(lambda limit, pair=pair: self._breaks(pair, limit), self.scale.equality)
            settled[settled.index(pair)] = pair.with_best_case(bound)
        return settled, None

    def _passing(self, pairs: list[Pair]) -> tuple[list[Pair], bool]:
        """Whether every pair keeps the limit; the first that is not confirmed gets its exact bound."""
        if not all(self._worse(self.limit.limit, pair.worst_case) for pair in pairs):
            return pairs, False
        for pair in sorted(pairs, key=lambda pair: -pair.worst_case * self.scale.sign):
            if not self._keeps(pair, self.limit.limit):
                bound = self._search(lambda limit, pair=pair: self._keeps(pair, limit), self.scale.anything)
                return [pair.with_worst_case(bound) if p is pair else p for p in pairs], False
        return pairs, True

    def _keeps(self, pair: Pair, limit: float) -> bool:
        (x1, n1), (x2, n2) = pair.high, pair.low
        return rejects(x1, n1, x2, n2, self.scale.kept(limit), self.alpha)

    def _breaks(self, pair: Pair, limit: float) -> bool:
        (x1, n1), (x2, n2) = pair.low, pair.high
        return rejects(x1, n1, x2, n2, self.scale.broken(limit), self.alpha / self.comparisons)

    def _search(self, shown: Any, safe: float) -> float:
        """The exact bound: between the limit, which is not shown, and a value that needs no showing."""
        unsafe = self.limit.limit
        for _ in range(HALVINGS):
            middle = (safe + unsafe) / 2
            safe, unsafe = (middle, unsafe) if shown(middle) else (safe, middle)
        return safe

    def _record(self, verdict: Verdict, pairs: list[Pair], worst: Pair | None, reasons: list[str]) -> Judged:
        sign = self.scale.sign
        # A metric of two rates is undefined where one of them can't be compared, whatever the other says.
        undefined = any(groups.undefined or not _compared(groups, pairs) for groups in self.tables)
        values = [pair.value for pair in pairs if not np.isnan(pair.value)]
        measured = None if undefined or not values else max(values, key=lambda value: value * sign)
        outer = (
            None if undefined else max((p.worst_case for p in pairs), key=lambda v: v * sign, default=None)
        )
        inner = max((p.best_case for p in pairs), key=lambda v: v * sign, default=self.scale.equality)
        inner = max(inner * sign, self.scale.equality * sign) * sign  # a gap is never negative
        low, high = (inner, outer) if sign > 0 else (outer, inner)
        view = settling.View(self.metric, self.limit, self.scale, self.alpha, self.comparisons)
        settles = view.settles(worst, reasons) if verdict is Verdict.INCONCLUSIVE else ""
        return Judged(
            metric=self.limit.metric,
            attribute=self.limit.attribute,
            limit=self.limit.limit,
            verdict=verdict,
            measurement=measured,
            low=low,
            high=high,
            alpha=self.alpha,
            comparisons=self.comparisons,
            n=worst.n if worst is not None else 0,
            worst=worst.names if worst is not None else None,
            settles=settles,
            detectable=view.detectable(worst) if worst is not None else None,
            groups=tuple(record for groups in self.tables for record in groups.records()),
            not_judged=tuple(dict.fromkeys(name for groups in self.tables for name in groups.not_judged)),
            sentence=view.sentence(verdict, measured, (low, high), worst, settles),
        )


def _compared(groups: Groups, pairs: Sequence[Pair]) -> bool:
    """Whether some pair of these groups has a defined value."""
    return any(pair.groups is groups and not np.isnan(pair.value) for pair in pairs)
