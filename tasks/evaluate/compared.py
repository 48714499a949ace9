"""What a comparison of variants of one plan finds: changes against the model without mitigation."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from tasks.evaluate.records import Estimate
from tasks.evidence.records import Record
from tasks.fairness.allowance import Allowance
from tasks.fairness.verdict import Judged
from tasks.plan.judgement import TEST

Shown = Literal["rose", "fell", "not shown"]


class Change(Record):
    """A number without and with a step, on the same rows.

    Attributes:
        before: without mitigation, None where undefined.
        after: of the variant.
        change: after - before.
        low: lower end of the two-sided 95% interval of the change, None where there is none.
        high: its upper end.
    """

    before: float | None
    after: float | None
    change: float | None
    low: float | None
    high: float | None

    @property
    def shown(self) -> Shown:
        """Whether the interval lies on one side of 0."""
        if self.low is None or self.high is None:
            return "not shown"
        return "rose" if self.low > 0 else "fell" if self.high < 0 else "not shown"


class GroupChange(Change):
    """A rate of one group.

    Attributes:
        attribute: what the group is of.
        group: its name.
        rate: selection_rate, tpr, fpr or accuracy; with the class where each is held against the rest.
        n: rows that it is taken over, the same for both models.
        gained: rows that only the variant counts as events.
        lost: rows that only the model without mitigation does.
    """

    attribute: str
    group: str
    rate: str
    n: int
    gained: int
    lost: int


class LimitChange(Change):
    """The metric that a limit of the plan bounds.

    Attributes:
        metric: its name in the plan.
        attribute: of the limit.
        limit: the plan's.
        on: the set of rows.
        levelling_down: whether the gap is shown to fall, some group's favourable rate to become worse with
            it, and none better; None where the metric compares no groups, or no rate that is good to have,
            and where the change is undefined or has no interval.
    """

    metric: str
    attribute: str
    limit: float
    on: str = TEST
    levelling_down: bool | None = None


class SetChange(Record):
    """One set of rows.

    Attributes:
        on: the test part, or an audit set.
        rows: how many, the same for both models.
        accuracy: over all rows.
        limits: in the plan's order.
        groups: every group's own rates.
        flips: share of pairs of texts that differ in a term alone and are answered differently; None where
            the unit is no frame.
    """

    on: str
    rows: int
    accuracy: Change
    limits: tuple[LimitChange, ...]
    groups: tuple[GroupChange, ...]
    flips: Change | None = None


class Variant(Record):
    """A variant as it came out.

    Attributes:
        name: `none`, a step's kind, `plan`, or a name in compare.yaml.
        mitigation: its steps, in words.
        settings: of its recipe, key -> value, beside the steps.
        recipe: digest of the recipe.
        refused: why it could not be trained, or "".
        weights: digest of the frozen model; "" where there is none.
        allowance: what its judgement could spend.
        performance: on the test part.
        judged: the verdicts on it.
        changes: against `none`, by set of rows; none for `none` itself.
        run: its nested run in MLflow.
    """

    name: str
    mitigation: tuple[str, ...]
    settings: dict[str, Any]
    recipe: str
    refused: str = ""
    weights: str = ""
    allowance: Allowance | None = None
    performance: tuple[Estimate, ...] = ()
    judged: tuple[Judged, ...] = ()
    changes: tuple[SetChange, ...] = ()
    run: str = ""

    @property
    def accuracy(self) -> float | None:
        """On the test part."""
        return next((one.value for one in self.performance if one.name == "accuracy"), None)

    @property
    def on_test(self) -> SetChange | None:
        """The changes on the test part."""
        return next((one for one in self.changes if one.on == TEST), None)


class Comparison(Record):
    """compare.json: the same data with and without each step.

    Attributes:
        version: of this record's form.
        plan: its name.
        judgement: digest of the judgement that all variants share.
        data: digest of the dataset version.
        code: digest of the code.
        seed: that every variant was trained with.
        test_rows: how many were judged on.
        level: of the intervals.
        variants: `none` first.
        fronts: metric by attribute of each gap on the test part -> variants that none beats in both
            accuracy and that gap, by what was measured.
    """

    version: Literal[1] = 1
    plan: str
    judgement: str
    data: str
    code: str
    seed: int
    test_rows: int
    level: float = 0.95
    variants: tuple[Variant, ...]
    fronts: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    @property
    def finished(self) -> tuple[Variant, ...]:
        """Variants that were trained and judged."""
        return tuple(one for one in self.variants if not one.refused)
