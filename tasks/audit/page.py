"""The audit as one page: self-contained HTML without scripts, made from the audit's record alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import PurePath

import numpy as np
from jinja2 import Environment, StrictUndefined

from tasks.audit.figures import Figure, rate_figures, representation, score_figures
from tasks.audit.records import Audit
from tasks.fairness.cube import Cube
from tasks.fairness.metrics import Cell, tally
from tasks.fairness.verdict import Judged, Verdict
from tasks.fairness.words import decided_by, limit_of, number, words
from tasks.plan.plan import crossing

MARKS = {Verdict.PASS: "✓", Verdict.FAIL: "✗", Verdict.INCONCLUSIVE: "?"}
CELLS: tuple[Cell, ...] = ("tp", "fp", "fn", "tn")
SHOWN_RATES = ("selection_rate", "tpr", "fpr", "ppv", "accuracy")
MOST_CLASSES = 8
SMALL = 10
"""Fewer people than this in a cell may point at persons."""


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


def page(audit: Audit) -> str:
    """HTML, the same bytes for the same audit."""
    cube = audit.counted
    attributes = dict.fromkeys([*audit.columns.groups, *(one.attribute for one in audit.judged)])
    groups = [name for name in attributes if all(part in cube.axes for part in crossing(name))]
    rendered: str = (
        _environment()
        .from_string(_text("page.html"))
        .render(
            audit=audit,
            cube=cube,
            title=PurePath(audit.file.path).name,
            verdict=audit.verdicts.verdict,
            judged=[(one, rate_figures(one)) for one in audit.judged],
            sections=[_section(cube, name) for name in groups],
            small=_small_cells(cube),
            smallest=SMALL,
            style=_text("page.css"),
        )
    )
    return rendered


def _section(cube: Cube, attribute: str) -> Section:
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


def _head(name: str) -> str:
    return name.upper() if name in (*CELLS, "tpr", "fpr", "ppv") else words(name)


def _percent(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.1%}"


def _small_cells(cube: Cube) -> int:
    """Cells that hold somebody, but fewer people than may be published without a thought."""
    return int(np.count_nonzero((cube.counts > 0) & (cube.counts < SMALL)))


def _text(name: str) -> str:
    return files("tasks.audit").joinpath(name).read_text(encoding="utf-8")


def _environment() -> Environment:
    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    environment.filters |= {
        "words": words,
        "num": number,
        "limit": limit_of,
        "decided": decided_by,
        "mark": lambda verdict: MARKS[verdict],
        "count": lambda value: f"{value:,}",
        "bounds": _bounds,
    }
    return environment


def _bounds(one: Judged) -> str:
    return f"{number(one.low)} to {number(one.high)}"
