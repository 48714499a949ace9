"""New York City's impact ratios (Local Law 144), from the cube alone.

The tables are a record in the shape that this law asks for. They are not the gate: they hold no limit
of a plan, carry no error rate, and say nothing outside the place they name. The federal four-fifths
rule is in `tasks.fairness.four_fifths`. Both rules divide numbers of persons by numbers of persons (6 RCNY
5-300, "selection rate"; 29 CFR 1607.4(D)): one row is one person, whatever it weighs, and a table of rows
that have weights or come in units says so in its note.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.evidence.records import Record
from tasks.fairness.columns import UNKNOWN
from tasks.fairness.cube import Cube

Ints = NDArray[np.int64]

SMALL_SHARE = 0.02
"""6 RCNY 5-301(d): a category below this share of the data may be excluded by the auditor."""


class ImpactCategory(Record):
    """One category of an impact-ratio table.

    Attributes:
        category: the level, or the levels of a crossing joined by " x ".
        n: persons assessed.
        selected: persons selected; for a scoring rate, those surely above the median.
        rate: selected / n in [0, 1]; None without persons, or where bins don't settle it.
        low: smallest rate that the counts allow; the rate itself for a selection rate.
        high: largest rate likewise.
        impact_ratio: rate / the highest category's rate, in [0, 1]; None where undefined.
        share: n / persons of known category, in [0, 1].
        small: below 2%: an independent auditor may exclude it, with a justification.
        ratio_without_small: the impact ratio if every small category is excluded; None for those.
    """

    category: str
    n: int
    selected: int
    rate: float | None
    low: float | None
    high: float | None
    impact_ratio: float | None
    share: float
    small: bool
    ratio_without_small: float | None


class ImpactTable(Record):
    """Impact ratios of one attribute or crossing (6 RCNY 5-300, 5-301(b) and (c)).

    Attributes:
        attribute: "sex", or "sex x race" for a crossing.
        measure: "selection rate", or "scoring rate" (share above the sample's median score).
        selected: the predicted class that counts as selected; None for a scoring rate.
        categories: one per category, in the cube's order, also those without persons.
        unknown: persons left out because a category is unknown; the rule wants them counted.
        problem: why the table, or a part of it, is undefined; "" where all is known.
        note: what the counts leave out: weights, units; "" where each row is a person by itself.
        law: the rule.
        place: where it is law.
    """

    attribute: str
    measure: str
    selected: str | None
    categories: tuple[ImpactCategory, ...]
    unknown: int
    problem: str = ""
    note: str = ""
    law: str = "6 RCNY 5-301 (Local Law 144 of 2021)"
    place: str = "New York City: automated employment decision tools"

    def frame(self) -> pl.DataFrame:
        """One row per category, for printing and for CSV."""
        names = list(ImpactCategory.model_fields)
        columns = {name: [getattr(one, name) for one in self.categories] for name in names}
        floats = dict.fromkeys(("rate", "low", "high", "impact_ratio", "ratio_without_small"), pl.Float64)
        return pl.DataFrame(columns, schema_overrides=floats)


def local_law_144(cube: Cube, sex: str, race: str) -> tuple[ImpactTable, ...]:
    """The tables of a bias audit: by sex, by race, by sex x race; then by scoring rate if there is a score.

    Args:
        cube: persons assessed; the positive class is "selected". Where a tool sorts persons into
            several classes, `impact_ratios` gives the table of each.
        sex: the attribute that holds sex.
        race: the attribute that holds race and ethnicity.

    Raises:
        ValueError: for an attribute that the cube lacks, or no positive class.
    """
    tables = ([sex], [race], [sex, race])
    selection = [impact_ratios(cube, by) for by in tables]
    scoring = [scoring_ratios(cube, by) for by in tables] if cube.score_bins is not None else []
    return (*selection, *scoring)


def impact_ratios(cube: Cube, by: Sequence[str], selected: str | None = None) -> ImpactTable:
    """Selection rates and impact ratios of one attribute or crossing: 6 RCNY 5-301(b).

    Args:
        cube: persons assessed.
        by: one attribute, or several for their crossing.
        selected: the predicted class that counts as selected; the positive class by default.

    Raises:
        ValueError: for an attribute or class that the cube lacks, or no positive class.
    """
    chosen = selected_class(cube, selected)
    names, n, events, unknown = selections(cube, by, chosen)
    categories = _categories(names, n, events, events)
    problem = "" if any(one.selected for one in categories) else "nobody was selected: no ratio is defined"
    return ImpactTable(
        attribute=" x ".join(by),
        measure="selection rate",
        selected=chosen,
        categories=categories,
        unknown=unknown,
        problem=problem,
        note=counting_note(cube),
    )


def scoring_ratios(cube: Cube, by: Sequence[str]) -> ImpactTable:
    """Scoring rates (share above the sample's median score) and their ratios: 6 RCNY 5-301(c).

    The cube holds scores in bins, so whoever shares the median's bin may lie above or below it. A rate
    is given where the median falls between bins; else it is undefined, and `low` and `high` bound it.
    """
    bins = cube.marginal(by).score_bins
    if bins is None or len(by) != 1:
        reason = "scores are kept per attribute, not per crossing" if len(by) > 1 else "there is no score"
        return ImpactTable(
            attribute=" x ".join(by),
            measure="scoring rate",
            selected=None,
            categories=(),
            unknown=0,
            problem=f"undefined from this cube: {reason}",
        )
    histogram = bins.tables[by[0]].sum(axis=1)
    above, within = _around_median(histogram)
    known = np.array([level != UNKNOWN for level in cube.axes[by[0]]])
    names = [level for level in cube.axes[by[0]] if level != UNKNOWN]
    n, surely, perhaps = histogram.sum(axis=1), above, above + within
    problem = ""
    if within[known].any():
        problem = f"the median lies in a bin that {int(within.sum())} persons share: rates are only bounded"
    return ImpactTable(
        attribute=by[0],
        measure="scoring rate",
        selected=None,
        categories=_categories(names, n[known], surely[known], perhaps[known]),
        unknown=int(n[~known].sum()),
        problem=problem,
        note=counting_note(cube),
    )


def _around_median(histogram: Ints) -> tuple[Ints, Ints]:
    """Persons of each group in bins above the median's, and in its bin (0 where it falls between bins).

    Args:
        histogram: shape [groups, bins]; the median is of all of them together.
    """
    below = histogram.sum(axis=0).cumsum()
    half = below[-1] / 2
    lower, upper = int(np.searchsorted(below, half, "left")), int(np.searchsorted(below, half, "right"))
    if lower != upper:  # half of the persons lie in the bins up to `lower`: the median is between them
        return histogram[:, lower + 1 :].sum(axis=1), np.zeros(len(histogram), np.int64)
    return histogram[:, lower + 1 :].sum(axis=1), histogram[:, lower]


def counting_note(cube: Cube) -> str:
    """What a count of persons leaves out of this cube, in words; "" where it leaves out nothing."""
    notes = []
    if cube.weights is not None:
        notes.append(
            "this rule counts persons: each row is one, and its weight is left out; where a row stands for "
            "several persons, give each a row of its own"
        )
    if cube.units is not None:
        notes.append(
            "some sampling units have several rows, and each row is counted as one person; where a unit is "
            "a person, audit one row of each"
        )
    return "; ".join(notes)


def selected_class(cube: Cube, selected: str | None) -> str:
    """The predicted class that counts as selected: the positive class when None.

    Raises:
        ValueError: when it is none of the classes.
    """
    chosen = cube.positive if selected is None else selected
    if chosen not in cube.labels:
        raise ValueError(f"`selected` must name one of the classes {list(cube.labels)}, found {chosen!r}")
    return chosen


def selections(cube: Cube, by: Sequence[str], selected: str) -> tuple[list[str], Ints, Ints, int]:
    """Names, persons and selected persons of each known category, and persons of unknown category.

    Raises:
        ValueError: without an attribute, or for one that the cube lacks.
    """
    if not by:
        raise ValueError("at least one attribute is expected")
    levels, counts = cube.cells(by)
    n = counts.sum(axis=(1, 2))
    events = counts[:, :, cube.labels.index(selected)].sum(axis=1)
    known = np.array([UNKNOWN not in level for level in levels], bool)
    names = [" x ".join(level) for level in levels if UNKNOWN not in level]
    return names, n[known], events[known], int(n[~known].sum())


def _categories(names: Sequence[str], n: Ints, least: Ints, most: Ints) -> tuple[ImpactCategory, ...]:
    total = int(n.sum())
    # The share is of persons of known category: the smaller base, under which fewer may be excluded.
    small = [count / total < SMALL_SHARE if total else True for count in n.tolist()]
    exact = bool((least == most).all())
    low, high = _shares(least, n), _shares(most, n)
    rates = low if exact else [None] * len(names)
    ratios = _over_highest(rates)
    without = _over_highest([None if few else rate for rate, few in zip(rates, small, strict=True)])
    return tuple(
        ImpactCategory(
            category=name,
            n=int(n[i]),
            selected=int(least[i]),
            rate=rates[i],
            low=low[i],
            high=high[i],
            impact_ratio=ratios[i],
            share=int(n[i]) / total if total else 0.0,
            small=small[i],
            ratio_without_small=without[i],
        )
        for i, name in enumerate(names)
    )


def _shares(events: Ints, n: Ints) -> list[float | None]:
    return [x / of if of else None for x, of in zip(events.tolist(), n.tolist(), strict=True)]


def _over_highest(rates: Iterable[float | None]) -> list[float | None]:
    rates = list(rates)
    highest = max((rate for rate in rates if rate is not None), default=0.0)
    return [rate / highest if rate is not None and highest else None for rate in rates]
