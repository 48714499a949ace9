"""The audit cube: counts of (group cell x true class x predicted class), from which the audit follows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.evidence.digest import canonical_json
from tasks.fairness.columns import UNKNOWN, Codes, encode, natural_order
from tasks.fairness.counting import arrange, count
from tasks.fairness.metrics import RATES, tally
from tasks.fairness.scores import ScoreBins

Ints = NDArray[np.int64]

SCHEMA = 1
MAXIMUM_CELLS = 20_000_000
RESERVED = frozenset({"n", "label", "unit", *RATES})
"""Names that no attribute may have: they are columns of `Cube.rates`."""


@dataclass(frozen=True, eq=False)
class Cube:
    """Counts by group cell, true class and predicted class.

    Attributes:
        axes: attribute -> its levels, in natural order with "unknown" last.
        labels: the classes.
        positive: the class whose rates are compared; None where there are more than two.
        counts: shape [levels of each axis ..., true class, predicted class].
        score_bins: histograms of the score by attribute, kept apart; None without a score.
    """

    axes: Mapping[str, tuple[str, ...]]
    labels: tuple[str, ...]
    positive: str | None
    counts: Ints
    score_bins: ScoreBins | None = None

    @classmethod
    def from_arrays(
        cls,
        y_true: Any,
        y_pred: Any,
        groups: Mapping[str, Any],
        *,
        score: Any = None,
        score_edges: Sequence[float] | None = None,
        labels: Sequence[Any] | None = None,
        positive: Any = None,
    ) -> Self:
        """Count rows in one pass.

        Args:
            y_true: true classes, shape [rows]; strings, integers, booleans, whole numbers or `Codes`.
            y_pred: predicted classes, likewise.
            groups: attribute -> values, shape [rows]; missing values become the level "unknown".
            score: probability of the positive class in [0, 1], shape [rows].
            score_edges: inner edges of the score's bins, rising; fixed on validation rows.
            labels: the classes; the union of truth and prediction when not given.
            positive: the class whose rates are compared; 1 or True of two classes when not given.

        Raises:
            ValueError: for lengths that differ, missing or unexpected classes, bad scores, no attribute.
        """
        truth, guess = encode("y_true", y_true), encode("y_pred", y_pred)
        columns = {name: encode(name, values, missing=UNKNOWN) for name, values in groups.items()}
        _check_shapes({"y_true": truth, "y_pred": guess, **columns})
        raw = count([*columns.values(), truth, guess])
        found = [_found(column, raw, axis) for axis, column in enumerate([*columns.values(), truth, guess])]
        classes = _classes(found[-2], found[-1], labels)
        axes = {
            name: tuple(sorted(levels, key=natural_order))
            for name, levels in zip(columns, found, strict=False)
        }
        old = [tuple(column.levels) for column in (*columns.values(), truth, guess)]
        counts = arrange(raw, old, [*axes.values(), classes, classes])
        bins = None
        if score is not None:
            bins = ScoreBins.count(score, score_edges, truth, classes, columns, axes)
        return cls(axes, classes, _positive(classes, positive), counts, bins)

    @classmethod
    def from_labels(cls, y_true: Any, groups: Mapping[str, Any], **classes: Any) -> Self:
        """Counts of rows without predictions (a training part): each row as if predicted right."""
        return cls.from_arrays(y_true, y_true, groups, **classes)

    @property
    def rows(self) -> int:
        """Rows counted."""
        return int(self.counts.sum())

    def merge(self, other: Cube) -> Cube:
        """Add the counts of another part of the rows: the same as counting both together.

        Raises:
            ValueError: for other attributes, classes or score edges.
        """
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
        bins = None
        if mine.score_bins is not None and theirs.score_bins is not None:
            bins = mine.score_bins.plus(theirs.score_bins)
        return Cube(mine.axes, classes, self.positive, mine.counts + theirs.counts, bins)

    def widened(self, levels: Mapping[str, Iterable[str]], classes: tuple[str, ...]) -> Cube:
        """The same counts with room for more levels and classes, which get 0.

        Args:
            levels: attribute -> levels wanted beside its own; their order becomes the order of the axes.
            classes: all classes wanted, in order.
        """
        part = self.marginal(levels)
        axes = {
            name: tuple(sorted({*part.axes[name], *more}, key=natural_order)) for name, more in levels.items()
        }
        old = [*part.axes.values(), self.labels, self.labels]
        counts = arrange(part.counts, old, [*axes.values(), classes, classes])
        bins = part.score_bins
        if bins is not None:
            bins = bins.arranged((part.axes, self.labels), (axes, classes))
        return Cube(axes, classes, self.positive, counts, bins)

    def marginal(self, attributes: Iterable[str]) -> Cube:
        """Sum over all attributes but these; their order becomes the order of the axes.

        Raises:
            ValueError: for an attribute that the cube does not have.
        """
        kept = tuple(attributes)
        names = list(self.axes)
        if strange := [name for name in kept if name not in names]:
            raise ValueError(f"no attribute {strange} in this cube, there are: {', '.join(names) or 'none'}")
        last = len(names)
        counts = np.einsum(
            self.counts, list(range(last + 2)), [*(names.index(name) for name in kept), last, last + 1]
        )
        bins = self.score_bins.only(kept) if self.score_bins is not None else None
        return Cube({name: self.axes[name] for name in kept}, self.labels, self.positive, counts, bins)

    def cells(self, by: Sequence[str]) -> tuple[list[tuple[str, ...]], Ints]:
        """Group cells of a crossing: their levels, and counts of shape [cells, true, predicted]."""
        part = self.marginal(by)
        classes = len(self.labels)
        return list(product(*part.axes.values())), part.counts.reshape(-1, classes, classes)

    def rates(self, by: Sequence[str] = ()) -> pl.DataFrame:
        """Every rate of the metric table, one row per group; undefined rates are null, never 0.

        Args:
            by: attributes whose crossing makes the groups; none for one row over all.

        Returns:
            A String column per attribute, ``n``, then the rates in [0, 1].
        """
        levels, counts = self.cells(by)
        cells = tally(counts, self.labels, self.positive)
        columns: dict[str, Any] = {name: [level[i] for level in levels] for i, name in enumerate(by)}
        columns["n"] = counts.sum(axis=(1, 2))
        for name, rate in RATES.items():
            columns[name] = rate.values(cells)
        return pl.DataFrame(columns, schema_overrides=dict.fromkeys(RATES, pl.Float64))

    def to_json(self) -> bytes:
        """The cube's one form in bytes: canonical JSON and a line's end."""
        content: dict[str, Any] = {
            "schema": SCHEMA,
            "axes": [{"name": name, "levels": list(levels)} for name, levels in self.axes.items()],
            "labels": list(self.labels),
            "positive": self.positive,
            "counts": self.counts.tolist(),
            "score_bins": None
            if self.score_bins is None
            else self.score_bins.to_value(self.axes, self.labels),
        }
        return canonical_json(content) + b"\n"

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: for another schema, or counts that do not fit the axes or are negative.
        """
        value = json.loads(content)
        if value.get("schema") != SCHEMA:
            raise ValueError(f"cube of schema {SCHEMA} is expected, found {value.get('schema')!r}")
        axes = {axis["name"]: tuple(axis["levels"]) for axis in value["axes"]}
        labels = tuple(value["labels"])
        shape = (*(len(levels) for levels in axes.values()), len(labels), len(labels))
        counts = np.array(value["counts"], dtype=np.int64)
        if counts.shape != shape or (counts < 0).any():
            raise ValueError(f"non-negative counts of shape {shape} are expected, found {counts.shape}")
        bins = value["score_bins"]
        score_bins = None if bins is None else ScoreBins.from_value(bins, axes, labels)
        return cls(axes, labels, value["positive"], counts, score_bins)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cube) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(self.to_json())


def _check_shapes(columns: Mapping[str, Codes]) -> None:
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"columns of one length are expected, found {lengths}")
    if taken := sorted(RESERVED & set(columns)):
        raise ValueError(f"an attribute can't be called {', '.join(taken)}: the audit's own columns are")
    if (cells := prod(max(1, len(column.levels)) for column in columns.values())) > MAXIMUM_CELLS:
        raise ValueError(f"at most {MAXIMUM_CELLS} cells are counted, the columns' levels make {cells}")


def _found(column: Codes, raw: Ints, axis: int) -> list[str]:
    """Levels that occur; `Codes` whose levels were declared keep them all (see `encode`)."""
    present = raw.sum(axis=tuple(i for i in range(raw.ndim) if i != axis)) > 0
    return [level for level, seen in zip(column.levels, present, strict=True) if seen or column.declared]


def _classes(truth: Sequence[str], guess: Sequence[str], labels: Sequence[Any] | None) -> tuple[str, ...]:
    found = {*truth, *guess}
    if found & {"False", "True"} and found & {"0", "1"}:
        raise ValueError("truth and prediction are spelled alike, found both 0/1 and True/False")
    if labels is not None:
        classes = tuple(str(label) for label in labels)
        if strange := sorted(found - set(classes)):
            raise ValueError(f"classes {list(classes)} are expected, found also {strange}")
        return classes
    for pair in (("0", "1"), ("False", "True")):
        if found <= set(pair):
            return pair
    return tuple(sorted(found, key=natural_order))


def _positive(classes: tuple[str, ...], positive: Any) -> str | None:
    if positive is not None:
        if str(positive) not in classes:
            raise ValueError(f"positive {positive!r} is none of the classes {list(classes)}")
        return str(positive)
    if classes in {("0", "1"), ("False", "True")}:
        return classes[1]
    if len(classes) == 2:
        raise ValueError(f"`positive` must name one of the classes {list(classes)}")
    return None
