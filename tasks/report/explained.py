"""Pictures of what a model looks at, drawn from the record: columns, groups, single decisions, checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tasks.explain.records import Explained, Explanation, GroupWeight, Single
from tasks.report.explained_page import failed
from tasks.report.style import BREACH, COLOURS, DASHES, GREY, MARKERS, STYLE, canvas

FEATURES, OF_GROUPS, OF_DECISION, DECISIONS = 12, 8, 6, 6
GRID = "#E6E6E6"


def explained_figures(explained: Explained) -> dict[str, Figure]:
    """Figures of explanations of the output, by file name; groups where a column differs between them."""
    of_output = [each for each in explained.explanations if each.part == "output"]
    figures = {}
    for each in of_output:
        if each.weights:
            figures[f"explained-{_file(each)}"] = weights_figure(each)
        for attribute in dict.fromkeys(one.attribute for one in each.groups if one.differs):
            figures[f"explained-{_file(each)}-by-{_spelled(attribute)}"] = groups_figure(each, attribute)
    if any(each.singles for each in of_output):
        figures["explained-decisions"] = decisions_figure(of_output)
    return figures


@rc_context(STYLE)
def weights_figure(explanation: Explanation) -> Figure:
    """Mean absolute attribution of each feature with its interval, beside the curves that check it."""
    shown = explanation.weights[:FEATURES]
    figure, panels = canvas(11, 1.6 + 0.3 * max(len(shown), 8), 2 if explanation.curves else 1)
    axes = panels[0]
    for row, weight in enumerate(shown):
        axes.barh(row, weight.value, color=COLOURS[0], height=0.62, zorder=2)
        axes.plot([weight.low, weight.high], [row, row], color="black", linewidth=1.2, zorder=3)
    axes.set_yticks(range(len(shown)), [weight.feature for weight in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlabel(
        f"mean absolute attribution, with 95% interval, n={explanation.rows:,}\n({explanation.of})"
    )
    axes.set_title(f"{explanation.method}: what each column carries", loc="left")
    axes.grid(axis="x", color=GRID, zorder=0)
    if explanation.curves:
        _curves(panels[1], explanation)
    _headed(figure, explanation)
    return figure


def _curves(axes: Axes, explanation: Explanation) -> None:
    curves = explanation.curves
    assert curves is not None  # noqa: S101 - the caller looked
    for place, (name, label) in enumerate(
        (
            ("insertion", "heaviest given first"),
            ("random", "random order"),
            ("deletion", "heaviest taken first"),
        )
    ):
        axes.plot(
            curves.kept,
            getattr(curves, name),
            color=GREY if name == "random" else COLOURS[place],
            linestyle=DASHES[place],
            marker=MARKERS[place],
            markersize=4,
            label=label,
        )
    axes.set_xlabel("share of columns that keep their values")
    axes.set_ylabel("share of the way from base to output")
    axes.set_title("Checked: insertion and deletion", loc="left")
    axes.grid(color=GRID, zorder=0)
    axes.legend(fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=3)


@rc_context(STYLE)
def groups_figure(explanation: Explanation, attribute: str) -> Figure:
    """What a feature carries for each group; filled where it differs from all other rows."""
    own = [one for one in explanation.groups if one.attribute == attribute]
    groups = sorted({one.group for one in own})
    features = [weight.feature for weight in explanation.weights[:OF_GROUPS]]
    figure, (axes,) = canvas(8.5, 1.9 + 0.42 * len(features))
    found = {(one.group, one.feature): one for one in own}
    for place, group in enumerate(groups):
        offset = (place - (len(groups) - 1) / 2) * 0.7 / max(1, len(groups))
        for row, feature in enumerate(features):
            _group(axes, row + offset, found[group, feature], place)
    axes.set_yticks(range(len(features)), features)
    axes.set_ylim(len(features) - 0.4, -0.6)
    axes.set_xlabel(
        "mean absolute attribution; filled: differs from all other rows (95%, over all differences together)"
    )
    axes.grid(axis="x", color=GRID, zorder=0)
    for place, group in enumerate(groups):
        label = f"{group} (n={found[group, features[0]].n:,})"
        axes.plot([], [], _marker(place), color=_colour(place), linestyle="", label=label)
    axes.legend(fontsize=8, loc="lower right")
    _headed(figure, explanation, f"by {attribute}")
    return figure


def _group(axes: Axes, row: float, one: GroupWeight, place: int) -> None:
    fill = "full" if one.differs else "none"
    axes.plot(
        [one.value], [row], _marker(place), color=_colour(place), fillstyle=fill, markersize=6, zorder=3
    )


def _marker(place: int) -> str:
    return MARKERS[place % len(MARKERS)]


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]


@rc_context(STYLE)
def decisions_figure(explanations: Sequence[Explanation]) -> Figure:
    """Single decisions side by side: the first method's attributions as bars, the others' as marks."""
    told = [each for each in explanations if each.singles]
    ids = [one.row_id for one in told[0].singles][:DECISIONS]
    columns = min(3, len(ids))
    rows = -(-len(ids) // columns)
    figure = Figure(figsize=(4.2 * columns, 2.6 * rows + 0.6), layout="constrained")
    panels: np.ndarray = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes in panels[len(ids) :]:
        axes.set_axis_off()
    for axes, row_id in zip(panels, ids, strict=False):
        by_method = {each.method: one for each in told for one in each.singles if one.row_id == row_id}
        _decision(axes, row_id, by_method)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower right", ncols=3, fontsize=9)
    unsafe = next((each for each in told if not each.reliable), told[0])
    _headed(figure, unsafe, "of single decisions")
    return figure


def _decision(axes: Axes, row_id: int, by_method: Mapping[str, Single]) -> None:
    (first, single), *others = by_method.items()
    names = list(single.weights)[:OF_DECISION]
    values = [single.weights[name] for name in names]
    colours = [COLOURS[0] if value >= 0 else COLOURS[1] for value in values]
    axes.barh(range(len(names)), values, color=colours, height=0.6, zorder=2, label=first)
    for place, (method, other) in enumerate(others, start=2):
        marks = [other.weights.get(name, 0.0) for name in names]
        axes.plot(
            marks, range(len(names)), MARKERS[place], color="black", fillstyle="none", label=method, zorder=3
        )
    axes.axvline(0, color=GREY, linewidth=1)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_title(f"row {row_id}: {single.output:+.3f} from base {single.base:+.3f}", loc="left", fontsize=9)
    axes.grid(axis="x", color=GRID, zorder=0)


def _headed(figure: Figure, explanation: Explanation, more: str = "") -> None:
    """A head that says, before anything else, whether the picture can be relied on."""
    words = f"{explanation.method} {more}".strip()
    if explanation.reliable:
        head, colour = f"{words}: every check holds, {len(explanation.checks)} of them", "black"
    else:
        head, colour = f"{words}: NOT RELIABLE, fails {failed(explanation.checks)}", BREACH
    figure.suptitle(head, x=0.01, ha="left", color=colour, fontsize=11)


def _file(explanation: Explanation) -> str:
    return _spelled(explanation.method)


def _spelled(text: str) -> str:
    return "-".join(text.lower().split())
