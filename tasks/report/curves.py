"""ROC and calibration by group, from the cube's score bins: no row is read again."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tasks.evaluate.curves import SMALLEST_CLASS, calibration_points, classes_by_level, roc_points
from tasks.fairness.cube import Cube
from tasks.fairness.words import on_set
from tasks.plan.judgement import TEST
from tasks.report.style import COLOURS, DASHES, GREY, MARKERS, STYLE, canvas


@rc_context(STYLE)
def scores_by_group(cube: Cube, attribute: str, on: str = TEST) -> Figure:
    """ROC curve and calibration of each group, side by side.

    The ROC is exact at the edges of the score bins, with straight lines between them, so its area is a
    little low. A calibration point lies at the mean of its bins' middles, weighted by their rows.

    Args:
        cube: with score bins and a positive class.
        attribute: one of its axes.
        on: the set of rows that it counts.
    """
    assert cube.score_bins is not None  # noqa: S101 - the caller asks
    levels = list(classes_by_level(cube, cube.score_bins, attribute))
    figure, (left, right) = canvas(9.6, 5.0 + 0.12 * len(levels), 2)
    for index, (level, positives, negatives) in enumerate(levels):
        label = f"{level}  n={int(positives.sum() + negatives.sum()):,}"
        if min(positives.sum(), negatives.sum()) < SMALLEST_CLASS:
            left.plot([], [], " ", label=f"{label}: too few to draw")
            continue
        x, y = roc_points(positives, negatives)
        area = float(np.trapezoid(y, x))
        left.plot(x, y, label=f"{label}, AUC ≈ {area:.3f}", **_look(index))
        x, y = calibration_points(cube.score_bins, positives, negatives)
        right.plot(x, y, marker=MARKERS[index % len(MARKERS)], markersize=4, **_look(index))
    _frame(left, f"ROC by {attribute}{on_set(on)}", "false positive rate", "true positive rate")
    _frame(right, f"Calibration by {attribute}{on_set(on)}", "score", f"share that is {cube.positive}")
    figure.legend(loc="outside lower left", ncols=2, fontsize=9)
    return figure


def _frame(axes: Axes, title: str, x: str, y: str) -> None:
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal", xlabel=x, ylabel=y)
    axes.set_title(title, loc="left")


def _look(index: int) -> dict[str, Any]:
    colour, dashes = COLOURS[index % len(COLOURS)], DASHES[index % len(DASHES)]
    return {"color": colour, "linestyle": dashes, "linewidth": 1.6}
