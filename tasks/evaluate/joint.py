"""Two models on the same rows as one table of counts: group x true class x either model's prediction.

Everything that `assay compare` says of changes is computed from this table. It is an audit cube of the
second model with one more axis, the first model's prediction: so it is filed, merged and kept by sampling
unit as every cube is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.evaluate.classes import classes_of
from tasks.fairness.counted import LABEL, count_groups
from tasks.fairness.cube import Cube
from tasks.plan.base import crossing
from tasks.plan.judgement import Judgement, TooSmall

Ints = NDArray[np.int64]

JOINT = "joint.json"
BEFORE = "predicted without"
"""The further axis; a protected attribute's name has no blanks."""


def count_joint(before: pl.Series, after: pl.Series, described: pl.DataFrame, judgement: Judgement) -> Cube:
    """Count rows by group, true class and both predictions.

    Args:
        before: classes that the first model predicted, one a row.
        after: those of the second one, of the same rows in the same order.
        described: the rows: a column per protected attribute, ``label``, and ``unit`` where there is one.
        judgement: of this set of rows.

    Raises:
        ValueError: for lengths that differ, or classes that the plan does not name.
    """
    label = classes_of(judgement)
    return Cube.from_arrays(
        described["label"],
        after,
        {**{name: described[name] for name in judgement.protected}, BEFORE: before},
        unit=None if judgement.unit is None else described["unit"],
        labels=label.values,
        positive=label.positive,
    )


@dataclass(frozen=True, eq=False)
class Joint:
    """The table by the groups of one attribute or crossing; K classes.

    Attributes:
        names: of the groups.
        labels: the classes.
        positive: the class whose rates are compared; None for each against the rest.
        counts: shape [groups, true K, before K, after K].
        unit: sampling unit of each entry, rising from 0; None where rows are the units.
        cell: flat index of each entry into ``counts``.
        rows: of each entry.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    positive: str | None
    counts: Ints
    unit: Ints | None = None
    cell: Ints | None = None
    rows: Ints | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes compared with the rest."""
        return self.labels if self.positive is None else (self.positive,)

    @classmethod
    def of(cls, cube: Cube, attributes: tuple[str, ...]) -> Joint:
        """By the groups of an attribute, a crossing, or the true class (`label`).

        Args:
            cube: of `count_joint`.
            attributes: one, or several for their crossing.
        """
        counted = count_groups(cube, (*attributes, BEFORE), TooSmall(), None)
        levels, classes = cube.axes[BEFORE], len(cube.labels)
        groups = len(counted.names) // len(levels)
        place = np.array([cube.labels.index(level) for level in levels])
        counts = np.zeros((groups, classes, classes, classes), np.int64)
        found = counted.counts.reshape(groups, len(levels), classes, classes)
        counts[:, :, place, :] = np.moveaxis(found, 1, 2)
        names = tuple(name.removesuffix(f" x {levels[0]}") for name in counted.names[:: len(levels)])
        joint = cls(names, cube.labels, cube.positive, counts)
        if counted.units is None:
            return joint
        units = counted.units
        group, level = np.divmod(counted.group_of[units.cell], len(levels))
        true, after = np.divmod(units.cell % classes**2, classes)
        cell = np.ravel_multi_index((group, true, place[level], after), counts.shape)
        return cls(names, cube.labels, cube.positive, counts, units.unit, cell, units.counts)

    def whole(self) -> Joint:
        """All rows as one group."""
        counts = self.counts.sum(axis=0, keepdims=True)
        cell = None if self.cell is None else self.cell % counts.size
        return Joint(("all rows",), self.labels, self.positive, counts, self.unit, cell, self.rows)

    def only(self, kept: Ints) -> Joint:
        """Some of the groups, by their positions."""
        counts = self.counts[kept]
        names = tuple(self.names[i] for i in kept)
        if self.unit is None or self.cell is None or self.rows is None:
            return Joint(names, self.labels, self.positive, counts)
        size = counts[0].size if len(kept) else 1
        moved = np.full(len(self.names), -1)
        moved[kept] = np.arange(len(kept))
        group = moved[self.cell // size]
        inside = group >= 0
        cell = group[inside] * size + self.cell[inside] % size
        unit = np.unique(self.unit[inside], return_inverse=True)[1]
        return Joint(names, self.labels, self.positive, counts, unit, cell, self.rows[inside])


def attributes_of(judgement: Judgement) -> tuple[tuple[str, ...], ...]:
    """What groups are compared by: the attributes of the limits, then the other protected ones."""
    wanted = [crossing(limit.attribute) for limit in judgement.limits]
    found = dict.fromkeys([*wanted, *((name,) for name in judgement.protected)])
    return tuple(found) or ((LABEL,),)
