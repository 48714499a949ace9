"""How often a test set may be judged on: every judgement spends a share of its error rate.

Scheduled retrains judge on the same rows again and again, and the more often one looks, the sooner an
unfair model passes by chance. So the plan declares how many judgements its test set is to serve
(``test_set.max_judgements``), and each is made at ``alpha / max_judgements`` (Bonferroni): over all of
them the chance of passing a metric beyond its limit stays at most alpha. The same weights judged by the
same judgement again are the same judgement, and spend nothing.

This module is the bookkeeping alone; `tasks.register.ledger` keeps it beside the registry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.fairness.allowance import Allowance, Line
from tasks.fairness.counts import Counts, judge_sets
from tasks.fairness.cube import Cube
from tasks.fairness.verdict import Judged, Verdict
from tasks.fairness.words import on_set, words
from tasks.plan.judgement import TEST, Judgement

Rows = NDArray[np.uint64]

SAME_SET = 0.5
"""Test parts that share this much of their rows are one set, and draw on one budget."""
ROUNDING = 1e-9
"""Twenty shares of 1/20 are one whole, whatever the last bit says."""


@dataclass(frozen=True, eq=False)
class Ledger:
    """Every judgement made of one model's test sets.

    Attributes:
        lines: oldest first.
        budgets: the distinct rows that each budget was spent on, sorted.
    """

    lines: tuple[Line, ...] = ()
    budgets: tuple[Rows, ...] = ()

    def spend_all(
        self, sets: Mapping[str, Rows], weights: str, judgement: str, **draw: Any
    ) -> tuple[Ledger, Allowance]:
        """Draw one judgement from the budget of each set of rows, or from none.

        Args:
            sets: digests of the rows by set: the test part and the audit sets.
            weights: digest of the frozen model.
            judgement: digest of the plan's judgement.
            draw: as `spend` takes them.

        Returns:
            The ledger with the lines added, and what may be spent of the set that was judged on most often;
            with the problem of any, and nothing spent, where one is used up.
        """
        grown, found = self, []
        for on, rows in sets.items():
            grown, allowed = grown.spend(rows, weights, judgement, **draw)
            if allowed.problem:
                where = "" if on == TEST else f"audit set {on}: "
                return self, allowed.model_copy(update={"problem": where + allowed.problem})
            found.append(allowed)
        return grown, max(found, key=lambda allowed: allowed.number)

    def spend(
        self, rows: Rows, weights: str, judgement: str, *, alpha: float, maximum: int, run: str, at: str
    ) -> tuple[Ledger, Allowance]:
        """Draw one judgement from the budget of these rows.

        Args:
            rows: digests of the test rows; duplicates count once.
            weights: digest of the frozen model.
            judgement: digest of the plan's judgement.
            alpha: the plan's level.
            maximum: the plan's ``max_judgements``.
            run: the MLflow run.
            at: now, UTC.

        Returns:
            The ledger with the line added (itself where nothing is spent), and what may be spent.
        """
        rows = np.unique(rows)
        budget = self._budget_of(rows)
        known = self.budgets[budget] if budget < len(self.budgets) else rows[:0]
        before = [line for line in self.lines if line.budget == budget]
        pairs = [(line.weights, line.judgement) for line in before]
        number = len(before) + 1
        if (weights, judgement) in pairs:
            number = pairs.index((weights, judgement)) + 1
        allowed = Allowance(
            alpha=alpha / maximum,
            number=number,
            max_judgements=maximum,
            rows=len(rows),
        )
        if number <= len(before):
            return self, allowed
        if sum(line.share for line in before) + 1 / maximum > 1 + ROUNDING:
            return self, allowed.model_copy(update={"problem": _used_up(len(before), maximum)})
        line = Line(budget=budget, weights=weights, judgement=judgement, share=1 / maximum, run=run, at=at)
        grown = (*self.budgets[:budget], np.union1d(known, rows), *self.budgets[budget + 1 :])
        return replace(self, lines=(*self.lines, line), budgets=grown), allowed

    def place_of(self, weights: str, judgement: str) -> int:
        """A judgement's place among those made on its rows, on the set judged on most often; else 0."""
        listed: dict[int, list[tuple[str, str]]] = {}
        for line in self.lines:
            listed.setdefault(line.budget, []).append((line.weights, line.judgement))
        pair = (weights, judgement)
        return max((pairs.index(pair) + 1 for pairs in listed.values() if pair in pairs), default=0)

    def _budget_of(self, rows: Rows) -> int:
        """The budget that at least half of the rows belong to, the most spent if several; else a new one."""
        shared = [np.isin(rows, known, assume_unique=True).mean() for known in self.budgets]
        spent = [sum(line.share for line in self.lines if line.budget == i) for i in range(len(shared))]
        same = [i for i, share in enumerate(shared) if share >= SAME_SET]
        return max(same, key=lambda i: spent[i], default=len(self.budgets))


def _used_up(made: int, maximum: int) -> str:
    plural = "" if made == 1 else "s"
    return (
        f"test set used up: {made} judgement{plural} made on these rows, and the plan's max_judgements is "
        f"{maximum}; more than half of the test rows must be ones never judged before"
    )


def judge_within(
    counts: Mapping[str, Counts], training: Cube, judgement: Judgement, allowance: Allowance
) -> tuple[Judged, ...]:
    """Judge a plan's limits at the level that was allowed; without an allowance nothing is shown.

    Args:
        counts: what is kept of each set of rows: of the test part, and of the audit sets.
        training: counts of the training part, which settle who is judged.
        judgement: the limits and the policy for small groups.
        allowance: drawn before the test part was opened.
    """
    judged = judge_sets(counts, training, judgement, allowance.alpha)
    return withheld(judged, allowance.problem) if allowance.problem else tuple(judged)


def withheld(judged: Sequence[Judged], problem: str) -> tuple[Judged, ...]:
    """The same measurements, each INCONCLUSIVE for a reason that lies outside of them."""
    return tuple(
        one.model_copy(
            update={
                "verdict": Verdict.INCONCLUSIVE,
                "settles": problem,
                "sentence": f"{words(one.metric)} by {one.attribute}{on_set(one.on)}: {problem}",
            }
        )
        for one in judged
    )
