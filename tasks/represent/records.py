"""What the representativeness checks hand on."""

from __future__ import annotations

from tasks.evidence.records import FileRef, Record
from tasks.fairness.showable import Showable
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


class Effect(Record):
    """How far the sample's distribution of one attribute is from the population's, against a limit.

    Attributes:
        attribute: the attribute or crossing.
        effect: cohen_w, psi or js_distance.
        value: measured.
        low: lower bound, which FAIL needs above the limit; None where no bound can be given.
        high: upper bound, which PASS needs below the limit; None likewise.
        limit: the plan's.
        verdict: computed.
        reason: why there are no bounds, or "".
    """

    attribute: str
    effect: str
    value: float
    low: float | None
    high: float | None
    limit: float
    verdict: Verdict
    reason: str = ""


class Proxy(Record):
    """How well the other input columns tell a protected attribute.

    Attributes:
        attribute: the protected attribute.
        rows: rows it was measured on, a seeded sample of the training part.
        auc: of all columns together, cross-validated; the mean over levels of one against the rest. None
            where no level has rows enough.
        level_auc: the same by level.
        information: column -> mutual information / entropy of the attribute, in [0, 1], falling; adjusted
            for the number of cells.
        limit: the plan's `proxies.maximum_auc`, or None.
        beyond: whether ``auc`` exceeds it.
    """

    attribute: str
    rows: int
    auc: float | None
    level_auc: dict[str, float]
    information: dict[str, float]
    limit: float | None
    beyond: bool


class Repeats(Record):
    """Rows that stand more than once, within a part and across both; rows are equal by their inputs.

    Attributes:
        train_rows: rows of the training part.
        train_repeated: of these, rows whose inputs an earlier row of the part has.
        train_identical: rows whose inputs and label an earlier row has.
        train_conflicting: rows whose inputs stand with more than one label in the part.
        test_rows: rows of the test part.
        test_repeated: as above, within the test part.
        test_identical: likewise.
        test_conflicting: likewise.
        leaked: test rows whose inputs stand in the training part.
        leaked_identical: of these, with the same label.
        leaked_share: leaked / test_rows.
        limit: the plan's `expectations.maximum_leakage_share`, or None.
    """

    train_rows: int
    train_repeated: int
    train_identical: int
    train_conflicting: int
    test_rows: int
    test_repeated: int
    test_identical: int
    test_conflicting: int
    leaked: int
    leaked_identical: int
    leaked_share: float
    limit: float | None


class Leak(Record):
    """Rows of an audit set whose inputs also stand in the training part.

    Attributes:
        on: the set.
        rows: of the set.
        leaked: of these, rows whose inputs stand in the training part.
        leaked_share: leaked / rows.
        limit: the plan's `expectations.maximum_leakage_share`, or None.
    """

    on: str
    rows: int
    leaked: int
    leaked_share: float
    limit: float | None


class LabelBias(Record):
    """How the labels of one group differ from those of all others, before any training.

    By the definitions of SageMaker Clarify (Hardt et al. 2021), the group being facet d and all other rows
    facet a. Undefined figures are None.

    Attributes:
        attribute: the protected attribute.
        group: its level.
        n: rows of the group, in the training part.
        label_rate: share of positive labels in the group.
        class_imbalance: (n_a - n_d) / (n_a + n_d), in [-1, 1].
        label_difference: positive share of a - positive share of d (DPL).
        kl: Kullback-Leibler divergence of d's labels from a's, in nats.
        js: Jensen-Shannon divergence, in nats.
        l2: Euclidean distance of the label shares (Lp with p = 2).
        total_variation: half the sum of absolute differences.
        ks: largest absolute difference of a label's share.
        demographic_disparity: share of d among negative labels - its share among positive ones.
        conditional_disparity: other attribute -> that disparity within each of its levels, averaged by rows
            (CDD); a level without positive or without negative labels is left out.
    """

    attribute: str
    group: str
    n: int
    label_rate: float | None
    class_imbalance: float
    label_difference: float | None
    kl: float | None
    js: float | None
    l2: float | None
    total_variation: float | None
    ks: float | None
    demographic_disparity: float | None
    conditional_disparity: dict[str, float | None]


class Anonymity(Record):
    """How well a row hides among those with the same quasi-identifiers, over both parts.

    Attributes:
        quasi_identifiers: protected attributes, and the plan's `privacy.quasi_identifiers`.
        rows: of the training and the test part.
        classes: different combinations.
        smallest_k: rows of the smallest class.
        small_share: share of rows in classes of fewer than 5.
        smallest_l: fewest different labels in a class, None where a number is predicted.
    """

    quasi_identifiers: tuple[str, ...]
    rows: int
    classes: int
    smallest_k: int
    small_share: float
    smallest_l: int | None


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
        judged_effects: one per attribute and effect that the plan limits.
        coverage: what the test part and the audit sets can show, one per limit.
        proxies: one per protected attribute.
        repeats: duplicates and leakage between the parts.
        leaks: leakage into the audit sets, one per set.
        label_bias: one per level of each protected attribute.
        anonymity: k-anonymity and l-diversity, None without protected attributes.
    """

    ratios: tuple[Ratio, ...]
    effects: dict[str, dict[str, float]]
    raked: Raked | None
    drift: tuple[ColumnDrift, ...]
    drift_against: str
    warnings: tuple[str, ...]
    problems: tuple[str, ...]
    reports: tuple[FileRef, ...] = ()
    judged_effects: tuple[Effect, ...] = ()
    coverage: tuple[Showable, ...] = ()
    proxies: tuple[Proxy, ...] = ()
    repeats: Repeats | None = None
    leaks: tuple[Leak, ...] = ()
    label_bias: tuple[LabelBias, ...] = ()
    anonymity: Anonymity | None = None
