"""A model's layers at a glance: units that tell nothing, norms, and what each layer separates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from tasks.explain.layer_records import Layer
from tasks.explain.records import Explanation
from tasks.report.explained_page import failed
from tasks.report.style import BREACH, COLOURS, DASHES, GREY, MARKERS, STYLE

OFFSET = 0.08
"""Between attributes at one layer, so that their intervals do not hide each other."""


@rc_context(STYLE)
def layers_figure(one: Explanation) -> Figure:
    """Dead and flat units, norms of weights and gradients, and areas under ROC curves, layer by layer.

    Args:
        one: the report on layers.
    """
    layers = one.layers
    figure = Figure(figsize=(12.5, 2.6 + 0.32 * len(layers)), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1, 1.4))
    _units(left, layers)
    _norms(middle, layers)
    _separates(right, layers)
    for axes in (left, middle, right):
        axes.set_ylim(len(layers) - 0.5, -0.5)
        named = [layer.name.removeprefix("body.") for layer in layers] if axes is left else [""] * len(layers)
        axes.set_yticks(range(len(layers)), named)
        axes.grid(axis="x", color="#E6E6E6", zorder=0)
    state = "" if one.reliable else f" - UNRELIABLE: {failed(one.checks)}"
    figure.suptitle(
        f"Layers, on {one.rows:,} validation rows{state}",
        x=0.01,
        ha="left",
        color="black" if one.reliable else BREACH,
    )
    return figure


def _units(axes: Axes, layers: Sequence[Layer]) -> None:
    for row, layer in enumerate(layers):
        if not layer.units:
            axes.text(0.02, row, "no activation", va="center", fontsize=8, color=GREY)
            continue
        axes.barh(row - 0.18, layer.flat, 0.32, color=COLOURS[5], zorder=3)
        axes.barh(row + 0.18, layer.dead / layer.units, 0.32, color=BREACH, zorder=3)
        axes.text(
            min(layer.dead / layer.units + 0.02, 0.6),
            row + 0.18,
            f"{layer.dead} of {layer.units} dead ({layer.activation})",
            va="center",
            fontsize=7,
        )
    axes.set(xlim=(0, 1), xlabel="share of places flat (blue), of units dead (orange)")
    axes.set_title("Activations", loc="left")


def _norms(axes: Axes, layers: Sequence[Layer]) -> None:
    of_weights = [(row, layer.weight_norm) for row, layer in enumerate(layers) if layer.weight_norm > 0]
    of_gradients = [(row, layer.gradient_norm) for row, layer in enumerate(layers) if layer.gradient_norm]
    for index, (name, points) in enumerate((("weights", of_weights), ("gradient of the loss", of_gradients))):
        if points:
            rows, values = zip(*points, strict=True)
            axes.plot(values, rows, MARKERS[index], color=COLOURS[index], label=name, zorder=3)
    if of_weights or of_gradients:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.28), ncols=2, fontsize=8)
    axes.set_xlabel("Euclidean length")
    axes.set_title("Norms", loc="left")


def _separates(axes: Axes, layers: Sequence[Layer]) -> None:
    names = list(dict.fromkeys(each.attribute for layer in layers for each in layer.separates))
    for index, name in enumerate(names):
        found = [
            (row, each)
            for row, layer in enumerate(layers)
            for each in layer.separates
            if each.attribute == name
        ]
        rows = np.array([row for row, _ in found]) + OFFSET * (index - (len(names) - 1) / 2)
        areas = np.array([each.auc for _, each in found])
        ends = np.array([[each.auc - each.low, each.high - each.auc] for _, each in found]).clip(0).T
        look = {"color": COLOURS[index % len(COLOURS)], "linestyle": DASHES[index % len(DASHES)]}
        axes.errorbar(
            areas, rows, xerr=ends, marker=MARKERS[index % len(MARKERS)], label=name, zorder=3, **look
        )
    axes.axvline(0.5, color=GREY, linewidth=1)
    axes.set_xlabel("area under the ROC curve of a linear reading (95% interval)")
    axes.set_title("What each layer separates", loc="left")
    if names:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.28), ncols=4, fontsize=8)
    else:
        axes.text(0.5, 0.5, "too few rows", transform=axes.transAxes, ha="center", color=GREY)
