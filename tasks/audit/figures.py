"""The page's figures: rates with their limits, who is in the table, ROC and calibration by group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from tasks.audit.drawing import Scale, box, curve, dot, line, picture, short, text
from tasks.evaluate.curves import SMALLEST_CLASS, calibration_points, classes_by_level, roc_points
from tasks.fairness.cube import Cube
from tasks.fairness.verdict import GroupRate, Judged
from tasks.fairness.words import headed, limit_of, words
from tasks.plan.metrics import METRICS, PROPORTIONS

WIDTH = 360.0
MARGIN = 8.0
ROW = 40.0
MOST_CURVES = 6
MOST_RATES = 4
SUMS = ("average_absolute_odds_difference",)
"""Named differences that are means over several rates."""


@dataclass(frozen=True)
class Figure:
    """A picture and the sentence below it."""

    svg: Markup
    caption: str


def rate_figures(one: Judged) -> list[Figure]:
    """A limit's rates, each drawn: see `_rates`."""
    return [_rates(one, name, [r for r in one.groups if r.rate_name == name]) for name in rates_drawn(one)]


def rates_drawn(one: Judged) -> list[str]:
    """Names of a limit's rates, that of the deciding pair first, at most four."""
    decisive = [] if one.worst is None else [one.worst[0]]
    return list(dict.fromkeys([*decisive, *(rate.rate_name for rate in one.groups)]))[:MOST_RATES]


def _rates(one: Judged, name: str, rates: Sequence[GroupRate]) -> Figure:
    """Each group's rate with its 95% interval, and the band that the limit leaves."""
    known = [rate for rate in rates if rate.rate is not None]
    unit = Unit.of(name)
    band = _band(one, name, [rate for rate in known if rate.judged])
    ends = [end for r in known for end in (r.low, r.high, r.rate) if end is not None]
    low, high = unit.reach([*ends, *((band.low, band.high) if band else ())])
    scale = Scale(low, high, MARGIN, WIDTH - MARGIN)
    bottom = ROW * len(rates) + 6
    shapes = [] if band is None else [_banded(scale, (band.low, band.high), bottom)]
    shapes += _axis(scale, bottom, unit)
    for i, rate in enumerate(rates):
        shapes += _rate(scale, ROW * i, rate, unit)
    title = f"{words(name)} by {one.attribute}"
    told = "; ".join(f"{rate.group} {unit.shown(rate.rate)} of n={rate.n:,}" for rate in rates)
    caption = f"{headed(name)} by {one.attribute} with 95% intervals."
    if band is not None:
        caption += f" The band is what {words(one.metric)} {limit_of(one)} leaves room for{band.told}."
    return Figure(picture(WIDTH, bottom + 22, title, told, shapes), caption)


@dataclass(frozen=True)
class Unit:
    """How one figure writes its values: shares as percentages, all else as numbers.

    Attributes:
        percent: whether values are shares of rows, in [0, 1].
    """

    percent: bool

    @classmethod
    def of(cls, name: str) -> Unit:
        """The unit of a rate."""
        plain = name.partition(" (")[0].removeprefix("macro_")
        return cls(plain in (*PROPORTIONS, "base_rate", "rejection_rate"))

    def shown(self, value: float | None) -> str:
        """A value beside its group."""
        if value is None:
            return "undefined"
        return f"{value:.1%}" if self.percent else f"{value + 0.0:.3f}"

    def tick(self, value: float) -> str:
        """A value below the axis."""
        return f"{100 * value:g}%" if self.percent else f"{value:g}"

    def reach(self, values: Sequence[float]) -> tuple[float, float]:
        """Ends of an axis on which all values lie, with some room; shares stay in [0, 1]."""
        if not values:
            return 0.0, 1.0
        low, high = min(values), max(values)
        room = max(0.02, 0.04 * (high - low))
        if self.percent:
            return max(0.0, low - room), min(1.0, high + room)
        return low - room, high + room


@dataclass(frozen=True)
class _Band:
    """Where the limit leaves room, and which group it is measured from."""

    low: float
    high: float
    told: str = ""


def _band(one: Judged, name: str, rates: Sequence[GroupRate]) -> _Band | None:
    """Room below the higher rate of the deciding pair for a ratio, above its lower one for a difference.

    A figure of another rate than the deciding one is anchored at the highest or the lowest rate.
    """
    kind = METRICS[one.metric].kind
    known = {rate.group: rate.rate for rate in rates if rate.rate is not None}
    if kind == "minimum":
        return _Band(one.limit, max([1.0, *known.values()]))
    if kind == "maximum":
        return _Band(min([0.0, *known.values()]), one.limit)
    if not known or not one.metric.endswith(("_ratio", "_difference")) or one.metric in SUMS:
        return None  # a sum or a mean of gaps: no band in one rate
    pair = one.worst[1:] if one.worst is not None and one.worst[0] == name else ()
    chosen = [group for group in pair if group in known] or list(known)
    if kind == "ratio":
        group = max(chosen, key=lambda each: known[each])
        return _Band(one.limit * known[group], known[group], _told(pair, f"below {group}"))
    group = min(chosen, key=lambda each: known[each])
    return _Band(known[group], known[group] + one.limit, _told(pair, f"above {group}"))


def _told(pair: Sequence[str], where: str) -> str:
    return f" {where} (decided on {' against '.join(pair)})" if pair else f" {where}"


def _banded(scale: Scale, band: tuple[float, float], bottom: float) -> Markup:
    first, last = scale.at(band[0]), scale.at(band[1])
    edges = [line(x, 0, x, bottom, "edge") for x in (first, last)]
    return Markup("").join([box(first, 0, last - first, bottom, "band"), *edges])


def _axis(scale: Scale, bottom: float, unit: Unit) -> list[Markup]:
    shapes = [line(scale.start, bottom, scale.end, bottom, "axis")]
    for tick in scale.ticks():
        x = scale.at(tick)
        anchor = "start" if x < 20 else "end" if x > WIDTH - 20 else "middle"
        shapes += [
            line(x, 0, x, bottom, "grid"),
            text(x, bottom + 15, unit.tick(tick), "small", anchor),
        ]
    return shapes


def _rate(scale: Scale, top: float, rate: GroupRate, unit: Unit) -> list[Markup]:
    note = "" if rate.judged else ", not judged"
    shapes = [
        text(MARGIN, top + 16, short(rate.group), "name"),
        text(WIDTH - MARGIN, top + 16, f"{unit.shown(rate.rate)}  n={rate.n:,}{note}", "small", "end"),
    ]
    if rate.rate is None:
        return shapes
    y, style = top + 30, "judged" if rate.judged else "unjudged"
    ends = [scale.at(end) for end in (rate.low, rate.high) if end is not None]
    if len(ends) == 2:
        shapes += [line(x, y - 4, x, y + 4, f"whisker {style}") for x in ends]
        shapes.append(line(ends[0], y, ends[1], y, f"whisker {style}"))
    return [*shapes, dot(scale.at(rate.rate), y, style)]


def representation(cube: Cube, attribute: str) -> Figure:
    """How many rows each level has, and its share."""
    levels, counts = cube.cells([attribute])
    rows = counts.sum(axis=(1, 2))
    total = max(1, int(rows.sum()))
    scale = Scale(0.0, float(rows.max()) / total, 0.0, WIDTH - 2 * MARGIN)
    shapes = []
    for i, ((level,), n) in enumerate(zip(levels, rows.tolist(), strict=True)):
        top = 34.0 * i
        shapes += [
            text(MARGIN, top + 16, short(level), "name"),
            text(WIDTH - MARGIN, top + 16, f"{n / total:.1%}  n={n:,}", "small", "end"),
            box(MARGIN, top + 21, max(1.0, scale.at(n / total)), 8, "bar"),
        ]
    told = "; ".join(f"{level} {n:,} of {total:,}" for (level,), n in zip(levels, rows.tolist(), strict=True))
    title = f"Rows by {attribute}"
    drawn = picture(WIDTH, 34.0 * len(levels) + 4, title, told, shapes)
    return Figure(drawn, f"{title}, with each level's share.")


def score_figures(cube: Cube, attribute: str) -> list[Figure]:
    """ROC and calibration of the groups with enough rows, at most the six largest; none without a score."""
    bins = cube.score_bins
    if bins is None or cube.positive is None:
        return []
    found = [
        (level, positives, negatives)
        for level, positives, negatives in classes_by_level(cube, bins, attribute)
        if min(positives.sum(), negatives.sum()) >= SMALLEST_CLASS
    ]
    largest = sorted(found, key=lambda each: -int(each[1].sum() + each[2].sum()))[:MOST_CURVES]
    left_out = len(cube.axes[attribute]) - len(largest)
    roc, calibration, areas = [], [], []
    for level, positives, negatives in largest:
        fpr, tpr = roc_points(positives, negatives)
        roc.append(list(zip(fpr.tolist(), tpr.tolist(), strict=True)))
        areas.append(f"{short(level)}: AUC ≈ {float(np.trapezoid(tpr, fpr)):.3f}")
        x, y = calibration_points(bins, positives, negatives)
        calibration.append(list(zip(x.tolist(), y.tolist(), strict=True)))
    rest = f" {left_out} with fewer rows or too few of a class left out." if left_out else ""
    names = [short(level) for level, _, _ in largest]
    return [
        Figure(
            _square(f"ROC by {attribute}", ("false positive rate", "true positive rate"), roc, areas),
            f"ROC by {attribute}, exact at the edges of {len(bins.edges) + 1} score bins.{rest}",
        ),
        Figure(
            _square(
                f"Calibration by {attribute}", ("score", f"share that is {cube.positive}"), calibration, names
            ),
            f"Calibration by {attribute}: on the diagonal the score means what it says.{rest}",
        ),
    ]


def _square(
    title: str, axes: tuple[str, str], curves: Sequence[Sequence[tuple[float, float]]], names: Sequence[str]
) -> Markup:
    """A unit square with curves, and below it which is which."""
    x, y = Scale(0, 1, 34, WIDTH - MARGIN), Scale(0, 1, 320, 18)
    shapes = [text(4, 11, axes[1], "small"), text(WIDTH - MARGIN, 352, axes[0], "small", "end")]
    for tick in (0, 0.25, 0.5, 0.75, 1):
        shapes += [
            line(x.at(tick), y.end, x.at(tick), y.start, "grid"),
            line(x.start, y.at(tick), x.end, y.at(tick), "grid"),
            text(x.at(tick), 335, f"{tick:g}", "small", "end" if tick == 1 else "middle"),
            text(x.start - 4, y.at(tick) + 4, f"{tick:g}", "small", "end"),
        ]
    shapes.append(line(x.at(0), y.at(0), x.at(1), y.at(1), "axis"))
    for i, (points, name) in enumerate(zip(curves, names, strict=True)):
        shapes.append(curve([(x.at(a), y.at(b)) for a, b in points], i, dotted=title.startswith("Cal")))
        place = 372 + 18 * i
        shapes += [curve([(8, place - 4), (44, place - 4)], i), text(52, place, name)]
    return picture(WIDTH, 362 + 18 * len(names), title, "; ".join(names), shapes)
