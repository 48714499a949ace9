"""Figures of how each group fares: class by class, or in the size and direction of errors."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from tasks.fairness.counts import Counts
from tasks.fairness.cube import Cube
from tasks.plan.judgement import TEST
from tasks.report.by_group import ALL, ERRORS, MEASURES, ByClass, ByError, by_class, by_error
from tasks.report.style import COLOURS, GREY, MARKERS, STYLE, canvas


def by_group_figures(counts: Counts, on: str = TEST) -> Iterator[tuple[str, Figure]]:
    """What they are of, and the figures: one an attribute, of the test part or of an audit set."""
    if isinstance(counts, Cube):
        for found in by_class(counts):
            yield found.attribute or "all", class_figure(found, on)
    else:
        for table in counts.tables.values():
            yield table.attribute, error_figure(by_error(table), on)


@rc_context(STYLE)
def class_figure(found: ByClass, on: str = TEST) -> Figure:
    """Recall, precision and F1 of each class, a mark for each group."""
    classes, groups = len(found.classes), len(found.groups)
    spread = 0.7 / max(1, groups)
    figure, panels = canvas(10.5, 1.9 + classes * max(0.32, 0.13 * groups), len(MEASURES))
    for m, (axes, name) in enumerate(zip(panels, MEASURES, strict=True)):
        for g, group in enumerate(found.groups):
            place = np.arange(classes) + (g - (groups - 1) / 2) * spread
            own = group == ALL
            colour, marker = (GREY, "|") if own else (COLOURS[g % len(COLOURS)], MARKERS[g % len(MARKERS)])
            label = f"{group}  n={int(found.rows[g].sum()):,}" if m == 0 else None
            axes.plot(
                found.values[m, g], place, marker, color=colour, markersize=9 if own else 5, label=label
            )
        axes.set_yticks(range(classes), found.classes if m == 0 else [""] * classes)
        axes.set_ylim(classes - 0.4, -0.6)
        for line in np.arange(classes - 1) + 0.5:
            axes.axhline(line, color="#E6E6E6", linewidth=0.8, zorder=0)
        axes.set_title(name, loc="left")
        axes.grid(axis="x", color="#E6E6E6", zorder=0)
    by = f" and {found.attribute}" if found.attribute else ""
    figure.suptitle(f"Results by class{by} {_rows_of(on)}", x=0.01, ha="left")
    figure.legend(loc="outside lower left", ncols=3, fontsize=9)
    return figure


@rc_context(STYLE)
def error_figure(found: ByError, on: str = TEST) -> Figure:
    """Mean prediction and errors of each group, with normal 95% intervals of the mean errors."""
    groups = len(found.groups)
    figure, panels = canvas(12.0, 1.7 + 0.42 * groups, len(ERRORS))
    for m, (axes, name) in enumerate(zip(panels, ERRORS, strict=True)):
        rows = np.arange(groups)
        own = rows == groups - 1
        for marked, colour, marker in ((~own, COLOURS[0], "o"), (own, GREY, "D")):
            value, half = found.values[m, marked], found.half[m, marked]
            axes.errorbar(
                value, rows[marked], xerr=np.nan_to_num(half), fmt=marker, color=colour, markersize=5
            )
        if m == 1:
            axes.axvline(0, color=GREY, linewidth=1, zorder=0)
        names = [f"{group}  n={n:,}" for group, n in zip(found.groups, found.rows.tolist(), strict=True)]
        axes.set_yticks(rows, names if m == 0 else [""] * groups)
        axes.set_ylim(groups - 0.4, -0.6)
        axes.set_title(name, loc="left", fontsize=10)
        axes.grid(axis="x", color="#E6E6E6", zorder=0)
    figure.suptitle(f"Predictions and errors by {found.attribute} {_rows_of(on)}", x=0.01, ha="left")
    return figure


def _rows_of(on: str) -> str:
    return "on the test part" if on == TEST else f"on {on}"
