"""Raked cubes: weights that bring the cube's margins to the population's.

Iterative proportional fitting (Deming and Stephan 1940) works on the table of cells, so its cost does not
depend on the rows. `tasks.fairness.refit` says how rates move with weights that were fitted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks.plan.base import crossing

if TYPE_CHECKING:
    from tasks.fairness.cube import Cube
    from tasks.fairness.units import Units

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Shares = Mapping[str, float]

CONVERGED = 1e-8
"""Relative distance of the worst margin at which fitting ends."""
MAXIMUM_PASSES = 1000
FEWEST = 20
"""Rows (units) that a raked level needs: the weights of fewer vary too much for a linearised variance."""
ROUNDING = 1e-6
"""Shares of a population that are given as decimals sum to 1 within this."""


def fit(table: Floats, targets: Sequence[tuple[tuple[int, ...], Floats]]) -> tuple[Floats, int]:
    """Shares of the cells after iterative proportional fitting, and the passes it took.

    Args:
        table: shares of the cells before.
        targets: of each margin, the axes that it sums over and its shares, with these axes of length 1.
    """
    for number in range(1, MAXIMUM_PASSES + 1):
        for axes, target in targets:
            current = table.sum(axis=axes, keepdims=True)
            # 0 of 0 stays: a level that neither sample nor population has.
            table = table * np.divide(target, current, out=np.ones_like(current), where=current > 0)
        if (
            max(distance(table.sum(axis=axes, keepdims=True), target) for axes, target in targets)
            <= CONVERGED
        ):
            return table, number
    return table, MAXIMUM_PASSES


def distance(shares: Floats, target: Floats) -> float:
    """Largest relative distance from ``target``, over its levels above 0."""
    return float(np.abs(shares[target > 0] / target[target > 0] - 1).max())


@dataclass(frozen=True)
class Margin:
    """What one margin was raked to.

    Attributes:
        attribute: an axis of the cube, or a crossing "a x b".
        shares: of the population, by level (of a crossing: "LEVEL_A x LEVEL_B"); they sum to 1.
    """

    attribute: str
    shares: Shares

    @property
    def attributes(self) -> tuple[str, ...]:
        """The axes."""
        return crossing(self.attribute)

    def to_value(self) -> dict[str, Any]:
        """As in the cube's JSON."""
        return {"attribute": self.attribute, "shares": dict(self.shares)}

    def target(self, cube: Cube) -> tuple[tuple[int, ...], Floats]:
        """Axes of the cube's groups that the margin sums over, and its shares over the others."""
        names = list(cube.axes)
        other = tuple(i for i, name in enumerate(names) if name not in self.attributes)
        levels, _ = cube.cells(self.attributes)
        shares = np.array([self.shares.get(" x ".join(level), 0.0) for level in levels])
        shares = shares.reshape([len(cube.axes[name]) for name in self.attributes])
        order = [name for name in names if name in self.attributes]
        shares = shares.transpose([self.attributes.index(name) for name in order])
        return other, np.expand_dims(shares / shares.sum(), other)

    def problems(self, cube: Cube) -> list[str]:
        """Whatever keeps the cube from being raked to this margin."""
        if strange := [name for name in self.attributes if name not in cube.axes]:
            return [f"{', '.join(strange)} is no attribute of the cube, there are: {', '.join(cube.axes)}"]
        given = np.array(list(self.shares.values()), float)
        if not (np.isfinite(given).all() and (given >= 0).all() and abs(given.sum() - 1) <= ROUNDING):
            return [f"{self.attribute}: shares of at least 0 that sum to 1 are expected"]
        levels, counts = cube.cells(self.attributes)
        rows = dict(zip((" x ".join(level) for level in levels), _draws(cube, self, counts), strict=True))
        found = []
        for level in dict.fromkeys([*rows, *self.shares]):
            n, share = int(rows.get(level, 0)), self.shares.get(level, 0.0)
            if n == 0 and share > 0:
                found.append(
                    f"{self.attribute}: {share:.3%} of the population is {level!r}, the cube has no such "
                    "row, and no weight makes up for that; collect some, or rake a margin without this level"
                )
            elif n > 0 and share == 0:
                found.append(
                    f"{self.attribute}: the cube has rows of {level!r}, the population none; "
                    "give its share, or leave these rows out and say so"
                )
            elif 0 < n < FEWEST:
                found.append(
                    f"{self.attribute}: {level!r} has {n} rows (or units), raking takes {FEWEST}; "
                    "rake a coarser margin, or collect more"
                )
        return found


def _draws(cube: Cube, margin: Margin, counts: Ints) -> Ints:
    """Rows of each level of a margin, or units that hold some."""
    if cube.units is None:
        return np.asarray(counts.sum(axis=(1, 2)))
    part = replace(cube, score_bins=None, margins=()).marginal(margin.attributes).units
    assert part is not None  # noqa: S101 - the cube has some
    classes = len(cube.labels) ** 2
    pairs = np.unique(np.stack([part.unit, part.cell // classes]), axis=1)
    return np.bincount(pairs[1], minlength=len(counts))


def margins_of(margins: Mapping[str, Shares]) -> tuple[Margin, ...]:
    """Margins as they are written: attribute or crossing -> level -> share."""
    return tuple(
        Margin(" x ".join(crossing(name)), {level: float(share) for level, share in shares.items()})
        for name, shares in margins.items()
    )


def rake(cube: Cube, margins: tuple[Margin, ...]) -> Cube:
    """Weigh the cube's cells so that every margin has the population's shares; the mean weight is 1.

    Raises:
        ValueError: for a cube that is raked already, no margins, or margins that can't be met: all
            problems at once.
    """
    if cube.margins or not margins:
        raise ValueError("a cube is raked once, to all of its margins together; give at least one")
    if problems := [problem for margin in margins for problem in margin.problems(cube)]:
        raise ValueError("raking: " + "; ".join(problems))
    whole = cube.weighed()
    weights, squares = np.asarray(whole.weights), np.asarray(whole.squares)
    table = weights.sum(axis=(-2, -1))
    shares, _ = fit(table / table.sum(), [margin.target(cube) for margin in margins])
    if far := _unmet(shares, cube, margins):
        raise ValueError(
            f"raking: {', '.join(far)} can't be met together: the margins contradict one another or the "
            "cube's empty cells; rake fewer or coarser margins"
        )
    factor = np.divide(shares * cube.rows, table, out=np.zeros_like(table), where=table > 0)
    by_cell = np.broadcast_to(factor[..., None, None], weights.shape)
    units = None if whole.units is None else _reweighed(whole.units, by_cell.ravel())
    return replace(
        whole, weights=weights * by_cell, squares=squares * by_cell**2, units=units, margins=margins
    )


def _unmet(shares: Floats, cube: Cube, margins: Sequence[Margin]) -> list[str]:
    found = []
    for margin in margins:
        axes, target = margin.target(cube)
        if not distance(shares.sum(axis=axes, keepdims=True), target) <= ROUNDING:
            found.append(margin.attribute)
    return found


def _reweighed(units: Units, factor: Floats) -> Units:
    return replace(units, weights=np.asarray(units.weights) * factor[units.cell])


def read_margins(value: Sequence[Mapping[str, Any]], cube: Cube) -> tuple[Margin, ...]:
    """Read what `Margin.to_value` wrote.

    Args:
        value: the margins.
        cube: the cube as it was raked, without its margins.

    Raises:
        ValueError: where the cube's weights do not have these margins.
    """
    margins = tuple(Margin(one["attribute"], one["shares"]) for one in value)
    if problems := [problem for margin in margins for problem in margin.problems(cube)]:
        raise ValueError("raking: " + "; ".join(problems))
    weights = np.asarray(cube.weighed().weights).sum(axis=(-2, -1))
    if far := _unmet(weights / weights.sum(), cube, margins):
        raise ValueError(f"weights raked to the margins are expected, {', '.join(far)} has others")
    return margins
