"""What the page shows below the verdicts: each attribute's groups, and the tables of laws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.audit.figures import Figure, representation, score_figures
from tasks.audit.laws import Laws
from tasks.fairness.cube import Cube
from tasks.fairness.four_fifths import FourFifths
from tasks.fairness.metrics import Cell, tally
from tasks.fairness.regulators import ImpactTable
from tasks.fairness.words import words
from tasks.plan.base import crossing

CELLS: tuple[Cell, ...] = ("tp", "fp", "fn", "tn")
SHOWN_RATES = ("selection_rate", "tpr", "fpr", "ppv", "accuracy")
MOST_CLASSES = 8


@dataclass(frozen=True)
class Section:
    """What the page shows of one attribute or crossing.

    Attributes:
        attribute: its name.
        columns: head of the table of groups.
        rows: its rows, each led by the group's name.
        matrices: with several classes, each group's counts [true, predicted].
        figures: who is in it; ROC and calibration where there is a score.
    """

    attribute: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    matrices: list[tuple[str, list[list[int]]]]
    figures: list[Figure]


@dataclass(frozen=True)
class Law:
    """A table in the shape of a law.

    Attributes:
        law: the rule.
        place: where it is law.
        caption: what the table compares.
        columns: its head.
        rows: its rows, each led by the group's name.
    """

    law: str
    place: str
    caption: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def section(cube: Cube, attribute: str) -> Section:
    """The groups of an attribute or a crossing."""
    names = crossing(attribute)
    figures = []
    if len(names) == 1:
        figures = [representation(cube, attribute), *score_figures(cube, attribute)]
    levels, counts = cube.cells(names)
    groups = [" x ".join(level) for level in levels]
    matrices = []
    if cube.positive is None and len(cube.labels) <= MOST_CLASSES:
        matrices = [(group, matrix.tolist()) for group, matrix in zip(groups, counts, strict=True)]
    return Section(attribute, *_table(cube, names, groups), matrices, figures)


def _table(
    cube: Cube, names: Sequence[str], groups: Sequence[str]
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Rows, confusion counts and rates of each group; head and body."""
    _, counts = cube.cells(names)
    cells = tally(counts, cube.labels, cube.positive)
    shown: tuple[Cell, ...] = CELLS if cube.positive is not None else ("right", "wrong")
    rates = SHOWN_RATES if cube.positive is not None else ("accuracy",)
    frame = cube.rates(names)
    body = [
        (
            group,
            f"{frame['n'][i]:,}",
            *(f"{cells[name][i]:,}" for name in shown),
            *(_percent(frame[name][i]) for name in rates),
        )
        for i, group in enumerate(groups)
    ]
    return ("group", "rows", *(_head(name) for name in (*shown, *rates))), body


def shown_laws(laws: Laws) -> list[Law]:
    """Every table of a law, in words and figures."""
    return [
        *(_four_fifths(table) for table in laws.four_fifths),
        *(_local_law_144(table) for table in laws.local_law_144),
    ]


def _four_fifths(table: FourFifths) -> Law:
    head = (
        "group",
        "persons",
        "selected",
        "rate",
        "ratio",
        "Fisher's p",
        "with 1 more",
        "with 2 more",
        "finding",
    )
    rows = []
    for one in table.groups:
        more = {each.persons: each.p_value for each in one.with_more}
        figures = (_p(one.p_value), *(_p(more.get(persons)) for persons in (1, 2)))
        counts = (f"{one.n:,}", f"{one.selected:,}", _percent(one.rate))
        rows.append((one.group, *counts, _ratio(one.ratio), *figures, one.finding.value))
    caption = f"By {table.attribute}; selected is {table.selected}; {_unknown(table.unknown)}"
    return Law(table.law, table.place, _sentences(caption, table.note), head, rows)


def _local_law_144(table: ImpactTable) -> Law:
    head = (
        "category",
        "persons",
        "selected",
        "rate",
        "impact ratio",
        "share",
        "below 2%",
        "ratio without small",
    )
    rows: list[tuple[str, ...]] = [
        (
            one.category,
            f"{one.n:,}",
            f"{one.selected:,}",
            _percent(one.rate),
            _ratio(one.impact_ratio),
            f"{one.share:.1%}",
            "yes" if one.small else "no",
            _ratio(one.ratio_without_small),
        )
        for one in table.categories
    ]
    caption = f"{table.measure.capitalize()} by {table.attribute}; {_unknown(table.unknown)}"
    return Law(table.law, table.place, _sentences(caption, table.problem, table.note), head, rows)


def _sentences(*parts: str) -> str:
    return ". ".join(part[0].upper() + part[1:] for part in parts if part)


def _unknown(persons: int) -> str:
    return f"{persons:,} persons of unknown category left out"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _p(value: float | None) -> str:
    return "" if value is None else "<0.0001" if value < 0.0001 else f"{value:.4f}"


def _head(name: str) -> str:
    return name.upper() if name in (*CELLS, "tpr", "fpr", "ppv") else words(name)


def _percent(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.1%}"
