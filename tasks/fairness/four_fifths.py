"""The four-fifths rule of US federal employment law, with its two cautions about small numbers.

29 CFR 1607.4(D) takes a selection rate below four fifths of the highest group's as evidence of adverse
impact, unless the numbers are small and the difference is not statistically significant; and smaller
differences may count where they are significant. So beside the ratio stand Fisher's exact test, what
one or two more selected persons would change (Waisome v. Port Authority, 948 F.2d 1370, 2d Cir. 1991),
and whether one different person would reverse the order of the groups (Questions and Answers on the
Uniform Guidelines, 44 FR 11996, 1979, question 21).

It is a record in the words of that rule, group by group without correction for multiplicity. It is not
the gate: a limit of a plan is judged by `tasks.fairness.gate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

import polars as pl

from tasks.evidence.records import Record
from tasks.fairness.cube import Cube
from tasks.fairness.fisher import two_sided
from tasks.fairness.regulators import counting_note, selected_class, selections

MORE_PERSONS = (1, 2)


class Finding(StrEnum):
    """What the rule says of one group."""

    HIGHEST = "highest rate"
    NONE = "no evidence of adverse impact"
    SIGNIFICANT = "not below four fifths, yet significantly lower"
    SMALL_NUMBERS = "below four fifths, on numbers too small to rely on"
    ADVERSE = "evidence of adverse impact"
    UNDEFINED = "undefined"


class WithMore(Record):
    """The comparison again, had some more persons of the group been selected.

    Attributes:
        persons: how many more.
        ratio: the ratio then.
        below: whether it would still be below four fifths.
        p_value: Fisher's exact p-value then, two-sided.
    """

    persons: int
    ratio: float
    below: bool
    p_value: float


class GroupImpact(Record):
    """One group against the group with the highest selection rate.

    Attributes:
        group: the level, or the levels of a crossing joined by " x ".
        n: persons considered.
        selected: persons selected.
        rate: selected / n in [0, 1]; None without persons.
        ratio: rate / the highest rate, in [0, 1]; None where undefined.
        below: whether the ratio is below four fifths, in whole numbers; None where undefined.
        p_value: Fisher's exact test against the highest group, two-sided; None for that group itself.
        significant: whether the p-value is below alpha.
        with_more: what one and two more selected persons of this group would change; empty where
            there is nothing to change, or nobody more to select.
        changed_by: the fewest (1 or 2) more selected persons after which the ratio crosses four fifths
            or significance is lost; None where two change neither.
        reversed_by_one: whether one person of this group selected instead of one of the highest
            group would give this group the higher rate.
        finding: what the rule says.
    """

    group: str
    n: int
    selected: int
    rate: float | None
    ratio: float | None
    below: bool | None
    p_value: float | None
    significant: bool | None
    with_more: tuple[WithMore, ...]
    changed_by: int | None
    reversed_by_one: bool
    finding: Finding


class FourFifths(Record):
    """The four-fifths rule over the groups of one attribute or crossing.

    Attributes:
        attribute: "sex", or "sex x race".
        selected: the predicted class that counts as selected.
        highest: the group with the highest rate; None where nobody was selected.
        alpha: level of "statistically significant".
        groups: one per group, in the cube's order.
        unknown: persons left out because their group is unknown.
        note: what the counts leave out, as in `tasks.fairness.regulators`; "" where nothing.
        law: the rule.
        place: where it is law.
    """

    attribute: str
    selected: str
    highest: str | None
    alpha: float
    groups: tuple[GroupImpact, ...]
    unknown: int
    note: str = ""
    law: str = "29 CFR 1607.4(D), the four-fifths rule"
    place: str = "United States: federal employment selection"

    def frame(self) -> pl.DataFrame:
        """One row per group, for printing and for CSV."""
        names = [name for name in GroupImpact.model_fields if name != "with_more"]
        columns = {
            name: [getattr(one, name) for one in self.groups] for name in names if name != "finding"
        } | {f"p_value_with_{k}_more": [_p_with(one, k) for one in self.groups] for k in MORE_PERSONS}
        columns["finding"] = [one.finding.value for one in self.groups]
        floats = ("rate", "ratio", "p_value", *(f"p_value_with_{k}_more" for k in MORE_PERSONS))
        return pl.DataFrame(columns, schema_overrides=dict.fromkeys(floats, pl.Float64))


def _p_with(one: GroupImpact, persons: int) -> float | None:
    return next((more.p_value for more in one.with_more if more.persons == persons), None)


def four_fifths(
    cube: Cube, by: Sequence[str], selected: str | None = None, alpha: float = 0.05
) -> FourFifths:
    """Compare every group's selection rate with the highest.

    Args:
        cube: persons considered.
        by: one attribute, or several for their crossing.
        selected: the predicted class that counts as selected; the positive class by default.
        alpha: level of significance in (0, 1); 0.05 is the usual "about two standard deviations".

    Raises:
        ValueError: for an attribute or class that the cube lacks, no positive class, or a level that is none.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha: a level above 0 and below 1 is expected, found {alpha:g}")
    chosen = selected_class(cube, selected)
    names, n, events, unknown = selections(cube, by, chosen)
    tallies = [_Tally(x, of) for x, of in zip(events.tolist(), n.tolist(), strict=True)]
    # Of groups with equal rates the larger is compared with: its rate is the better known.
    highest = max(
        (i for i, one in enumerate(tallies) if one.selected),
        key=lambda i: (tallies[i].rate, tallies[i].n),
        default=None,
    )
    groups = tuple(
        _impact(name, one, None if highest is None else tallies[highest], alpha)
        for name, one in zip(names, tallies, strict=True)
    )
    return FourFifths(
        attribute=" x ".join(by),
        selected=chosen,
        highest=None if highest is None else names[highest],
        alpha=alpha,
        groups=groups,
        unknown=unknown,
        note=counting_note(cube),
    )


class _Tally(NamedTuple):
    """Selected persons of all persons of a group."""

    selected: int
    n: int

    @property
    def rate(self) -> float:
        return self.selected / self.n

    def plus(self, persons: int) -> _Tally:
        return _Tally(self.selected + persons, self.n)

    def above(self, other: _Tally) -> bool:
        """Whether the rate is higher; in whole numbers, which don't round."""
        return self.selected * other.n > other.selected * self.n

    def below_four_fifths_of(self, other: _Tally) -> bool:
        return 5 * self.selected * other.n < 4 * other.selected * self.n

    def p_value(self, other: _Tally) -> float:
        return two_sided(self.selected, self.n, other.selected, other.n)


def _impact(group: str, own: _Tally, highest: _Tally | None, alpha: float) -> GroupImpact:
    if highest is None or not own.n:
        rate = own.rate if own.n else None
        return _record(group, own, rate, None, Finding.UNDEFINED)
    if not highest.above(own):
        return _record(group, own, own.rate, 1.0, Finding.HIGHEST)
    below, p_value = own.below_four_fifths_of(highest), own.p_value(highest)
    significant = p_value < alpha
    with_more = _with_more(own, highest) if below or significant else ()
    return GroupImpact(
        group=group,
        n=own.n,
        selected=own.selected,
        rate=own.rate,
        ratio=own.rate / highest.rate,
        below=below,
        p_value=p_value,
        significant=significant,
        with_more=with_more,
        changed_by=_changed_by(with_more, alpha, below=below, significant=significant),
        # A group that is below the highest has somebody who was not selected.
        reversed_by_one=own.plus(1).above(highest.plus(-1)),
        finding=_finding(with_more, alpha, below=below, significant=significant),
    )


def _record(
    group: str, own: _Tally, rate: float | None, ratio: float | None, finding: Finding
) -> GroupImpact:
    """A group that is compared with none: the highest, or one without a rate to compare."""
    return GroupImpact(
        group=group,
        n=own.n,
        selected=own.selected,
        rate=rate,
        ratio=ratio,
        below=None if ratio is None else False,
        p_value=None,
        significant=None,
        with_more=(),
        changed_by=None,
        reversed_by_one=False,
        finding=finding,
    )


def _with_more(own: _Tally, highest: _Tally) -> tuple[WithMore, ...]:
    return tuple(
        WithMore(
            persons=persons,
            ratio=more.rate / highest.rate,
            below=more.below_four_fifths_of(highest),
            p_value=more.p_value(highest),
        )
        for persons in MORE_PERSONS
        if (more := own.plus(persons)).selected <= own.n
    )


def _changed_by(with_more: Sequence[WithMore], alpha: float, *, below: bool, significant: bool) -> int | None:
    """The fewest more persons after which the ratio or the test says otherwise."""
    changing = (
        more.persons for more in with_more if (more.below, more.p_value < alpha) != (below, significant)
    )
    return next(changing, None)


def _finding(with_more: Sequence[WithMore], alpha: float, *, below: bool, significant: bool) -> Finding:
    """The rule's words; "small numbers" when significance is lacking, or is lost by two more persons."""
    if not below:
        return Finding.SIGNIFICANT if significant else Finding.NONE
    lasting = significant and all(more.p_value < alpha for more in with_more)
    return Finding.ADVERSE if lasting else Finding.SMALL_NUMBERS
