"""What explanations hand on: figures of attributions by column and by group, each with its checks.

No record holds a value of a row: a decision is named by ``row_id``, as predictions.csv names it, so that
whoever may see the rows finds it, and nobody else learns more than a column's weight.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, Self

from pydantic import model_validator

from tasks.evidence.records import FileRef, Record
from tasks.explain.layer_records import Layer

Side = Literal["at most", "at least"]


class Check(Record):
    """One check of an explanation: what was measured, and on which side of what it must lie.

    Attributes:
        name: "completeness", "stability", "deletion", "insertion", "randomised weights", ...
        value: measured; None where it could not be, which never holds.
        side: "at most" or "at least" ``limit``.
        limit: see there; fixed in the code that checks, never chosen by what was measured.
        holds: whether ``value`` lies on its side.
        meaning: one sentence for a reader who does not know the check.
    """

    name: str
    value: float | None
    side: Side
    limit: float
    holds: bool
    meaning: str

    @classmethod
    def of(cls, name: str, value: float | None, side: Side, limit: float, meaning: str) -> Check:
        """Compare ``value`` with ``limit``; NaN and None hold nothing."""
        known = None if value is None or value != value else round(float(value), 6)  # noqa: PLR0124 - NaN alone
        holds = known is not None and (known <= limit if side == "at most" else known >= limit)
        return cls(name=name, value=known, side=side, limit=limit, holds=holds, meaning=meaning)

    @model_validator(mode="after")
    def _follows(self) -> Self:
        found = self.value is not None and (
            self.value <= self.limit if self.side == "at most" else self.value >= self.limit
        )
        if found != self.holds:
            raise ValueError(
                f"check {self.name!r}: {self.value} {self.side} {self.limit:g} gives {found}, "
                f"found {self.holds}"
            )
        return self


class Curves(Record):
    """How much of the way from base to output is there, by the share of features kept.

    Attributes:
        kept: shares of features, rising from 0 to 1.
        deletion: at each, where the heaviest features were taken away first.
        insertion: where they were given first.
        random: mean of random orders.
    """

    kept: tuple[float, ...]
    deletion: tuple[float, ...]
    insertion: tuple[float, ...]
    random: tuple[float, ...]


class Weight(Record):
    """What one feature (a column, a token, a region) carries, over the rows explained.

    Attributes:
        feature: its name.
        value: mean of the absolute attributions, in the unit of the output explained.
        low: lower end of the two-sided 95% interval over rows.
        high: upper end.
    """

    feature: str
    value: float
    low: float
    high: float


class Single(Record):
    """One decision explained.

    Attributes:
        row_id: of the row in its part.
        output: what the model gave, in the unit explained.
        base: the output that the attributions start from.
        weights: feature -> attribution, largest first in size.
    """

    row_id: int
    output: float
    base: float
    weights: dict[str, float]


class GroupWeight(Record):
    """What a feature carries for one group, beside the rows of all other groups.

    Attributes:
        attribute: protected attribute.
        group: its level.
        feature: the feature.
        n: rows of the group that were explained.
        value: mean absolute attribution in the group.
        difference: that less the mean over the other rows.
        low: lower end of its interval, two-sided, 95% over all differences of the explanation together.
        high: upper end.
        differs: whether the interval leaves 0 out.
    """

    attribute: str
    group: str
    feature: str
    n: int
    value: float
    difference: float
    low: float
    high: float
    differs: bool


class Carried(Record):
    """How much of all attribution a protected attribute carries, by itself and by its proxies.

    Attributes:
        attribute: protected attribute.
        own: share of the mean absolute attributions that its own column has; 0 where the model sees it not.
        proxies: column -> share, of the columns that tell at least a hundredth of the attribute.
        information: of the same columns, how much of the attribute's entropy each tells, 0 to 1.
        weighted: sum over all columns of share x information, 0 to 1; the own column counts 1.
    """

    attribute: str
    own: float
    proxies: dict[str, float]
    information: dict[str, float]
    weighted: float


class Explanation(Record):
    """One way to explain, its result and its checks.

    Attributes:
        part: of the "output", the "input" or the "model".
        method: "SHAP", "LIME", "integrated gradients", ...
        of: what is explained, in words with its unit.
        rows: how many rows were explained.
        evaluations: rows that the model was asked for, gradients counted as three; checks included.
        checks: each with what it measured.
        reliable: whether there are checks and all of them hold; nothing else makes it so.
        curves: of deletion and insertion.
        weights: over all rows explained, largest first.
        singles: single decisions.
        groups: by group, those that differ first.
        carried: by protected attribute.
        layers: of the report on them.
        files: arrays in the dossier that figures are drawn from (``explanations/NAME.safetensors``).
        notes: sentences on what was left out, and why.
    """

    part: Literal["output", "input", "model"]
    method: str
    of: str
    rows: int
    evaluations: int
    checks: tuple[Check, ...]
    reliable: bool
    curves: Curves | None = None
    weights: tuple[Weight, ...] = ()
    singles: tuple[Single, ...] = ()
    groups: tuple[GroupWeight, ...] = ()
    carried: tuple[Carried, ...] = ()
    layers: tuple[Layer, ...] = ()
    files: tuple[FileRef, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def checked(cls, checks: Iterable[Check], **own: Any) -> Explanation:
        """An explanation that is as reliable as its checks say."""
        found = tuple(checks)
        return cls(checks=found, reliable=_hold(found), **own)

    @model_validator(mode="after")
    def _as_its_checks_say(self) -> Self:
        found = _hold(self.checks)
        if found != self.reliable:
            raise ValueError(f"{self.method}: `reliable` is {found} by its checks, found {self.reliable}")
        return self


def _hold(checks: tuple[Check, ...]) -> bool:
    return bool(checks) and all(check.holds for check in checks)


class Change(Record):
    """A column that would have had to differ.

    Attributes:
        column: which.
        to: the value that it would have had to have: a category that many training rows hold, or a number of
            two digits.
    """

    column: str
    to: str | int | float


class Counterfactual(Record):
    """The fewest changes found that turn a decision.

    Attributes:
        row_id: of the decision.
        decided: what the model decided.
        otherwise: what it would have decided; None where no change was found.
        changes: what would have had to differ.
    """

    row_id: int
    decided: str
    otherwise: str | None
    changes: tuple[Change, ...] = ()


class Recourse(Record):
    """How a group's decisions turn; of two classes, those that are not the positive one.

    Attributes:
        attribute: protected attribute.
        group: its level.
        asked: decisions asked about.
        turned: how many turn by changes of what may change.
        changes: mean number of changes of those; None where none turns.
    """

    attribute: str
    group: str
    asked: int
    turned: int
    changes: float | None


class Counterfactuals(Record):
    """What would have had to differ, of some decisions.

    Attributes:
        found: of the decisions shown.
        asked: decisions asked about, those shown among them.
        immutable: columns that were never changed, sorted: what protected attributes are made of, personal
            ones, and what the plan lists.
        evaluations: rows that the model was asked for.
        checks: whether the served model decides as told.
        reliable: whether they hold.
        by_group: how each group's decisions turn.
    """

    found: tuple[Counterfactual, ...]
    asked: int
    immutable: tuple[str, ...]
    evaluations: int
    checks: tuple[Check, ...]
    reliable: bool
    by_group: tuple[Recourse, ...] = ()

    @model_validator(mode="after")
    def _as_its_checks_say(self) -> Self:
        if (found := _hold(self.checks)) != self.reliable:
            raise ValueError(f"counterfactuals: `reliable` is {found} by their checks, found {self.reliable}")
        return self


class Skipped(Record):
    """A part that was not made.

    Attributes:
        part: which.
        because: "evaluations" or "time" ran out, or why it can't be made of this model, in a sentence.
    """

    part: str
    because: str


class Explained(Record):
    """The step's record.

    Attributes:
        rows_of: the rows explained, in words.
        rows: how many there were to choose from.
        allowed: evaluations that the plan's share of the run's work allows.
        spent: evaluations of all parts together.
        explanations: in the order in which they were made, most important first.
        counterfactuals: None where they were skipped.
        skipped: parts not made, each with its reason.
        unreliable: methods whose checks fail; nothing is to be concluded from them.
    """

    rows_of: str = ""
    rows: int = 0
    allowed: int = 0
    spent: int = 0
    explanations: tuple[Explanation, ...] = ()
    counterfactuals: Counterfactuals | None = None
    skipped: tuple[Skipped, ...] = ()
    unreliable: tuple[str, ...] = ()
