"""Texts as coloured tokens, and where the heads of a Transformer look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont
from matplotlib.ft2font import FT2Font
from matplotlib.patches import Rectangle

from tasks.explain.regions import INSIDE_WORD, spelled
from tasks.model.text import TextFeatures
from tasks.report.style import STYLE

Arrays = Mapping[str, npt.NDArray[np.float32]]

FONT, SIZE = "DejaVu Sans Mono", 8
CHARACTER = 0.602 * SIZE / 72  # inches: the font has one width
LINE = 0.2  # inches
COLUMNS = 112  # characters
SIGNED, UNSIGNED = "PuOr_r", "Oranges"
LIGHT = 0.75
"""Part of the colour map that is used, so that letters stay legible."""
DARK = 0.85
"""Share of the greatest attribution from which letters are white."""
MOST_BLOCKS, MOST_STEPS = 3, 28
UNDRAWN = "\u25a1"


@cache
def _known() -> frozenset[int]:
    return frozenset(FT2Font(findfont(FONT)).get_charmap())


def _legible(text: str) -> str:
    """Characters that the font lacks, such as emoji, as a box."""
    return "".join(each if ord(each) in _known() else UNDRAWN for each in text)


@rc_context(STYLE)
def tokens_figure(
    features: TextFeatures,
    own: Arrays,
    title: tuple[str, str],
    labels: Sequence[tuple[str, str]],
) -> Figure:
    """Each decision's text with its tokens coloured by their attributions.

    Args:
        features: spell the tokens.
        own: ``tokens`` (k, length) and ``attributions`` (k, steps).
        title: of the method, and its colour.
        labels: of each decision: what was decided and what the label says, and its colour.
    """
    texts = [_pieces(features, tokens) for tokens in own["tokens"]]
    places = [_lay_out(pieces) for pieces in texts]
    lines = sum(2 + place[-1][0] for place in places) + len(places)
    figure = Figure(figsize=(COLUMNS * CHARACTER + 0.4, lines * LINE + 0.7), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(0, COLUMNS), ylim=(lines, -0.3))
    axes.set_axis_off()
    signed, top = bool((own["attributions"] < 0).any()), 0
    meaning = (
        "orange speaks for the decision, purple against it" if signed else "the darker, the more it weighs"
    )
    axes.set_title(f"{title[0]}\n{meaning}, within each text", color=title[1], fontsize=9)
    for row, (pieces, place) in enumerate(zip(texts, places, strict=True)):
        text, colour = labels[row]
        axes.text(
            0, top + 0.5, text, color=colour, fontsize=SIZE, fontweight="bold", va="center", parse_math=False
        )
        found = own["attributions"][row][: len(pieces)]
        most = max(float(np.abs(found).max(initial=0)), 1e-9)
        for (line, column), piece, value in zip(place, pieces, found, strict=False):
            _token(axes, piece, (column, top + 1 + line), float(value) / most, signed=signed)
        top += 3 + place[-1][0]
    return figure


def _pieces(features: TextFeatures, tokens: npt.NDArray[np.float32]) -> list[str]:
    return [_legible(piece) for piece in spelled(features, [int(token) for token in tokens if token > 0])]


def _lay_out(pieces: Sequence[str]) -> list[tuple[int, int]]:
    """Line and column of each piece; one inside a word follows without a blank."""
    line, column, places = 0, 0, []
    for piece in pieces:
        inside = piece.startswith(INSIDE_WORD)
        size = len(piece) - len(INSIDE_WORD) * inside
        start = column + (0 if inside or column == 0 else 1)
        if start + size > COLUMNS:
            line, start = line + 1, 0
        places.append((line, start))
        column = start + size
    return places


def _token(axes: Axes, piece: str, place: tuple[float, float], share: float, *, signed: bool) -> None:
    text = piece.removeprefix(INSIDE_WORD)
    depth = 0.5 + 0.5 * LIGHT * share if signed else LIGHT * share
    colour = colormaps[SIGNED if signed else UNSIGNED](depth)
    axes.add_patch(Rectangle((place[0], place[1] + 0.05), len(text), 0.9, facecolor=colour, edgecolor="none"))
    axes.text(
        place[0],
        place[1] + 0.5,
        text,
        fontsize=SIZE,
        family=FONT,
        va="center",
        color="white" if abs(share) > DARK else "black",
        parse_math=False,
    )


@rc_context(STYLE)
def attention_figure(features: TextFeatures, own: Arrays, labels: Sequence[tuple[str, str]]) -> Figure:
    """Attention of each token to each other one, mean of the heads, in the first, middle and last blocks.

    Args:
        features: spell the tokens.
        own: ``attention`` (k, blocks, steps, steps) of the first k decisions, and ``tokens``.
        labels: of these decisions, as for :func:`tokens_figure`.
    """
    weights = own["attention"]
    blocks = np.unique(np.linspace(0, weights.shape[1] - 1, MOST_BLOCKS).round().astype(int))
    size = (3.6 * len(blocks), 3.6 * len(weights) + 0.4)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(weights), len(blocks), squeeze=False)
    for row, panels in enumerate(grid):
        pieces = _pieces(features, own["tokens"][row])[:MOST_STEPS]
        for axes, block in zip(panels, blocks, strict=True):
            axes.imshow(weights[row, block, : len(pieces), : len(pieces)], cmap=UNSIGNED, vmin=0)
            axes.set_xticks(range(len(pieces)), pieces, rotation=90, fontsize=5, parse_math=False)
            axes.set_yticks(range(len(pieces)), pieces, fontsize=5, parse_math=False)
            axes.set_title(f"block {block + 1} of {weights.shape[1]}", fontsize=8)
        panels[0].set_ylabel(labels[row][0], color=labels[row][1], fontsize=8)
    figure.suptitle(
        "Attention, mean of the heads:\neach line looks at the columns", x=0.01, ha="left", fontsize=9
    )
    return figure
