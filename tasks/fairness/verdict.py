"""What a gate says: the three verdicts and the record of one judged limit."""

from __future__ import annotations

from enum import StrEnum

from tasks.evidence.records import Record
from tasks.plan.judgement import TEST


class Verdict(StrEnum):
    """PASS and FAIL are each shown with a stated error rate; INCONCLUSIVE claims nothing."""

    PASS = "PASS"  # noqa: S105 - a verdict
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"

    @classmethod
    def worst(cls, verdicts: list[Verdict]) -> Verdict:
        """FAIL if any fails, else INCONCLUSIVE if any is (or none was given), else PASS."""
        if cls.FAIL in verdicts:
            return cls.FAIL
        if cls.INCONCLUSIVE in verdicts or not verdicts:
            return cls.INCONCLUSIVE
        return cls.PASS


class GroupRate(Record):
    """A group's rate behind a metric.

    Attributes:
        rate_name: which rate or other quantity (``tpr``, ``f1``, ``auc`` ...), followed by the class where
            each is held against the rest: ``tpr (b)``.
        group: the group's level, or levels joined by " x ".
        events: numerator, in rows; of a sum of rates, those of all; of the score's quantities, positives.
        n: denominator, likewise.
        rate: events / n (weighted where rows are), or the quantity that follows; None when undefined.
        low: lower limit of the two-sided 95% interval (a rate's is Clopper-Pearson), None when undefined.
        high: upper limit likewise, None also when infinite.
        judged: whether the group takes part in the verdict.
        design_effect: variance over that of as many independent, equal rows; None when undefined.
    """

    rate_name: str
    group: str
    events: int
    n: int
    rate: float | None
    low: float | None
    high: float | None
    judged: bool = True
    design_effect: float | None = 1.0


class Judged(Record):
    """One limit, judged.

    Attributes:
        metric: the metric's name.
        attribute: the attribute or crossing.
        limit: the plan's limit.
        verdict: computed, never written by hand.
        measurement: the metric's value over judged groups, None when undefined.
        low: lower bound of the metric, at ``alpha / comparisons`` (difference: FAIL needs it above the
            limit) or at ``alpha`` (ratio: PASS needs it above the limit).
        high: upper bound of the metric, at ``alpha`` (difference: PASS needs it below the limit) or at
            ``alpha / comparisons`` (ratio: FAIL needs it below the limit). The bound that PASS needs is
            None where a judged rate is undefined.
        alpha: the level in force.
        comparisons: ordered pairs of groups over all rates and limits judged together.
        n: rows in the denominators of the worst pair.
        worst: the pair of groups that decides, and the rate it differs in: (rate, high, low).
        measured_on: the pair of groups that `measurement` is of, as `worst`; of several rates the widest.
        worst_value: the metric of `worst`, None when undefined: where bounds are wider for fewer rows, the
            pair that decides is not the one that lies furthest apart.
        settles: what would settle an INCONCLUSIVE, or "" otherwise.
        detectable: minimum detectable disparity of the worst pair: equal rates would be shown, with
            80% power, to differ by less than this (difference) or to have more than this ratio.
        groups: every group's rates.
        not_judged: groups listed under the plan's `too_small: report`.
        sentence: both sides in words: "... 0.14 > limit 0.10 (F vs M, n=212)".
        on: the set of rows that it was judged on: the test part, or an audit set by its name.
    """

    metric: str
    attribute: str
    limit: float
    verdict: Verdict
    measurement: float | None
    low: float | None
    high: float | None
    alpha: float
    comparisons: int
    n: int
    worst: tuple[str, str, str] | None
    measured_on: tuple[str, str, str] | None = None
    worst_value: float | None = None
    settles: str = ""
    detectable: float | None = None
    groups: tuple[GroupRate, ...] = ()
    not_judged: tuple[str, ...] = ()
    sentence: str = ""
    on: str = TEST


class Verdicts(Record):
    """All limits of a plan, judged together.

    Attributes:
        judged: one record a limit, in the plan's order.
    """

    judged: tuple[Judged, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of them; INCONCLUSIVE when there is none."""
        return Verdict.worst([one.verdict for one in self.judged])

    @property
    def problems(self) -> tuple[str, ...]:
        """Sentences of the limits that FAIL."""
        return tuple(one.sentence for one in self.judged if one.verdict is Verdict.FAIL)

    @property
    def summary(self) -> str:
        """How many limits got which verdict."""
        counts = ((v, sum(one.verdict is v for one in self.judged)) for v in Verdict)
        return ", ".join(f"{n} {v}" for v, n in counts if n) + f" of {len(self.judged)} limits"
