"""What one attribute, crossing or the label itself divides the rows into, and what was expected of it.

Under `too_small: report` a group is judged if its denominator in the test part is expected to reach
the plan's smallest denominator. The expectation comes from the training part alone: the training
count, scaled by rows of test / rows of training. For TPR and FPR it is the count of positives and
negatives. Where the denominator counts predictions (PPV, NPV ...), which training labels do not show,
the rule is declared: labelled positives stand for predicted positives, negatives for negatives.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.fairness.counting import marginal_places, places
from tasks.fairness.cube import Cube
from tasks.fairness.metrics import Basis
from tasks.fairness.refit import Refit, refit_of
from tasks.fairness.scores import ScoreBins
from tasks.fairness.units import Units
from tasks.plan.judgement import TooSmall

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

LABEL = "label"
"""The pseudo-attribute whose groups are the true classes: accuracy by it is the recall of each class."""


@dataclass(frozen=True, eq=False)
class Counted:
    """Counts by group.

    Attributes:
        attributes: one, or several for their crossing; `label` stands for the true class.
        names: levels, joined by " x " for a crossing.
        labels: the classes.
        positive: the class whose rates are compared; None for each against the rest.
        counts: shape [groups, true, predicted].
        weights: sums of weights, likewise; None where every row weighs 1.
        squares: sums of squared weights, likewise.
        units: what each sampling unit holds; None where rows are the units.
        group_of: group of each of the units' cells.
        expected: rows of each class that the training part promises, [groups, true]; None: all are judged.
        smallest: the smallest denominator judged.
        bins: histograms of the score, by level of one attribute; None without.
        refit: how the weights were fitted to these rows; None where they are fixed numbers.
    """

    attributes: tuple[str, ...]
    names: tuple[str, ...]
    labels: tuple[str, ...]
    positive: str | None
    counts: Ints
    weights: Floats | None
    squares: Floats | None
    units: Units | None
    group_of: Ints
    expected: Floats | None
    smallest: int
    bins: ScoreBins | None
    refit: Refit | None

    @property
    def rows(self) -> Ints:
        """Rows of each group."""
        return np.asarray(self.counts.sum(axis=(1, 2)))

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes compared with the rest."""
        return self.labels if self.positive is None else (self.positive,)

    @property
    def is_independent(self) -> bool:
        """Whether rows are independent and weigh the same."""
        return self.weights is None and self.units is None

    @property
    def has_separate_rows(self) -> bool:
        """Whether shares of different rows are independent: no unit, no fitted weight is in common."""
        return self.units is None and self.refit is None

    def judged(self, basis: Basis, label: str | None) -> NDArray[np.bool_]:
        """Which groups take part in the verdict of a rate of a class."""
        if self.expected is None:
            return np.ones(len(self.names), bool)
        return np.asarray(of_basis(self.expected, self.labels, basis, label) >= self.smallest)


def of_basis(
    labelled: NDArray[Any], labels: tuple[str, ...], basis: Basis, label: str | None
) -> NDArray[Any]:
    """Labelled rows that stand for a denominator, [groups].

    Args:
        labelled: rows of each class, [groups, true].
        labels: the classes.
        basis: the kind of rows.
        label: the class held against the rest; None for right and wrong rows.
    """
    count = labelled.sum(axis=1)
    if basis == "n" or label is None:
        return np.asarray(count)
    positives = labelled[:, labels.index(label)]
    return np.asarray(positives if basis == "positives" else count - positives)


def count_groups(
    cube: Cube, attributes: tuple[str, ...], too_small: TooSmall, training: Cube | None
) -> Counted:
    """Divide the rows into groups.

    A level of the training part that the test part lacks is a group too, without rows.

    Args:
        cube: the test part.
        attributes: one, or several for their crossing.
        too_small: the plan's policy.
        training: counts of the training part (`Cube.from_labels`); without them every group is judged.

    Raises:
        ValueError: for an attribute that a cube lacks, or one with fewer than two levels.
    """
    plain = tuple(name for name in attributes if name != LABEL)
    part = cube.widened({name: training.axes[name] if training else () for name in plain}, cube.labels)
    levels = [part.labels if name == LABEL else part.axes[name] for name in attributes]
    names = tuple(" x ".join(level) for level in product(*levels))
    if len(names) < 2:
        found = f"only {names[0]!r}" if names else "none"
        raise ValueError(
            f"{' x '.join(attributes)}: at least two groups are needed to compare, found {found}"
        )
    group_of = _places(attributes, part)
    expected = None
    if training is not None and too_small.policy == "report":
        wide = training.widened(part.axes, tuple(dict.fromkeys([*cube.labels, *training.labels])))
        labelled = _sums(wide.counts[..., : len(cube.labels), :].sum(axis=-1), group_of[..., 0], len(names))
        expected = labelled * cube.rows / max(1, training.rows)  # in this order exact where it is whole
    return Counted(
        attributes=attributes,
        names=names,
        labels=part.labels,
        positive=part.positive,
        counts=_by_group(part.counts, group_of, len(names)),
        weights=None if part.weights is None else _by_group(part.weights, group_of, len(names)),
        squares=None if part.squares is None else _by_group(part.squares, group_of, len(names)),
        units=part.units,
        group_of=group_of.ravel(),
        expected=expected,
        smallest=too_small.smallest_denominator,
        bins=part.score_bins,
        refit=refit_of(cube, _groups_of_cells(cube, part, plain, group_of)),
    )


def _groups_of_cells(cube: Cube, part: Cube, plain: tuple[str, ...], group_of: Ints) -> Ints:
    """Group of each cell of the cube, from that of each cell of its ``part``."""
    names, last = list(cube.axes), len(cube.axes)
    summed = marginal_places(cube.counts.shape, [*(names.index(name) for name in plain), last, last + 1])
    classes = [cube.labels, cube.labels]
    old, new = ([*(one.axes[name] for name in plain), *classes] for one in (cube, part))
    return np.asarray(group_of.ravel()[places(old, new)[summed]])


def _places(attributes: tuple[str, ...], part: Cube) -> Ints:
    """Group of each cell of the part, shape [levels ..., true, predicted]."""
    classes = len(part.labels)
    shape = [classes if name == LABEL else len(part.axes[name]) for name in attributes]
    index = np.arange(int(np.prod(shape))).reshape(shape)
    if LABEL in attributes:
        index = np.moveaxis(index, attributes.index(LABEL), -1)
    else:
        index = np.repeat(index[..., None], classes, axis=-1)
    return np.repeat(index[..., None], classes, axis=-1)


def _by_group(table: NDArray[Any], group_of: Ints, groups: int) -> NDArray[Any]:
    """Sum cells into [groups, true, predicted]."""
    classes = table.shape[-1]
    cell = group_of.reshape(-1, classes * classes) * classes**2 + np.arange(classes * classes)
    return _summed(table.ravel(), cell.ravel(), groups * classes**2).reshape(groups, classes, classes)


def _sums(table: NDArray[Any], group_of: Ints, groups: int) -> Floats:
    """Sum cells into [groups, true]."""
    classes = table.shape[-1]
    cell = group_of.reshape(-1, classes) * classes + np.arange(classes)
    return _summed(table.ravel(), cell.ravel(), groups * classes).reshape(groups, classes)


def _summed(values: NDArray[Any], cell: Ints, cells: int) -> NDArray[Any]:
    found = np.zeros(cells, values.dtype)
    np.add.at(found, cell, values)
    return found
