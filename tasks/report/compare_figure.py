"""Accuracy against each gap, one mark a variant, with what changed against `none` and the Pareto front."""

from __future__ import annotations

from math import nan
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tasks.evaluate.compared import Change, Comparison, LimitChange, Variant
from tasks.fairness.table import METRICS
from tasks.fairness.verdict import Judged
from tasks.fairness.words import headed
from tasks.plan.judgement import TEST
from tasks.report.style import BAND, COLOURS, GREY, MARKERS, STYLE, save

WIDTH, HEIGHT, COLUMNS = 5.4, 4.2, 2


def write_figure(found: Comparison, path: Path) -> str:
    """Draw the comparison as PNG; returns the same figure as SVG, for a page."""
    figure = draw(found)
    save(figure, path)
    drawn = save(figure, path.with_suffix(".svg"))
    text = drawn.read_text(encoding="utf-8")
    drawn.unlink()
    return text[text.index("<svg") :]


@rc_context(STYLE)
def draw(found: Comparison) -> Figure:
    """A panel for each gap that the plan limits on the test part.

    Whiskers are 95% intervals of the change against `none`, set at what `none` measured: paired, so they
    say whether a variant differs from `none`, not from another. The line joins the front: variants that no
    other beats in both accuracy and that gap.
    """
    names = list(found.fronts)
    rows = -(-max(1, len(names)) // COLUMNS)
    columns = min(COLUMNS, max(1, len(names)))
    figure = Figure(figsize=(WIDTH * columns, HEIGHT * rows + 0.9), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    for axes, name in zip(panels, names, strict=False):
        metric, _, attribute = name.partition(" by ")
        _panel(axes, found, metric, attribute)
    # From every panel: a variant whose gap is undefined in one stands in another.
    marks = {mark.get_label(): mark for axes in panels for mark in axes.get_legend_handles_labels()[0]}
    figure.legend(handles=list(marks.values()), loc="outside lower center", ncols=4, fontsize=9)
    title = f"{found.plan}: {len(found.finished)} variants on the same {found.test_rows:,} test rows"
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    return figure


def _panel(axes: Axes, found: Comparison, metric: str, attribute: str) -> None:
    better = "right" if METRICS[metric].scale.sign < 0 else "left"
    front = found.fronts[f"{metric} by {attribute}"]
    points = []
    for i, variant in enumerate(found.finished):
        judged = _judged(variant, metric, attribute)
        if judged is None or judged.measurement is None or variant.accuracy is None:
            continue
        x, y = judged.measurement, variant.accuracy
        _whiskers(axes, variant, metric, attribute, COLOURS[i % len(COLOURS)])
        inside = variant.name in front
        axes.plot(
            [x],
            [y],
            MARKERS[i % len(MARKERS)],
            color=COLOURS[i % len(COLOURS)],
            markersize=9,
            fillstyle="full" if inside else "none",
            markeredgewidth=1.8,
            linestyle="none",
            zorder=4,
            label=variant.name,
        )
        if inside:
            points.append((x, y))
    points.sort()
    axes.plot(*zip(*points, strict=True), color=GREY, linewidth=1.2, zorder=2, label="Pareto front (filled)")
    limit = next(
        one.limit for one in found.finished[0].judged if (one.metric, one.attribute) == (metric, attribute)
    )
    axes.axvline(limit, color=GREY, linestyle="--", linewidth=1.2, zorder=1, label="the plan's limit")
    axes.set_xlabel(f"measured (better to the {better})", fontsize=9)
    axes.set_ylabel("accuracy", fontsize=9)
    axes.set_title(f"{headed(metric)} by {attribute}", loc="left", fontsize=10)
    axes.grid(color=BAND, zorder=0)
    axes.tick_params(labelsize=8)


def _whiskers(axes: Axes, variant: Variant, metric: str, attribute: str, colour: str) -> None:
    """Intervals of the change, through the mark; a metric of the score has none across."""
    change, on_test = _change(variant, metric, attribute), variant.on_test
    if change is None or on_test is None or change.after is None or on_test.accuracy.after is None:
        return
    x, y = change.after, on_test.accuracy.after
    style: dict[str, Any] = {"color": colour, "linewidth": 1.2, "alpha": 0.7, "zorder": 3}
    axes.plot(_ends(change), [y, y], **style)
    axes.plot([x, x], _ends(on_test.accuracy), **style)


def _ends(change: Change) -> list[float]:
    """The interval of a change, set at what was measured before; nowhere where there is none."""
    if change.before is None or change.low is None or change.high is None:
        return [nan, nan]
    return [change.before + change.low, change.before + change.high]


def _judged(variant: Variant, metric: str, attribute: str) -> Judged | None:
    wanted = (metric, attribute, TEST)
    return next((one for one in variant.judged if (one.metric, one.attribute, one.on) == wanted), None)


def _change(variant: Variant, metric: str, attribute: str) -> LimitChange | None:
    limits = variant.on_test.limits if variant.on_test else ()
    return next((one for one in limits if (one.metric, one.attribute) == (metric, attribute)), None)
