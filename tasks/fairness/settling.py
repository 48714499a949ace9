"""What a verdict says in words: both sides, the pair, and what would settle an INCONCLUSIVE."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, isfinite, isnan
from typing import Any

from scipy.special import ndtri

from tasks.fairness.columns import UNKNOWN
from tasks.fairness.groups import Groups
from tasks.fairness.scales import Scale
from tasks.fairness.table import Metric
from tasks.fairness.verdict import Verdict
from tasks.fairness.words import words
from tasks.plan.judgement import Limit

POWER = 0.8
PRACTICAL_ROWS = 1e9
SHOWN = 8


@dataclass(frozen=True, eq=False)
class Pair:
    """An ordered pair of groups: does g lie too far above h?

    Attributes:
        groups: the table they are from.
        g: position of the group that may lie too high.
        h: position of the group that may lie too low.
        value: the metric of the pair, nan where undefined.
        worst_case: bound on the bad side at alpha.
        best_case: bound on the good side at alpha / comparisons.
    """

    groups: Groups
    g: int
    h: int
    value: float
    worst_case: float
    best_case: float

    @property
    def n(self) -> int:
        """Rows in both denominators, or in the one of a group by itself."""
        return int(self.groups.n[list({self.g, self.h})].sum())

    @property
    def names(self) -> tuple[str, str, str]:
        """The rate and both groups."""
        return self.groups.name, self.groups.names[self.g], self.groups.names[self.h]

    def with_worst_case(self, bound: float) -> Pair:
        """The pair with another bound on the bad side."""
        return replace(self, worst_case=bound)

    def with_best_case(self, bound: float) -> Pair:
        """The pair with another bound on the good side."""
        return replace(self, best_case=bound)


def said_bounds(low: float | None, high: float | None) -> str:
    """Bounds in words; one that is missing or infinite is none."""
    known = ["" if bound is None or not isfinite(bound) else f"{bound:.3f}" for bound in (low, high)]
    if all(known):
        return "between {} and {}".format(*known)
    return f"at least {known[0]}" if known[0] else f"at most {known[1]}" if known[1] else "not bounded"


@dataclass(frozen=True, eq=False)
class View:
    """A limit and the levels in force, for what is said about it."""

    metric: Metric[Any]
    limit: Limit
    alpha: float
    comparisons: int

    @property
    def scale(self) -> Scale:
        """How the metric compares."""
        return self.metric.scale

    def detectable(self, pair: Pair) -> float | None:
        """Minimum detectable disparity at 80% power, by the normal approximation at equality.

        For a limit on a group's own value: the limit that the group as observed could be shown to keep.
        """
        spread = float(-ndtri(self.alpha) + ndtri(POWER))
        if self.scale.alone:
            value, error = pair.value, pair.groups.error(pair.g, self.alpha)
        else:
            value, error = pair.groups.error_at_equality(pair.g, pair.h, self.alpha)
        known = value > 0 and not isnan(pair.value)
        found = self.scale.distance(spread, value, error) if known else float("nan")
        return found if isfinite(found) else None

    def settles(self, pair: Pair | None, reasons: list[str]) -> str:
        """What would settle it: the reasons that bar a pass, or the rows that the pair lacks."""
        if reasons:
            return "; ".join(reasons)
        if pair is None:
            return "no two groups to compare"
        if isnan(pair.value):
            return f"{self._nobody(pair)}: the {self.metric.kind} is undefined"
        rate, g, h = pair.names
        against = "" if self.scale.alone else f" against {h}"
        found = self.detectable(pair)
        shown = "" if found is None else self._shown(found)
        bounds = said_bounds(*sorted((pair.best_case, pair.worst_case)))
        need = pair.groups.said_need(f"{shown}{self._rows_needed(pair)}", self._level(pair))
        return f"{words(rate)} of {g}{against}: {bounds}; {need}"

    def _level(self, pair: Pair) -> float:
        """The level at which a verdict on the pair's side of the limit is shown."""
        kept = (self.limit.limit - pair.value) * self.scale.sign > 0
        return self.alpha if kept else self.alpha / self.comparisons

    @staticmethod
    def _nobody(pair: Pair) -> str:
        """Whose rate is 0, where all are: no ratio can be taken."""
        groups = pair.groups
        names = [groups.names[i] for i in range(len(groups.names)) if groups.judged[i]]
        listed = ", ".join(names[:SHOWN]) + (" ..." if len(names) > SHOWN else "")
        if groups.name == "selection_rate":
            return f"nobody was selected in {listed}"
        return f"the {words(groups.name)} is 0 in {listed}"

    def _shown(self, found: float) -> str:
        what = "it could be shown to keep" if self.scale.alone else "equal rates could be shown to keep"
        if self.metric.kind == "ratio":
            return f"{what} a ratio of at least {found:.3f} (80% power); "
        return f"{what} {found:.3f} (minimum detectable disparity, 80% power); "

    def _rows_needed(self, pair: Pair) -> str:
        """Rows of which group would settle the pair with 80% power, were its values as observed."""
        value, alone = pair.groups.value, self.scale.alone
        slope, intercept = self.scale.margin(self.limit.limit)
        margin = float(value[pair.g]) - slope * float(value[pair.h]) - intercept
        allowed = (margin / float(-ndtri(self._level(pair)) + ndtri(POWER))) ** 2
        own = pair.groups.error(pair.g, self.alpha) ** 2
        other = 0.0 if alone else (slope * pair.groups.error(pair.h, self.alpha)) ** 2
        grow, need = self._cheapest(pair, own, other, allowed)
        if unknown := [name for name in pair.names[1:] if UNKNOWN in name.split(" x ") and name in grow]:
            return f"{unknown[0]}: find out these rows' group, or leave them out and say so"
        if not isfinite(need) or need > PRACTICAL_ROWS:
            return "at these rates it lies so near the limit that no practical number of rows would settle it"
        return f"about {need:,.0f} rows of {grow} would settle it at these rates"

    @staticmethod
    def _cheapest(pair: Pair, own: float, other: float, allowed: float) -> tuple[str, float]:
        """The group to grow and the rows it needs: the one that weighs most, or else both."""
        (large, index), (small, _) = sorted([(own, pair.g), (other, pair.h)], reverse=True)
        rows = int(pair.groups.rows[index])
        name = f"{pair.groups.names[index]} (now {rows:,})"
        if allowed > 1.5 * small and isfinite(large):
            return name, max(rows + 1, ceil(rows * large / (allowed - small)))
        factor = (large + small) / allowed if allowed > 0 else float("inf")
        both = int(pair.groups.rows[pair.g]) + int(pair.groups.rows[pair.h])
        names = f"{pair.groups.names[pair.g]} and {pair.groups.names[pair.h]} together (now {both:,})"
        return names, both * max(factor, 1.0)

    def sentence(
        self,
        verdict: Verdict,
        most: Pair | None,
        bounds: tuple[float | None, float | None],
        pair: Pair | None,
        settles: str,
    ) -> str:
        """Both sides in words: "equal opportunity difference 0.140 > limit 0.1 (F vs M, n=212) ...".

        Where another pair than the deciding one lies furthest apart, both are told.
        """
        rising = self.scale.sign > 0
        limit = f"limit {self.limit.limit:g}"
        where = self._where(pair)
        value = f"{self.metric.words} {self._values(verdict, most, pair)}"
        if verdict is Verdict.FAIL and pair is not None:
            sign, side = (">", "at least") if rising else ("<", "at most")
            return f"{value} {sign} {limit}{where}: {side} {pair.best_case:.3f}"
        if verdict is Verdict.PASS and pair is not None:
            sign, side = ("<=", "at most") if rising else (">=", "at least")
            return f"{value} {sign} {limit}{where}: {side} {pair.worst_case:.3f}"
        known = "" if most is None else f", {said_bounds(*bounds)}"
        return f"{value}{known}, {limit}{where}: {settles}"

    def _values(self, verdict: Verdict, most: Pair | None, pair: Pair | None) -> str:
        """The measured value; where the deciding pair has another, both and whose they are."""
        if most is None or pair is None or f"{most.value:.3f}" == f"{pair.value:.3f}":
            shown = pair if verdict is Verdict.FAIL else most
            return "undefined" if shown is None else f"{shown.value + 0.0:.3f}"
        how = "shown" if verdict is Verdict.FAIL else "decided"
        return f"{most.value:.3f} ({self._named(most)}); {how} on {self._named(pair)}, {pair.value:.3f}"

    def _named(self, pair: Pair) -> str:
        rate, g, h = pair.names
        named = f"{words(rate)} of " if len(self.metric.quantities) > 1 or rate.endswith(")") else ""
        return f"{named}{g}" if self.scale.alone else f"{named}{g} against {h}"

    def _where(self, pair: Pair | None) -> str:
        if pair is None:
            return ""
        rate, g, h = pair.names
        named = f"{words(rate)} of " if len(self.metric.quantities) > 1 or rate.endswith(")") else ""
        versus = "" if self.scale.alone else f" vs {h}"
        return f" ({named}{g}{versus}, n={pair.n})"
