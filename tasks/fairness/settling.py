"""What a verdict says in words: both sides, the pair, and what would settle an INCONCLUSIVE."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, isfinite

from scipy.special import ndtri

from tasks.fairness.groups import Groups
from tasks.fairness.metrics import ParityMetric
from tasks.fairness.scales import Scale
from tasks.fairness.verdict import Verdict
from tasks.plan.judgement import Limit

POWER = 0.8
PRACTICAL_ROWS = 1e9


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
    def high(self) -> tuple[int, int]:
        """Events and denominator of g."""
        return int(self.groups.events[self.g]), int(self.groups.n[self.g])

    @property
    def low(self) -> tuple[int, int]:
        """Events and denominator of h."""
        return int(self.groups.events[self.h]), int(self.groups.n[self.h])

    @property
    def n(self) -> int:
        """Rows in both denominators."""
        return self.high[1] + self.low[1]

    @property
    def names(self) -> tuple[str, str, str]:
        """The rate and both groups."""
        return self.groups.rate.name, self.groups.names[self.g], self.groups.names[self.h]

    def with_worst_case(self, bound: float) -> Pair:
        """The pair with another bound on the bad side."""
        return replace(self, worst_case=bound)

    def with_best_case(self, bound: float) -> Pair:
        """The pair with another bound on the good side."""
        return replace(self, best_case=bound)


def _smoothed(events: int, n: int) -> float:
    """A rate strictly between 0 and 1 (Agresti and Coull's plus one), for planning only."""
    return (events + 1) / (n + 2)


@dataclass(frozen=True, eq=False)
class View:
    """A limit and the levels in force, for what is said about it."""

    metric: ParityMetric
    limit: Limit
    scale: Scale
    alpha: float
    comparisons: int

    def detectable(self, pair: Pair) -> float:
        """Minimum detectable disparity at 80% power, by the normal approximation at the pooled rate."""
        (x, n), (y, m) = pair.high, pair.low
        spread = -ndtri(self.alpha) + ndtri(POWER)
        return self.scale.distance(float(spread), _smoothed(x + y, n + m), 1 / n + 1 / m)

    def settles(self, pair: Pair | None, reasons: list[str]) -> str:
        """What would settle it: the reasons that bar a pass, or the rows that the pair lacks."""
        if reasons:
            return "; ".join(reasons)
        if pair is None:
            return "no two groups to compare"
        rate, g, h = pair.names
        low, high = sorted((pair.best_case, pair.worst_case))
        return (
            f"{rate} of {g} against {h} lies between {low:.3f} and {high:.3f}; equal rates could be shown "
            f"to keep {self.detectable(pair):.3f} (minimum detectable disparity, 80% power); "
            f"{self._rows_needed(pair)}"
        )

    def _rows_needed(self, pair: Pair) -> str:
        """Rows of which group would settle the pair with 80% power, were its rates as observed."""
        (x, n), (y, m) = pair.high, pair.low
        line = self.scale.kept(self.limit.limit)
        margin = x / n - line.slope * y / m - line.intercept
        level = self.alpha if margin < 0 else self.alpha / self.comparisons
        allowed = (margin / float(-ndtri(level) + ndtri(POWER))) ** 2
        p, q = _smoothed(x, n), _smoothed(y, m)
        own, other = p * (1 - p), line.slope**2 * q * (1 - q)
        grow, need = self._cheapest(pair, (own, n), (other, m), allowed)
        if not isfinite(need) or need > PRACTICAL_ROWS:
            return "at these rates it lies so near the limit that no practical number of rows would settle it"
        return f"about {need:,.0f} rows of {grow} would settle it at these rates"

    @staticmethod
    def _cheapest(
        pair: Pair, high: tuple[float, int], low: tuple[float, int], allowed: float
    ) -> tuple[str, float]:
        """The group to grow and the rows it needs: the one that weighs most, or else both."""
        parts = [(high[0] / high[1], pair.g), (low[0] / low[1], pair.h)]
        (large, index), (small, _) = sorted(parts, reverse=True)
        rows = int(pair.groups.rows[index])
        name = f"{pair.groups.names[index]} (now {rows:,})"
        if allowed > 1.5 * small:
            return name, max(rows + 1, ceil(rows * large / (allowed - small)))
        factor = (large + small) / allowed if allowed > 0 else float("inf")
        both = int(pair.groups.rows[pair.g]) + int(pair.groups.rows[pair.h])
        names = f"{pair.groups.names[pair.g]} and {pair.groups.names[pair.h]} together (now {both:,})"
        return names, both * max(factor, 1.0)

    def sentence(
        self,
        verdict: Verdict,
        measured: float | None,
        bounds: tuple[float | None, float | None],
        pair: Pair | None,
        settles: str,
    ) -> str:
        """Both sides in words: "equal opportunity difference 0.140 > limit 0.1 (F vs M, n=212) ..."."""
        difference = self.metric.kind == "difference"
        limit = f"limit {self.limit.limit:g}"
        where = self._where(pair)
        if verdict is Verdict.FAIL and pair is not None:
            sign, words = (">", "at least") if difference else ("<", "at most")
            return f"{self.metric.words} {pair.value:.3f} {sign} {limit}{where}: {words} {pair.best_case:.3f}"
        value = "undefined" if measured is None else f"{measured:.3f}"
        if verdict is Verdict.PASS and pair is not None:
            sign, words = ("<=", "at most") if difference else (">=", "at least")
            return f"{self.metric.words} {value} {sign} {limit}{where}: {words} {pair.worst_case:.3f}"
        low, high = ("?" if bound is None else f"{bound:.3f}" for bound in bounds)
        return f"{self.metric.words} {value}, between {low} and {high}, {limit}{where}: {settles}"

    def _where(self, pair: Pair | None) -> str:
        if pair is None:
            return ""
        rate, g, h = pair.names
        named = f"{rate} of " if len(self.metric.rates) > 1 else ""
        return f" ({named}{g} vs {h}, n={pair.n})"
