"""How every figure looks, and how it becomes a file with the same bytes each time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave

# Okabe and Ito's palette, told apart by people with colour vision deficiencies, darkest first.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D1F")
DASHES: tuple[Any, ...] = (
    "-",
    "--",
    "-.",
    ":",
    (0, (5, 1, 1, 1, 1, 1)),
    (0, (1, 1)),
    (0, (8, 3)),
    (0, (3, 5)),
)
# One more than colours: 72 pairs before one comes again.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<")
GREY, BAND, BREACH = "#767676", "#DCE9F2", "#D55E00"
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that figures are alike everywhere
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "legend.frameon": False,
    "svg.hashsalt": "assay",
}
DOTS_PER_INCH = 110


def canvas(width: float, height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure of ``width`` x ``height`` inches with one row of axes; belongs to no window."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(figure.subplots(1, columns, squeeze=False)[0])


def save(figure: Figure, path: Path) -> Path:
    """Write PNG or SVG by the suffix, without a date or a version inside."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with rc_context(STYLE):
        if path.suffix == ".svg":
            figure.savefig(path, metadata={"Date": None, "Creator": None})
        else:  # drawn once: `savefig` draws twice
            figure.set_dpi(DOTS_PER_INCH)
            agg = FigureCanvasAgg(figure)
            agg.draw()  # type: ignore[no-untyped-call]
            pixels = agg.buffer_rgba()  # type: ignore[no-untyped-call]
            imsave(path, pixels, metadata={"Software": "assay"})
    return path
