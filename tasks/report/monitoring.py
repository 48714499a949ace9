"""A look at a champion in service, for people: the trend over the looks, and the page of the run."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tasks.fairness.verdict import Verdicts
from tasks.fairness.words import number, words
from tasks.monitor.records import Compared, Looks, NewRows, Trend
from tasks.report.style import BAND, COLOURS, GREY, STYLE, save

WIDTH, HEIGHT = 7.2, 2.3
SHOWN = 60  # looks drawn; older ones stand in MLflow


def write_trend(trends: Sequence[Trend], path: Path) -> Path:
    """Draw every number over the looks, as PNG."""
    return save(draw_trend(trends), path)


@rc_context(STYLE)
def draw_trend(trends: Sequence[Trend]) -> Figure:
    """A panel for each number: measured, its bounds at the level of its look, and the plan's limit."""
    figure = Figure(figsize=(WIDTH, HEIGHT * len(trends)), layout="constrained")
    panels = figure.subplots(len(trends), 1, squeeze=False).ravel().tolist()
    for axes, trend in zip(panels, trends, strict=True):
        _panel(axes, trend)
    return figure


def _panel(axes: Axes, trend: Trend) -> None:
    places = range(len(trend.at[-SHOWN:]))
    value, low, high = (
        [nan if one is None else one for one in series[-SHOWN:]]
        for series in (trend.value, trend.low, trend.high)
    )
    axes.vlines(places, low, high, color=COLOURS[0], linewidth=1.4, alpha=0.7, zorder=2)
    axes.plot(places, value, "o-", color=COLOURS[0], linewidth=1.2, markersize=5, zorder=3)
    axes.axhline(trend.limit, color=GREY, linestyle="--", linewidth=1.2, zorder=1)
    axes.annotate("the plan's limit", (-0.4, trend.limit), fontsize=8, color=GREY, va="bottom")
    axes.set_xlim(-0.4, len(places) - 0.6)
    every = max(1, -(-len(places) // 8))
    axes.set_xticks(list(places)[::every], [at[:16].replace("T", "\n") for at in trend.at[-SHOWN:]][::every])
    axes.set_title(trend.name, loc="left", fontsize=10)
    axes.grid(color=BAND, zorder=0)
    axes.tick_params(labelsize=8)


def look_page(
    ending: str,
    because: Sequence[str],
    rows: NewRows | None,
    looks: Looks | None,
    compared: Compared | None,
    verdicts: Verdicts | None,
) -> str:
    """The page of the run, Markdown: what was decided and why, then what it rests on."""
    lines = [f"# {ending}", "", *(f"> {_plain(line)}\n>" for line in because), ""]
    if verdicts is not None:
        lines += ["| verdict | limit | measured | bounds |", "|---|---|---|---|"]
        lines += [
            f"| **{one.verdict}** | {words(one.metric)} by {one.attribute}, {one.limit:g} "
            f"| {number(one.measurement)} | {number(one.low)} to {number(one.high)} |"
            for one in verdicts.judged
        ]
    if rows is not None:
        lines += ["", f"{rows.rows:,} rows, {rows.labelled:,} with a label. {rows.first} to {rows.last}."]
        lines += [f"{number:,} rows {why} were left out." for why, number in sorted(rows.left_out.items())]
    for look in (looks.rows, looks.labels) if looks else ():
        if look is not None:
            told = f"Look {look.number} at the {look.of} of this champion, at level {look.alpha:.3g}"
            lines += ["", f"{told}; {look.spent:.3g} of alpha is spent."]
    if compared is not None:
        lines += ["", "| column | distance | limit | |", "|---|---|---|---|"]
        lines += [
            f"| {_plain(one.column)} | {one.value:.3f} | {one.limit:g} | {'drifted' if one.drifted else ''} |"
            for one in (*compared.predictions, *compared.drift)
        ]
        lines += ["", *(f"- {_plain(note)}" for note in compared.notes)]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Text that Markdown leaves as it is, in one table cell."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
