"""The judgement: what the data must be, what is measured and what must hold. Locked before a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from tasks.plan.base import Member, crossing
from tasks.plan.data import Data
from tasks.plan.deidentification import Privacy
from tasks.plan.metrics import METRICS, Metric
from tasks.plan.source import Sha256, Source

Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$")]
SetName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
TEST = "test"
"""The set of rows that every plan has; audit sets have names of their own."""


class TestSet(Member):
    """The rows on which the model is judged."""

    fraction: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="share of units judged on, where no source is marked `part: test`"
    )
    stratified: bool = Field(
        default=False, description="with `fraction`: the same share of every class, to the unit"
    )
    where: dict[str, Annotated[list[str], Field(min_length=1)]] = Field(
        default_factory=dict, description="rows with these values of a column are the test part"
    )
    max_judgements: Annotated[int, Field(ge=1)] = 20

    @model_validator(mode="after")
    def _one_division(self) -> TestSet:
        if self.fraction is not None and self.where:
            raise ValueError("give `fraction` or `where`, not both")
        if self.stratified and self.fraction is None:
            raise ValueError("`stratified` needs `fraction`")
        return self


class Protected(Member):
    """A protected attribute, from a column of the data."""

    column: str
    bins: list[float] | None = Field(
        None, description="lower edges of bands of a number; the last band is open above"
    )

    @field_validator("bins")
    @classmethod
    def _edges_rise(cls, bins: list[float] | None) -> list[float] | None:
        if bins is not None and (len(bins) < 2 or sorted(set(bins)) != bins):
            raise ValueError("at least two edges are expected, in rising order")
        return bins

    def levels(self) -> list[str] | None:
        """Names of the bands, or None for a categorical attribute.

        That is "17-24", ..., "65+", or, unless all edges are whole numbers from 0 on, "-0.5 to 2", ..., "4+".
        """
        if self.bins is None:
            return None
        whole = self.bins[0] >= 0 and all(edge.is_integer() for edge in self.bins)
        word, less = ("-", 1) if whole else (" to ", 0)
        pairs = zip(self.bins, self.bins[1:], strict=False)
        closed = [f"{low:.12g}{word}{high - less:.12g}" for low, high in pairs]
        return [*closed, f"{self.bins[-1]:.12g}+"]


class Expectations(Member):
    """What holds of each part as a whole."""

    minimum_rows: dict[Literal["train", "test"], Annotated[int, Field(ge=1)]]
    maximum_null_share: Share = 0.1
    maximum_duplicate_share: Share = 0.01
    maximum_leakage_share: Share | None = Field(
        None,
        description="share of test rows whose inputs also stand in the training part; beyond it: Refused",
    )


class Raking(Member):
    """Weights that bring the training part to the reference margins, with their limits."""

    margins: Annotated[list[str], Field(min_length=1, description="attributes or crossings (sex x race)")]
    margin_tolerance: Annotated[float, Field(gt=0, le=0.1)] = 0.01
    minimum_effective_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    maximum_weight: Annotated[float, Field(gt=1)] = 10.0


class EffectLimits(Member):
    """How far the sample's distribution of an attribute may be from the population's, as a whole."""

    cohen_w: Annotated[float, Field(gt=0)] | None = Field(None, description="Cohen's w; 0.1 is small")
    psi: Annotated[float, Field(gt=0)] | None = Field(None, description="population stability index")
    js_distance: Annotated[float, Field(gt=0, lt=0.8326)] | None = Field(
        None, description="Jensen-Shannon distance, root of the divergence in nats, at most 0.8326"
    )

    @model_validator(mode="after")
    def _one_is_given(self) -> EffectLimits:
        if self.cohen_w is None and self.psi is None and self.js_distance is None:
            raise ValueError("give at least one of `cohen_w`, `psi` and `js_distance`")
        return self


class Population(Member):
    """The reference population, a small table of counts beside the plan."""

    file: str = Field(description="CSV in the plan's folder: one column per attribute and `count`")
    sha256: Sha256
    source: str = Field(description="where the figures come from")
    attributes: Annotated[list[str], Field(min_length=1, description="attributes and crossings compared")]
    ratio_limits: tuple[float, float] | None = Field(
        None, description="[low, high] of sample share / population share; a break is Refused"
    )
    effect_limits: EffectLimits | None = Field(
        None, description="limits on the distance of whole distributions; what is not shown is Refused"
    )
    total: Annotated[int, Field(ge=1)] | None = Field(
        None, description="persons in all; counts that do not add up to it are refused"
    )
    raking: Raking | None = None

    @model_validator(mode="after")
    def _something_is_required(self) -> Population:
        if self.ratio_limits is None and self.effect_limits is None and self.raking is None:
            raise ValueError(
                "give `ratio_limits`, `effect_limits` or `raking`: else nothing is required of the sample"
            )
        if self.ratio_limits is not None and not 0 < self.ratio_limits[0] < 1 < self.ratio_limits[1]:
            raise ValueError(f"ratio_limits must lie on both sides of 1, found {list(self.ratio_limits)}")
        return self


class Drift(Member):
    """How far a column may move between two versions: an effect, never a p-value."""

    maximum_category_distance: Annotated[float, Field(gt=0)] = Field(
        0.1, description="Jensen-Shannon distance, for categories"
    )
    maximum_number_distance: Annotated[float, Field(gt=0)] = Field(
        0.1, description="Wasserstein distance over the standard deviation, for numbers"
    )
    maximum_drifted_share: Share = Field(0.3, description="share of columns that may be beyond it")


class Proxies(Member):
    """How well the other columns may tell a protected attribute before it is a warning."""

    maximum_auc: Annotated[float, Field(gt=0.5, le=1)] | None = Field(
        None, description="cross-validated AUC of the other columns together, macro over levels"
    )


class Limit(Member):
    """A gate: a fairness metric of one attribute (or a crossing) and the bound it must keep."""

    metric: Metric
    attribute: str = Field(
        description="a protected attribute, a crossing (sex x race), or `label`: the true classes"
    )
    limit: Annotated[float, Field(ge=0)]
    because: str | None = Field(None, description="why this limit, for the reader of the audit")

    @model_validator(mode="after")
    def _fits_its_metric(self) -> Limit:
        names = crossing(self.attribute)
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"the crossing {self.attribute!r} names {', '.join(twice)} more than once")
        bounded = METRICS[self.metric]
        if not bounded.above < self.limit < bounded.below:
            raise ValueError(
                f"a limit on {self.metric} lies between {bounded.above:g} and {bounded.below:g}, "
                f"both excluded, found {self.limit:g}"
            )
        return self


class Performance(Member):
    """The least a model must do on the test set to become champion when there is none."""

    metric: Literal["accuracy", "auc", "macro_f1", "r2"]
    minimum: Annotated[float, Field(gt=0, lt=1)]


class Champion(Member):
    """How much worse than the champion a new model may be on the same test rows."""

    margin: Annotated[float, Field(ge=0, lt=0.5, description="of accuracy, paired")] = 0.01


class TooSmall(Member):
    """What becomes of groups too small to judge."""

    policy: Literal["inconclusive", "report"] = "inconclusive"
    smallest_denominator: Annotated[int, Field(ge=1, le=200)] = Field(
        50,
        description="under `report`: groups whose expected denominator in the test part, computed "
        "from training counts, is smaller are listed and not judged",
    )


class Tolerance(Member):
    """What `replay --retrain` allows where bytes can't be compared (other CPU, threads, torch)."""

    prediction_disagreement: Share = Field(
        0.02,
        description="share of rows that may be predicted otherwise: as another class, or as a number that "
        "lies more than 1e-4 of the label's range away",
    )


class AuditSet(Member):
    """Further rows with labels, on which the frozen model is judged beside its test part.

    It answers them in the words of the plan's label; `answers` says what that means in the set's own. All
    groups of a set are judged, however small; `where` leaves rows out.
    """

    data: Data = Field(description="of the plan's kind; all its sources are judged on, none is learned from")
    answers: dict[str, str] = Field(
        default_factory=dict,
        description="class of the plan's label -> class of this set's; left out where both are called alike",
    )
    where: dict[str, Annotated[list[str], Field(min_length=1)]] = Field(
        default_factory=dict, description="only rows with these values of a column are judged on"
    )
    protected: dict[Name, Protected] = Field(default_factory=dict)
    unit: str | None = Field(None, description="column naming the sampling unit; rows when absent")
    minimum_rows: Annotated[int, Field(ge=1)] = 1
    limits: Annotated[list[Limit], Field(min_length=1)]

    def means(self, classes: Sequence[str]) -> list[str]:
        """What each class of the plan's label means in this set."""
        return [self.answers.get(name, name) for name in classes]

    @field_validator("data")
    @classmethod
    def _teaches_nothing(cls, data: Data) -> Data:
        if any(source.part == "train" for source in data.sources):
            raise ValueError("an audit set has no training part: leave `part` out of its sources")
        return data


class Judgement(Member):
    """What the data must be, what is measured and what must hold."""

    data: Data
    test_set: TestSet = TestSet()
    unit: str | None = Field(None, description="column naming the sampling unit; rows when absent")
    protected: dict[Name, Protected] = Field(default_factory=dict)
    expectations: Expectations
    population: Population | None = None
    drift: Drift = Drift()
    proxies: Proxies = Proxies()
    limits: Annotated[list[Limit], Field(min_length=1)]
    audits: dict[SetName, AuditSet] = Field(
        default_factory=dict, description="further sets of labelled rows that the model is judged on"
    )
    performance: Annotated[list[Performance], Field(min_length=1)]
    champion: Champion = Champion()
    alpha: Annotated[float, Field(gt=0, le=0.1)] = 0.05
    too_small: TooSmall = TooSmall()
    on_inconclusive: Literal["undecided", "review"] = Field(
        "undecided",
        description="what becomes of a model without a FAIL of which some limit can't be shown: no alias, or "
        "the one that two reviewers may give it (operations.review)",
        # A plan that asks for no review keeps the digest that it had before there was such a key.
        exclude_if=lambda found: found == "undecided",
    )
    replay: Tolerance = Tolerance()
    privacy: Privacy | None = Field(
        None,
        description="de-identification, before anything is pinned",
        # A plan that asks for none keeps the digest that it had before there was such a block.
        exclude_if=lambda privacy: privacy is None,
    )

    @field_validator("audits")
    @classmethod
    def _named_apart(cls, audits: dict[str, AuditSet]) -> dict[str, AuditSet]:
        if taken := sorted({"train", TEST} & set(audits)):
            raise ValueError(f"{', '.join(taken)}: a part of the plan's own data is called so")
        return audits

    @property
    def sources(self) -> list[Source]:
        """Every file that is fetched and pinned, each once: the plan's own and those of the audit sets."""
        listed = [self.data, *(audit.data for audit in self.audits.values())]
        return list({source.name: source for data in listed for source in data.sources}.values())

    @property
    def sets(self) -> dict[str, Judgement]:
        """The judgement of each set of rows: `test` by this one, an audit set by its own limits."""
        return {TEST: self, **{name: self._of(audit) for name, audit in self.audits.items()}}

    def _of(self, audit: AuditSet) -> Judgement:
        """What a set leaves unsaid, alpha among it, is the plan's."""
        own: dict[str, Any] = {name: getattr(audit, name) for name in ("data", "protected", "unit", "limits")}
        least = self.expectations.model_copy(update={"minimum_rows": {TEST: audit.minimum_rows}})
        chosen = TestSet(where=audit.where, max_judgements=self.test_set.max_judgements)
        # No training part tells which of its groups are small, so all are judged.
        own |= {"too_small": TooSmall(), "expectations": least, "test_set": chosen}
        return self.model_copy(update={**own, "population": None, "audits": {}})
