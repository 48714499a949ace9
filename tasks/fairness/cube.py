"""The audit cube: counts of (group cell x true class x predicted class), from which the audit follows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Self, TypeVar, Unpack

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.fairness import filing
from tasks.fairness.batches import Roles, UnitRows, count_batches
from tasks.fairness.columns import natural_order
from tasks.fairness.counting import arrange, marginal_places, places, summed
from tasks.fairness.frames import rates_of, weighted_rates_of
from tasks.fairness.intake import Counted, count_rows, settled_classes, settled_positive
from tasks.fairness.parquet import read_batches
from tasks.fairness.raked import Margin, Shares, margins_of, rake, read_margins
from tasks.fairness.scores import ScoreBins
from tasks.fairness.units import Units, units_or_rows
from tasks.plan.base import names_of

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

Part = TypeVar("Part")


@dataclass(frozen=True, eq=False)
class Cube:
    """Counts by group cell, true class and predicted class.

    Attributes:
        axes: attribute -> its levels, in natural order with "unknown" last.
        labels: the classes.
        positive: the class whose rates are compared; None where there are more than two.
        counts: shape [levels of each axis ..., true class, predicted class].
        score_bins: histograms of the score by attribute, kept apart; None without a score.
        weights: sums of the rows' weights, shape of the counts; None = every row weighs 1.
        squares: sums of their squares, likewise.
        units: the counts by sampling unit; None = the rows are the units.
        margins: what the weights were raked to; none = they are fixed numbers.
    """

    axes: Mapping[str, tuple[str, ...]]
    labels: tuple[str, ...]
    positive: str | None
    counts: Ints
    score_bins: ScoreBins | None = None
    weights: Floats | None = None
    squares: Floats | None = None
    units: Units | None = None
    margins: tuple[Margin, ...] = ()

    @classmethod
    def from_arrays(  # noqa: PLR0913 - the columns of an audit
        cls,
        y_true: Any,
        y_pred: Any,
        groups: Mapping[str, Any],
        *,
        score: Any = None,
        score_edges: Sequence[float] | None = None,
        weight: Any = None,
        unit: Any = None,
        labels: Sequence[Any] | None = None,
        positive: Any = None,
    ) -> Self:
        """Count rows in one pass.

        Args:
            y_true: true classes, shape [rows]; strings, whole numbers, booleans, categories or `Codes`.
            y_pred: predicted classes, likewise.
            groups: attribute -> values, shape [rows], also fractions; missing values (null, None, an empty
                string) become the level "unknown", NaN among numbers is refused.
            score: probability of the positive class in [0, 1], shape [rows].
            score_edges: inner edges of the score's bins, rising; 200 bins of equal width without them.
            weight: of each row, above 0, shape [rows]; sums are exact up to rounding, for other orders too.
            unit: what was sampled (a person, a template), where several rows may be of one, shape [rows].
            labels: the classes; the union of truth and prediction when not given.
            positive: the class whose rates are compared; 1 or True of two classes when not given.

        Raises:
            ValueError: for lengths that differ, missing or unexpected classes, scores outside [0, 1],
                weights that are not above 0, rows without a unit, an attribute whose name is taken.
        """
        counted = count_rows(
            y_true, y_pred, groups, score=score, score_edges=score_edges, weight=weight, unit=unit
        )
        return cls._settled([counted], labels, positive)

    @classmethod
    def from_labels(cls, y_true: Any, groups: Mapping[str, Any], **classes: Any) -> Self:
        """Counts of rows without predictions (a training part): each row as if predicted right."""
        return cls.from_arrays(y_true, y_true, groups, **classes)

    @classmethod
    def from_batches(
        cls,
        frames: Iterable[pl.DataFrame],
        *,
        labels: Sequence[Any] | None = None,
        positive: Any = None,
        **columns: Unpack[Roles],
    ) -> Self:
        """Count frames one after the other: the same as counting their rows together.

        Memory is that of one frame; with `unit` it also grows with the units and the cells each is in.

        Args:
            frames: batches of rows, none of which is held; a unit's rows may be in several.
            labels: as in `from_arrays`.
            positive: as in `from_arrays`.
            columns: names of the columns `y_true`, `y_pred`, `groups`, and where there are any `score`
                (with `score_edges` as in `from_arrays`), `weight` and `unit`.

        Raises:
            ValueError: as `from_arrays`.
        """
        return cls._settled(count_batches(frames, **columns), labels, positive)

    @classmethod
    def from_file(
        cls,
        path: Path | str,
        *,
        labels: Sequence[Any] | None = None,
        positive: Any = None,
        **columns: Unpack[Roles],
    ) -> Self:
        """Count a Parquet or CSV file (see `tasks.fairness.parquet`) in batches, also one larger than memory.

        Args:
            path: the file, or a folder of Parquet files.
            labels: as in `from_arrays`.
            positive: as in `from_arrays`.
            columns: as in `from_batches`.

        Raises:
            ValueError: as `from_arrays`, and for a file that lacks columns, or fields in some rows.
        """
        names = [columns["y_true"], columns["y_pred"], *columns["groups"]]
        names += [unit for unit in (columns.get("unit"),) if unit is not None]
        numbers = [name for name in (columns.get("score"), columns.get("weight")) if name is not None]
        batches = read_batches(path, names, numbers)
        return cls.from_batches(batches, labels=labels, positive=positive, **columns)

    @classmethod
    def _settled(cls, parts: Iterable[Counted], labels: Sequence[Any] | None, positive: Any) -> Self:
        """One cube of all parts; only then is it known what classes there are."""
        whole: Cube | None = None
        rows = UnitRows()
        for part in parts:
            if part.entries is not None:
                rows.add(_shape(part.axes, part.classes), part.entries)
            cube = Cube(part.axes, part.classes, None, *part[2:6])
            whole = cube if whole is None else whole.merge(cube)
        if whole is None:
            raise ValueError("rows are expected, found none")
        classes = settled_classes(whole.labels, labels)
        cube = whole.widened(whole.axes, classes)
        units = rows.units(_shape(cube.axes, classes))
        if units is not None and units.are_rows and cube.weights is None:
            units = None
        kept = (cube.counts, cube.score_bins, cube.weights, cube.squares, units)
        return cls(cube.axes, classes, settled_positive(classes, positive), *kept)

    @property
    def rows(self) -> int:
        """Rows counted."""
        return int(self.counts.sum())

    def merge(self, other: Cube) -> Cube:
        """Add the counts of another part of the rows: the same as counting both together.

        Parts of rows that come in units must not share a unit.

        Raises:
            ValueError: for other attributes, classes or score edges, or cubes that were raked apart.
        """
        if self.margins or other.margins:
            raise ValueError("cubes are raked after they are merged: weights fitted to parts fit no whole")
        if set(self.axes) != set(other.axes) or self.positive != other.positive:
            raise ValueError(
                f"cubes of one audit have the same attributes and positive class, found {sorted(self.axes)} "
                f"({self.positive}) and {sorted(other.axes)} ({other.positive})"
            )
        axes = {name: (*levels, *other.axes[name]) for name, levels in self.axes.items()}
        classes = self.labels
        if set(self.labels) != set(other.labels):
            classes = tuple(sorted({*self.labels, *other.labels}, key=natural_order))
        if (self.score_bins is None) != (other.score_bins is None):
            raise ValueError("one cube has a score and the other has none")
        mine, theirs = self.widened(axes, classes), other.widened(axes, classes)
        if mine.weights is not None or theirs.weights is not None:
            mine, theirs = mine.weighed(), theirs.weighed()
        units = None
        if mine.units is not None or theirs.units is not None:
            parts = [units_or_rows(cube.units, cube.counts, cube.weights) for cube in (mine, theirs)]
            units = parts[0].plus(parts[1])
        return replace(
            mine,
            counts=mine.counts + theirs.counts,
            score_bins=_sum(mine.score_bins, theirs.score_bins, ScoreBins.plus),
            weights=_sum(mine.weights, theirs.weights, np.add),
            squares=_sum(mine.squares, theirs.squares, np.add),
            units=units,
        )

    def weighed(self) -> Cube:
        """The same with weights, 1 for every row that had none."""
        if self.weights is not None:
            return self
        ones = self.counts.astype(np.float64)
        return replace(self, weights=ones, squares=ones, units=self.units and self.units.weighed())

    def raked(self, margins: Mapping[str, Shares]) -> Cube:
        """The cube with population-true weights, which `judge` takes as fitted to these rows.

        Args:
            margins: attribute or crossing "a x b" of the axes -> level ("LEVEL_A x LEVEL_B") -> share of
                the population, in [0, 1]; the shares of each sum to 1. Weights that the rows have stay
                factors of the new ones, whose mean is 1.

        Raises:
            ValueError: for a cube raked already, an attribute that is no axis, levels that only the cube
                or only the population has, levels of fewer than 20 rows (units), or margins that
                contradict one another; all at once.
        """
        return rake(self, margins_of(margins))

    def widened(self, levels: Mapping[str, Iterable[str]], classes: tuple[str, ...]) -> Cube:
        """The same counts with room for more levels (beside its own) and classes, which get 0.

        The order of the attributes becomes the order of the axes.
        """
        part = self.marginal(levels)
        axes = {
            name: tuple(sorted({*part.axes[name], *more}, key=natural_order)) for name, more in levels.items()
        }
        old, new = _shape(part.axes, self.labels), _shape(axes, classes)
        if old == new:
            return replace(part, axes=axes, labels=classes)
        bins = part.score_bins
        return Cube(
            axes,
            classes,
            self.positive,
            arrange(part.counts, old, new),
            None if bins is None else bins.arranged((part.axes, self.labels), (axes, classes)),
            None if part.weights is None else arrange(part.weights, old, new),
            None if part.squares is None else arrange(part.squares, old, new),
            None if part.units is None else part.units.moved(places(old, new)),
            part.margins,
        )

    def marginal(self, attributes: Iterable[str]) -> Cube:
        """Sum over all attributes but these; their order becomes the order of the axes.

        Raises:
            ValueError: for an attribute that the cube does not have, or one named more than once.
        """
        kept = names_of(attributes)
        if len(set(kept)) < len(kept):
            raise ValueError(f"each attribute is named once, found {', '.join(kept)}")
        if kept == tuple(self.axes):
            return self
        if strange := [name for name in kept if name not in self.axes]:
            raise ValueError(f"no attribute {strange} in this cube, there are: {', '.join(self.axes)}")
        names, last = list(self.axes), len(self.axes)
        axes = [*(names.index(name) for name in kept), last, last + 1]
        return replace(
            self,
            axes={name: self.axes[name] for name in kept},
            counts=summed(self.counts, axes),
            score_bins=None if self.score_bins is None else self.score_bins.only(kept),
            weights=None if self.weights is None else summed(self.weights, axes),
            squares=None if self.squares is None else summed(self.squares, axes),
            units=None if self.units is None else self.units.moved(marginal_places(self.counts.shape, axes)),
        )

    def cells(self, by: Sequence[str]) -> tuple[list[tuple[str, ...]], Ints]:
        """Group cells of a crossing: their levels, and counts of shape [cells, true, predicted]."""
        part = replace(self, score_bins=None, weights=None, squares=None, units=None).marginal(by)
        classes = len(self.labels)
        return list(product(*part.axes.values())), part.counts.reshape(-1, classes, classes)

    def rates(self, by: Sequence[str] = ()) -> pl.DataFrame:
        """Every rate of the metric table, one row per group; undefined rates are null, never 0.

        Args:
            by: attributes whose crossing makes the groups (``"sex x race"`` too); none for one row over all.

        Returns:
            A String column per attribute, ``n``, then the rates in [0, 1].
        """
        by = names_of(by)
        levels, counts = self.cells(by)
        return rates_of((by, levels), counts, (self.labels, self.positive))

    def weighted_rates(self, by: Sequence[str] = ()) -> pl.DataFrame:
        """The rates of `rates` over sums of weight; every row weighs 1 in a cube without weights.

        Returns:
            A String column per attribute, ``n`` (rows), ``weight`` (their sum), then the rates.
        """
        by = names_of(by)
        levels, counts = self.cells(by)
        weights = np.asarray(self.weighed().marginal(by).weights).reshape(counts.shape)
        return weighted_rates_of((by, levels), counts, weights, (self.labels, self.positive))

    def to_json(self) -> bytes:
        """The cube's one form in bytes: canonical JSON and a line's end."""
        return filing.write(self)

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: for another schema, or tables that do not fit the axes or one another.
        """
        value = json.loads(content)
        cube = cls(**filing.read(value))
        return replace(cube, margins=read_margins(value.get("margins", ()), cube))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cube) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(self.to_json())


def _shape(axes: Mapping[str, tuple[str, ...]], classes: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Names along each axis of the counts."""
    return [*axes.values(), classes, classes]


def _sum(mine: Part | None, theirs: Part | None, add: Callable[[Part, Part], Part]) -> Part | None:
    return None if mine is None or theirs is None else add(mine, theirs)
