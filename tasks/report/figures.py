"""The run's pictures, drawn from its records alone: who is represented, how groups fare, how it learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tasks.evaluate.records import Opened
from tasks.explain.records import Explained
from tasks.fairness.counts import Counts, read_counts
from tasks.fairness.cube import Cube
from tasks.fairness.verdict import GroupRate, Judged, Verdicts
from tasks.fairness.words import limit_of, where, words
from tasks.plan.judgement import TEST
from tasks.plan.metrics import NUMBERS
from tasks.report.by_group_figures import by_group_figures
from tasks.report.curves import scores_by_group
from tasks.report.explained import explained_figures
from tasks.report.explained_inputs import input_figures
from tasks.report.style import BAND, BREACH, COLOURS, GREY, STYLE, canvas, save
from tasks.represent.records import Ratio, Represented
from tasks.train.records import Epoch, Trained

FOUR_FIFTHS = (0.8, 1.25)  # 29 CFR 1607.4(D) and its inverse
OF_NUMBERS = frozenset(name.rpartition("_")[0] for name in NUMBERS)
"""Quantities of a predicted number: all but the distance of its distribution are in its unit."""
UNBOUNDED = frozenset({"fn_per_fp", "calibration_slope", "tpr + fpr", "tpr - fpr"})
MARGIN = 0.04
"""Of an axis, beyond 0 and 1, for the marks there."""
RATE_NAMES = {
    "selection_rate": "selection rate",
    "tpr": "true positive rate",
    "fpr": "false positive rate",
    "ppv": "positive predictive value",
    "accuracy": "accuracy",
}


def draw_figures(records: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw what the records allow into ``folder / "figures"``; a run that ended early has fewer.

    Args:
        records: step -> record, as in the dossier.
        folder: the dossier, which holds cube.json.

    Returns:
        The PNG files, in the order of the steps.
    """
    figures: dict[str, Figure] = {}
    if isinstance(sample := records.get("representativeness"), Represented) and sample.ratios:
        figures["representation"] = representation(sample)
    if isinstance(trained := records.get("freeze"), Trained) and trained.history:
        figures["loss"] = loss_curve(trained.history, trained.best_epoch)
    if isinstance(verdicts := records.get("verdicts"), Verdicts):
        for on, attribute in dict.fromkeys((judged.on, judged.attribute) for judged in verdicts.judged):
            figures[f"rates-{_file_name(attribute, on)}"] = group_rates(verdicts.judged, attribute, on)
    if isinstance(opened := records.get("opening"), Opened):
        for on, path in opened.cubes(folder).items():
            figures |= _of_counts(read_counts(path.read_bytes()), on)
    if isinstance(explained := records.get("explanations"), Explained):
        figures |= explained_figures(explained) | input_figures(explained, folder)
    return [save(figure, folder / "figures" / f"{name}.png") for name, figure in figures.items()]


def _of_counts(counts: Counts, on: str) -> dict[str, Figure]:
    """Curves of the score where there is a positive class; results by class, or errors, by group."""
    figures = {f"groups-{_file_name(of, on)}": figure for of, figure in by_group_figures(counts, on)}
    if isinstance(counts, Cube) and counts.score_bins is not None and counts.positive is not None:
        for attribute in counts.axes:
            figures[f"scores-{_file_name(attribute, on)}"] = scores_by_group(counts, attribute, on)
    return figures


@rc_context(STYLE)
def representation(sample: Represented) -> Figure:
    """Sample share / population share of each level, with its 95% interval and the 0.8-1.25 band."""
    shown = [ratio for ratio in sample.ratios if ratio.ratio is not None]
    figure, (axes,) = canvas(8.5, 1.5 + 0.3 * (len(shown) + len({r.attribute for r in shown})))
    positions, labels, row = [], [], 0
    before = None
    for ratio in shown:
        row += 1 + (ratio.attribute != before and before is not None)
        _ratio(axes, row, ratio)
        positions.append(row)
        labels.append(f"{ratio.attribute}: {ratio.level}  (n={ratio.n:,})")
        before = ratio.attribute
    axes.axvspan(*FOUR_FIFTHS, color=BAND, zorder=0, label="0.8 to 1.25")
    axes.axvline(1, color=GREY, linewidth=1, zorder=1)
    axes.set_xscale("log")
    low, high = _log_limits(shown)
    axes.set_xlim(low, high)
    ticks = [tick for tick in (0.1, 0.2, 0.5, 0.8, 1, 1.25, 2, 5, 10) if low <= tick <= high]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_yticks(positions, labels)
    axes.set_ylim(row + 0.7, 0.3)
    axes.set_xlabel("share in training / share in population (95% interval)")
    axes.set_title("Representation of the training part", loc="left")
    figure.legend(loc="outside lower right", ncols=3, fontsize=9)
    return figure


def _ratio(axes: Axes, row: int, ratio: Ratio) -> None:
    assert ratio.ratio is not None  # noqa: S101 - the caller leaves those out
    low, high = ratio.low or ratio.ratio, ratio.high or ratio.ratio
    inside = FOUR_FIFTHS[0] <= ratio.ratio <= FOUR_FIFTHS[1]
    colour, marker = (COLOURS[0], "o") if inside else (BREACH, "s")
    name = "inside the band" if inside else "outside the band"
    known = {line.get_label() for line in axes.lines}
    axes.plot([low, high], [row, row], color=colour, linewidth=2)
    label = name if name not in known else None
    axes.plot([ratio.ratio], [row], marker, color=colour, markersize=6, label=label)
    if ratio.raked_share is not None and ratio.population_share > 0:
        raked = "after raking" if "after raking" not in known else None
        place = ratio.raked_share / ratio.population_share
        axes.plot([place], [row], "D", color="black", fillstyle="none", markersize=7, label=raked)


def _log_limits(shown: Sequence[Ratio]) -> tuple[float, float]:
    ends = [end for ratio in shown for end in (ratio.low, ratio.high, ratio.ratio) if end]
    return max(0.05, min(0.7, *ends) / 1.15), min(20.0, max(1.45, *ends) * 1.15)


@rc_context(STYLE)
def group_rates(judged: Sequence[Judged], attribute: str, on: str = TEST) -> Figure:
    """Each group's rates with 95% intervals, and the band as wide as the limit in which they must lie.

    For a difference the band starts at the lowest judged rate, for a ratio it ends at the highest; a
    minimum or maximum is one of its ends.

    Args:
        judged: of every set of rows.
        attribute: by what.
        on: the set whose rates are drawn.
    """
    judged = [one for one in judged if one.on == on]
    rates = _rates(judged, attribute)
    groups = list(dict.fromkeys(rate.group for of_name in rates.values() for rate in of_name))
    figure, panels = canvas(1.5 + 3.3 * len(rates), 1.9 + 0.42 * len(groups), len(rates))
    for axes, (name, of_name) in zip(panels, rates.items(), strict=True):
        for rate in of_name:
            _rate(axes, groups.index(rate.group), rate)
        _limit(axes, [one for one in judged if one.attribute == attribute and _uses(one, name)], of_name)
        axes.set_title(RATE_NAMES.get(name, words(name)), loc="left")
        axes.set_ylim(len(groups) - 0.4, -0.6)
        axes.set_yticks(range(len(groups)), groups if axes is panels[0] else [""] * len(groups))
        if _is_share(name):
            _percent(axes)
        axes.grid(axis="x", color="#E6E6E6", zorder=0)
    what = "Predictions and errors" if set(rates) & OF_NUMBERS else "Rates"
    figure.suptitle(f"{what} by {attribute} on {where(on)}, with 95% intervals", x=0.01, ha="left")
    return figure


def _is_share(rate_name: str) -> bool:
    """Whether a quantity lies between 0 and 1, whatever class it is of."""
    return rate_name.partition(" (")[0] not in (OF_NUMBERS - {"parity"}) | UNBOUNDED


def _percent(axes: Axes) -> None:
    """An axis of shares: nothing lies beyond 0 and 1."""
    left, right = axes.get_xlim()
    margin = MARGIN * (right - left)
    axes.set_xlim(max(left, -margin), min(right, 1 + margin))
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%" if -1e-9 <= value <= 1 + 1e-9 else "")


def _rates(judged: Sequence[Judged], attribute: str) -> dict[str, list[GroupRate]]:
    """Rate -> its groups, each group once, though several limits look at the same rate."""
    found: dict[str, dict[str, GroupRate]] = {}
    for one in judged:
        if one.attribute == attribute:
            for rate in one.groups:
                found.setdefault(rate.rate_name, {})[rate.group] = rate
    return {name: list(groups.values()) for name, groups in found.items()}


def _uses(judged: Judged, rate_name: str) -> bool:
    return any(rate.rate_name == rate_name for rate in judged.groups)


def _rate(axes: Axes, row: int, rate: GroupRate) -> None:
    label = f"n={rate.n:,}" if rate.judged else f"n={rate.n:,}, not judged"
    if rate.rate is None or rate.low is None or rate.high is None:
        axes.text(
            0.5, row, f"undefined ({label})", color=GREY, va="center", transform=axes.get_yaxis_transform()
        )
        return
    colour = COLOURS[0] if rate.judged else GREY
    axes.plot([rate.low, rate.high], [row, row], color=colour, linewidth=2, zorder=3)
    fill = "full" if rate.judged else "none"
    axes.plot([rate.rate], [row], "o", color=colour, fillstyle=fill, zorder=4)
    axes.annotate(
        label, (rate.rate, row), (0, 6), textcoords="offset points", ha="center", fontsize=8, color=GREY
    )


def _limit(axes: Axes, limits: Sequence[Judged], rates: Sequence[GroupRate]) -> None:
    values = [rate.rate for rate in rates if rate.judged and rate.rate is not None]
    if not values:
        return
    lowest, highest, lines = min(values), max(values), []
    for one in limits:
        bands = {
            "difference": (lowest, lowest + one.limit),
            "ratio": (one.limit * highest, highest),
            "minimum": (one.limit, max(one.limit, highest)),
            "maximum": (min(one.limit, lowest), one.limit),
        }
        if (kind := one.metric.rpartition("_")[2]) in bands:  # others bound no group's own value
            ends = np.clip(bands[kind], 0, 1) if _is_share(rates[0].rate_name) else bands[kind]
            axes.axvspan(*ends, color=BAND, alpha=0.6, zorder=0)
        lines.append(f"{one.metric.replace('_', ' ')} {limit_of(one)}: {one.verdict}")
    axes.set_xlabel("\n".join(lines), fontsize=8)


@rc_context(STYLE)
def loss_curve(history: Sequence[Epoch], best_epoch: int) -> Figure:
    """Loss of the training and validation rows by epoch, with the epoch whose weights were kept."""
    figure, (axes,) = canvas(6.5, 3.6)
    epochs = [epoch.epoch for epoch in history]
    if shown := [(e.epoch, e.train_loss) for e in history if e.train_loss is not None]:
        axes.plot(*zip(*shown, strict=True), "o-", color=COLOURS[0], label="training rows")
    axes.plot(epochs, [e.validation_loss for e in history], "s--", color=COLOURS[1], label="validation rows")
    axes.axvline(best_epoch, color=GREY, linestyle=":", label=f"kept: epoch {best_epoch}")
    axes.set_xlabel("epoch")
    axes.set_ylabel("mean loss")
    axes.set_title("Loss by epoch", loc="left")
    axes.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]
    axes.legend()
    return figure


def _file_name(attribute: str, on: str) -> str:
    name = "-".join(attribute.lower().split())
    return name if on == TEST else f"{on}-{name}"
