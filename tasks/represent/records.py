"""What the representativeness checks hand on."""

from __future__ import annotations

from tasks.evidence.records import FileRef, Record
from tasks.fairness.verdict import Verdict


class Ratio(Record):
    """Representation ratio of one level: sample share / population share.

    Attributes:
        attribute: the attribute or crossing.
        level: the level, or levels joined by " x ".
        n: rows of the sample at this level.
        sample_share: n / rows.
        population_share: the reference.
        ratio: sample_share / population_share, None when the reference has none.
        low: lower limit of the ratio's 95% interval.
        high: upper limit.
        raked_share: share after raking, None without raking.
        verdict: against the plan's ratio limits, None when the plan sets none (then a warning).
    """

    attribute: str
    level: str
    n: int
    sample_share: float
    population_share: float
    ratio: float | None
    low: float | None
    high: float | None
    raked_share: float | None
    verdict: Verdict | None


class Raked(Record):
    """Weights by cell after raking, and what the plan requires of them.

    Attributes:
        attributes: the axes of ``cells``.
        cells: level of each axis joined by " x " -> weight (mean 1 over the training rows).
        effective_size: (sum w)^2 / sum w^2.
        effective_share: effective_size / n.
        maximum_weight: the largest weight.
        worst_margin_error: largest relative distance of a raked margin from the reference.
        iterations: passes of iterative proportional fitting.
        problems: limits of the plan that do not hold, each with both sides; empty when all hold.
    """

    attributes: tuple[str, ...]
    cells: dict[str, float]
    effective_size: float
    effective_share: float
    maximum_weight: float
    worst_margin_error: float
    iterations: int
    problems: tuple[str, ...] = ()


class ColumnDrift(Record):
    """How far one column moved; ``statistic`` names the pinned effect size."""

    column: str
    statistic: str
    value: float
    limit: float
    drifted: bool


class Represented(Record):
    """The representativeness step as a whole.

    Attributes:
        ratios: one per attribute level compared.
        effects: attribute -> {"cohen_w", "psi", "js_distance", "g_test_p"} (the p for information).
        raked: None when the plan asks for none.
        drift: per column, against the champion's training data or of test against train.
        drift_against: what ``drift`` compares with, in words.
        warnings: shown on the run's front page; they refuse nothing.
        problems: rules of the plan that do not hold; any ends the run as Refused.
        reports: files to show in the run (Evidently's HTML and JSON).
    """

    ratios: tuple[Ratio, ...]
    effects: dict[str, dict[str, float]]
    raked: Raked | None
    drift: tuple[ColumnDrift, ...]
    drift_against: str
    warnings: tuple[str, ...]
    problems: tuple[str, ...]
    reports: tuple[FileRef, ...] = ()
