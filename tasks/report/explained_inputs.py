"""Pictures of what in its input a model decided by, from the record and the arrays that it vouches for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

import numpy as np
import numpy.typing as npt
import safetensors.numpy
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tasks.explain.records import Explained, Explanation
from tasks.explain.regions import band_hertz
from tasks.model.audio import AudioFeatures
from tasks.model.features import features_from_json
from tasks.model.inputs import Features
from tasks.model.predictor import DESCRIPTION
from tasks.model.rule import ClassRule, Rule, rule_from_json
from tasks.model.text import TextFeatures
from tasks.report.explained_layers import layers_figure
from tasks.report.explained_page import failed
from tasks.report.explained_texts import attention_figure, tokens_figure
from tasks.report.style import BREACH, GREY, STYLE

Arrays = Mapping[str, npt.NDArray[np.float32]]

SIGNED, UNSIGNED = "PuOr_r", "cividis"
"""Colour maps that people with colour vision deficiencies read; purple speaks against, orange for."""
SIDE_BY_SIDE = 2
"""Pictures in a line, each with its attributions; a spectrogram has a line of its own."""
PICTURE_TITLE, AUDIO_TITLE = 20, 42
"""Characters in a line above a panel."""
BRIGHTEST = 99.5
"""Percentile of the sizes at which colours end, so that one cell does not darken all others."""


@dataclass(frozen=True)
class Drawn:
    """What a figure of decisions is drawn from.

    Attributes:
        features: say what the content is.
        rule: names the classes.
        methods: by name, each explanation.
        arrays: of each method: its attributions and what stands in the rows.
    """

    features: Features
    rule: Rule
    methods: Mapping[str, Explanation]
    arrays: Mapping[str, Arrays]

    def title(self, name: str) -> tuple[str, str]:
        """A method's name, with the checks that it fails, and the colour for it."""
        one = self.methods[name]
        return (name, "black") if one.reliable else (f"{name}, UNRELIABLE: {failed(one.checks)}", BREACH)

    def decision(self, row: int) -> tuple[str, str]:
        """What was decided of a row and what its label says, and the colour for it."""
        own = next(iter(self.arrays.values()))
        decided, told = float(own["decided"][row]), float(own["labelled"][row])
        if not isinstance(self.rule, ClassRule):
            return f"label {told:g}", "black"
        names = self.rule.classes
        text = f"{names[int(decided)]}, label {names[int(told)]}"
        return (text, "black") if decided == told else (text, BREACH)


def input_figures(explained: Explained, folder: Path) -> dict[str, Figure]:
    """Figures of inputs and of layers, as far as the record has them.

    Args:
        explained: the step's record.
        folder: the dossier, with the arrays and the model's description.

    Returns:
        By the figure's name.
    """
    figures = dict[str, Figure]()
    for one in explained.explanations:
        if one.part == "model" and one.layers:
            figures["explained-layers"] = layers_figure(one)
    kept = {one.method: one for one in explained.explanations if one.part == "input" and one.files}
    if not kept:
        return figures
    stored = json.loads((folder / "model" / DESCRIPTION).read_bytes())
    features, rule = features_from_json(stored["features"]), rule_from_json(stored["rule"])
    arrays = {
        name: safetensors.numpy.load((folder / one.files[0].path).read_bytes()) for name, one in kept.items()
    }
    drawn = Drawn(features, rule, kept, arrays)
    if isinstance(features, TextFeatures):
        for name, own in arrays.items():
            labels = [drawn.decision(row) for row in range(len(own["decided"]))]
            figures[f"explained-tokens-{name.replace(' ', '-')}"] = tokens_figure(
                features, own, drawn.title(name), labels
            )
        if "attention" in arrays:
            labels = [drawn.decision(row) for row in range(len(arrays["attention"]["attention"]))]
            figures["explained-attention-maps"] = attention_figure(features, arrays["attention"], labels)
        return figures
    worst = next(iter(arrays.values()))["worst"] > 0
    for part, rows in (("classes", np.flatnonzero(~worst)), ("worst-group", np.flatnonzero(worst))):
        if len(rows):
            figures[f"explained-inputs-{part}"] = decisions_figure(drawn, rows, part)
    return figures


@rc_context(STYLE)
def decisions_figure(drawn: Drawn, rows: npt.NDArray[np.int64], part: str) -> Figure:
    """Input and attributions side by side, a decision after the other.

    Args:
        drawn: pictures or spectrograms.
        rows: which of the decisions.
        part: "classes" or "worst-group".
    """
    audio = isinstance(drawn.features, AudioFeatures)
    beside, wide, high = (1, 2.9, 1.55) if audio else (SIDE_BY_SIDE, 1.25, 1.35)
    panels = 1 + len(drawn.arrays)
    lines = -(-len(rows) // beside)
    figure = Figure(figsize=(beside * panels * wide, 1.2 + lines * high), layout="constrained")
    grid = figure.subplots(lines, beside * panels, squeeze=False)
    for place in range(lines * beside):
        own = grid[place // beside, (place % beside) * panels : (place % beside + 1) * panels]
        if place >= len(rows):
            for axes in own:
                axes.set_axis_off()
            continue
        _decision(drawn, int(rows[place]), list(own), first=place < beside, last=place >= len(rows) - beside)
    of = next(iter(drawn.methods.values())).of
    note = "Decisions of each class" if part == "classes" else _worst(drawn)
    figure.suptitle(f"{note}\nexplained: {of}", x=0.01, ha="left", fontsize=9)
    return figure


def _worst(drawn: Drawn) -> str:
    notes = [note for one in drawn.methods.values() for note in one.notes if note.startswith("worst group")]
    return notes[0].partition(";")[0] if notes else "Decisions of the worst group"


def _decision(drawn: Drawn, row: int, panels: list[Axes], *, first: bool, last: bool) -> None:
    text, colour = drawn.decision(row)
    content = next(iter(drawn.arrays.values()))
    if isinstance(drawn.features, AudioFeatures):
        _spectrogram(drawn.features, content["decibels"][row], panels[0], "magma", None)
    else:
        pixels = np.moveaxis(content["pixels"][row], 0, 2)
        panels[0].imshow(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels, cmap="gray", vmin=0, vmax=1)
    panels[0].set_ylabel(text, color=colour, fontsize=8, fontweight="normal")
    if first:
        panels[0].set_title("input", fontsize=7)
    for axes, (name, own) in zip(panels[1:], drawn.arrays.items(), strict=True):
        found = own["attributions"][row]
        most = max(float(np.percentile(np.abs(found), BRIGHTEST)), 1e-9)
        signed = bool((own["attributions"] < 0).any())
        limits = (-most, most) if signed else (0.0, most)
        if isinstance(drawn.features, AudioFeatures):
            _spectrogram(drawn.features, found, axes, SIGNED if signed else UNSIGNED, limits)
        else:
            axes.imshow(found, cmap=SIGNED if signed else UNSIGNED, vmin=limits[0], vmax=limits[1])
        if first:
            title, shade = drawn.title(name)
            width = AUDIO_TITLE if isinstance(drawn.features, AudioFeatures) else PICTURE_TITLE
            axes.set_title("\n".join(wrap(title, width)), fontsize=7, color=shade)
    for axes in panels:
        axes.spines[:].set_visible(False)
        if not isinstance(drawn.features, AudioFeatures):
            axes.set(xticks=[], yticks=[])
        elif last:
            axes.set_xlabel("seconds", fontsize=8)


def _spectrogram(
    features: AudioFeatures,
    cells: npt.NDArray[np.float32],
    axes: Axes,
    colours: str,
    limits: tuple[float, float] | None,
) -> None:
    """Cells (mels, frames) over seconds and mel bands, which are marked by their frequencies."""
    own = features.spectrogram
    low, high = limits if limits is not None else (None, None)
    extent = (0.0, own.shape[2] * own.hop / own.rate, 0.0, float(own.mels))
    axes.imshow(cells, origin="lower", aspect="auto", extent=extent, cmap=colours, vmin=low, vmax=high)
    edges = band_hertz(features)
    ticks = np.linspace(0, own.mels, 4).round()
    axes.set_yticks(ticks, [f"{edges[int(tick)]:.0f} Hz" for tick in ticks], fontsize=6, color=GREY)
    axes.tick_params(axis="x", labelsize=6)
