"""Mitigation: steps against bias before, during and after training, in the order in which they are made."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from tasks.plan.base import Member, Term

Strength = Annotated[float, Field(ge=0, le=1)]
Stage = Literal["rows", "features", "training", "decision"]
Slack = Annotated[float, Field(ge=0, lt=1)]


class Reweighing(Member):
    """Kamiran and Calders' reweighing of group x label, before training."""

    stage: ClassVar[Stage] = "rows"
    kind: Literal["reweighing"]
    attribute: str = Field(description="a protected attribute, or a crossing: sex x race")
    strength: Strength = Field(
        1.0, description="0 leaves the weights at 1, 1 makes group and label independent"
    )


class Resampling(Member):
    """Rows drawn again or left out until the cells of group x label are equally large."""

    stage: ClassVar[Stage] = "rows"
    kind: Literal["resampling"]
    attribute: str = Field(description="a protected attribute, or a crossing: sex x race")
    way: Literal["over", "under", "both"] = Field(
        "both", description="up to the largest cell, down to the smallest, or all to the mean size"
    )
    strength: Strength = Field(1.0, description="0 leaves the cells as they are, 1 makes them equal")


class Counterfactual(Member):
    """Copies of fit rows that differ in the group alone: identity terms swapped, or the attribute's value."""

    stage: ClassVar[Stage] = "rows"
    kind: Literal["counterfactual"]
    swaps: list[tuple[Term, Term]] = Field(
        default_factory=list, description="of text: terms that change places, whole words in any case"
    )
    attribute: str | None = Field(None, description="of a table: the attribute that gets another level")
    share: Annotated[float, Field(gt=0, le=1)] = Field(1.0, description="of the rows that can be copied")

    @model_validator(mode="after")
    def _one_is_given(self) -> Counterfactual:
        if bool(self.swaps) == (self.attribute is not None):
            raise ValueError("give `swaps` (of text) or `attribute` (of a table), and not both")
        return self

    @field_validator("swaps")
    @classmethod
    def _terms_change(cls, swaps: list[tuple[str, str]]) -> list[tuple[str, str]]:
        alike = [tuple(" ".join(term.lower().split()) for term in pair) for pair in swaps]
        if same := sorted({one for one, other in alike if one == other}):
            raise ValueError(f"{', '.join(map(repr, same))}: a term is swapped for another, found itself")
        terms = [term for pair in alike for term in pair]
        if twice := sorted({term for term in terms if terms.count(term) > 1}):
            raise ValueError(f"{', '.join(map(repr, twice))}: a term stands in one pair, found in several")
        return swaps


class Augmentation(Member):
    """Altered copies of images or recordings, until the cells of group x label are equally large."""

    stage: ClassVar[Stage] = "rows"
    kind: Literal["augmentation"]
    attribute: str = Field("label", description="an attribute or crossing; `label` balances classes alone")
    shift: Annotated[float, Field(ge=0, le=0.5)] = Field(
        0.1, description="largest shift: of an image's sides, or of a recording's length"
    )
    rotate: Annotated[float, Field(ge=0, le=45)] = Field(
        10.0, description="of an image: largest angle, degrees"
    )
    gain: Annotated[float, Field(ge=0, le=20)] = Field(6.0, description="of a recording: largest gain, dB")
    noise: Annotated[float, Field(ge=0, le=0.2)] = Field(
        0.01, description="deviation of added noise, as a share of the full range"
    )
    copies: Annotated[float, Field(ge=0, le=10)] = Field(
        0.0, description="altered copies of each row of the largest cell; the other cells keep up with it"
    )


class Synthesis(Member):
    """Generated rows for thin cells of group x label (SMOTE for categories and numbers), marked as such."""

    stage: ClassVar[Stage] = "rows"
    kind: Literal["synthesis"]
    attribute: str = Field(description="a protected attribute, or a crossing: sex x race")
    minimum: Annotated[int, Field(ge=10)] = Field(description="rows that every cell shall have")
    neighbours: Annotated[int, Field(ge=1, le=50)] = 5


class Masking(Member):
    """Identity terms of a text become one neutral token, in training and at every decision."""

    stage: ClassVar[Stage] = "features"
    kind: Literal["masking"]
    identities: Annotated[list[str], Field(min_length=1)] = Field(
        description="columns of judgement.data.identities whose terms are masked"
    )
    also: list[Term] = Field(default_factory=list, description="further terms")


class Constraint(Member):
    """A fairness constraint: multipliers by exponentiated gradient (Agarwal et al. 2018) in the loop."""

    stage: ClassVar[Stage] = "training"
    kind: Literal["constraint"]
    metric: Literal["demographic_parity", "equalized_odds", "bounded_group_loss"]
    attribute: str
    slack: Annotated[float, Field(ge=0)] = Field(
        0.02, description="allowed gap between a group's rate and all rows'; of a loss: the bound, in nats"
    )
    bound: Annotated[float, Field(gt=0, le=1000)] = Field(
        2.0,
        description="largest sum of the multipliers: how much the constraint may weigh against the loss; and "
        "the price, in nats, of a gap of 1 beyond the slack when the best epoch is chosen",
    )
    rate: Annotated[float, Field(gt=0, le=100)] = Field(
        2.0, description="of the exponentiated gradient, a step an epoch; too high a rate swings to and fro"
    )

    @model_validator(mode="after")
    def _slack_has_the_metrics_unit(self) -> Constraint:
        of_loss = self.metric == "bounded_group_loss"
        if of_loss and "slack" not in self.model_fields_set:
            raise ValueError("`slack` is expected: the mean loss, in nats, that no group shall exceed")
        if not of_loss and self.slack >= 1:
            raise ValueError(f"a slack below 1 is expected, a difference of rates; found {self.slack:g}")
        return self


class Adversary(Member):
    """Adversarial debiasing (Zhang et al. 2018): the output shall not tell the group."""

    stage: ClassVar[Stage] = "training"
    kind: Literal["adversary"]
    metric: Literal["demographic_parity", "equalized_odds"] = Field(
        "equalized_odds", description="under equalized odds the adversary knows the label"
    )
    attribute: str
    strength: Annotated[float, Field(gt=0, le=100)] = Field(
        1.0,
        description="weight of the adversary's loss against the network's own; and the price, in nats, of a "
        "gap of 1 when the best epoch is chosen",
    )
    hidden: Annotated[int, Field(ge=1, le=512)] = 32


class Calibration(Member):
    """Platt scaling of the score by group, fitted on validation rows. Reads the group at every decision."""

    stage: ClassVar[Stage] = "decision"
    kind: Literal["calibration"]
    attribute: str


class Thresholds(Member):
    """A threshold for each group, from validation counts. Reads the group at every decision."""

    stage: ClassVar[Stage] = "decision"
    kind: Literal["thresholds"]
    metric: Literal["demographic_parity", "equalized_odds", "equal_opportunity", "four_fifths"]
    attribute: str
    slack: Slack = Field(0.01, description="gap that is left on validation rows; of four-fifths: above 0.8")

    @model_validator(mode="after")
    def _ratio_is_at_most_one(self) -> Thresholds:
        if self.metric == "four_fifths" and self.slack > 0.2:
            raise ValueError(
                f"slack: of four-fifths at most 0.2 is expected: no ratio is above 1; found {self.slack:g}"
            )
        return self


Step = Annotated[
    Reweighing
    | Resampling
    | Counterfactual
    | Augmentation
    | Synthesis
    | Masking
    | Constraint
    | Adversary
    | Calibration
    | Thresholds,
    Field(discriminator="kind"),
]
"""A step against bias."""


def attribute_of(step: Step) -> str:
    """The attribute or crossing that a step names; nothing where it names none."""
    return getattr(step, "attribute", None) or ""
