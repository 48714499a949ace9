"""A few SVG shapes as text: no script, no outside resource, the same bytes each time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10

from markupsafe import Markup, escape

# Okabe and Ito's palette, told apart by people with colour vision deficiencies, darkest first.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00")
DASHES = ("none", "7 3", "2 3", "9 3 2 3", "12 4", "4 2 1 2")
LONGEST = 28  # characters of a name; the tables have it whole


@dataclass(frozen=True)
class Scale:
    """From values to places on a line.

    Attributes:
        low: the value at ``start``.
        high: the value at ``end``, above ``low``.
        start: first place, in SVG's units.
        end: last place.
    """

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The place of a value; values beyond the line stay at its end."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, wanted: int = 5) -> list[float]:
        """Round values on the line, about as many as wanted."""
        rough = (self.high - self.low) / wanted
        unit = 10.0 ** floor(log10(rough))
        step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= rough * 0.999)
        first = round(self.low / step + 0.499)
        found = [round((first + i) * step, 10) for i in range(int((self.high - self.low) / step) + 2)]
        return [value for value in found if self.low - 1e-9 <= value <= self.high + 1e-9]


def picture(width: float, height: float, name: str, told: str, shapes: Sequence[Markup]) -> Markup:
    """An image with a name and a description for those who don't see it."""
    return Markup('<svg viewBox="0 0 {} {}" role="img"><title>{}</title><desc>{}</desc>{}</svg>').format(
        _place(width), _place(height), name, told, Markup("").join(shapes)
    )


def text(x: float, y: float, words: str, style: str = "", anchor: str = "start") -> Markup:
    """A line of text; ``style`` is a class of the page's style sheet."""
    return Markup('<text x="{}" y="{}" class="{}" text-anchor="{}">{}</text>').format(
        _place(x), _place(y), style, anchor, words
    )


def line(x1: float, y1: float, x2: float, y2: float, style: str) -> Markup:
    """A straight line."""
    return Markup('<line x1="{}" y1="{}" x2="{}" y2="{}" class="{}"/>').format(
        _place(x1), _place(y1), _place(x2), _place(y2), style
    )


def box(x: float, y: float, width: float, height: float, style: str) -> Markup:
    """A rectangle."""
    return Markup('<rect x="{}" y="{}" width="{}" height="{}" class="{}"/>').format(
        _place(x), _place(y), _place(width), _place(height), style
    )


def dot(x: float, y: float, style: str, radius: float = 4.5) -> Markup:
    """A circle."""
    return Markup('<circle cx="{}" cy="{}" r="{}" class="{}"/>').format(
        _place(x), _place(y), _place(radius), style
    )


def curve(points: Sequence[tuple[float, float]], index: int, *, dotted: bool = False) -> Markup:
    """The index-th of several curves: its own colour and dashes, with its points marked if asked."""
    path = " ".join(f"{_place(x)},{_place(y)}" for x, y in points)
    colour, dashes = COLOURS[index % len(COLOURS)], DASHES[index % len(DASHES)]
    drawn = Markup('<polyline points="{}" class="curve" stroke="{}" stroke-dasharray="{}"/>').format(
        path, colour, dashes
    )
    marks = [
        Markup('<circle cx="{}" cy="{}" r="3" fill="{}"/>').format(_place(x), _place(y), colour)
        for x, y in points
        if dotted
    ]
    return Markup("").join([drawn, *marks])


def short(name: str) -> str:
    """A name that fits a figure."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _place(value: float) -> str:
    return str(escape(f"{value:.1f}".removesuffix(".0")))
