"""How rates move with raked weights, which were fitted to the very rows that they weigh.

Another sample gets other weights. To first order that replaces the linearised values of a rate by the
residuals of their weighted regression on the raked margins (Deville and Saerndal 1992). The regression's
weights are the raked ones, so that it holds too where the sample was drawn by shares that raking does not
restore. The residuals of a group reach beyond its rows: groups that share a margin are not independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, diags_array

if TYPE_CHECKING:
    from tasks.fairness.cube import Cube

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Spread(NamedTuple):
    """How rates of raked rows vary.

    Attributes:
        fixed: covariances with the weights taken as fixed numbers, [g, h].
        fitted: covariances with the weights' own share.
        outside: the part of each fitted variance that comes from rows outside of the denominator.
        freedom: how many rows (units) make that part (Kish), less 1; infinite where there is none.
    """

    fixed: Floats
    fitted: Floats
    outside: Floats
    freedom: Floats


@dataclass(frozen=True, eq=False)
class Refit:
    """What is needed to say how raked weights move with the sample: one entry for each cell that has rows.

    Attributes:
        weight: sums of weights, shape [cells].
        drawn: weights of what is drawn (rows of a cell together, by the root of their squares; or units),
            sparse, [draws, cells].
        times: how many draws each of them stands for.
        levels: which levels of the margins a cell is in, sparse, [cells, levels].
        group_of: group of each cell.
        kind: true class times classes plus predicted class.
    """

    weight: Floats
    drawn: Any
    times: Floats
    levels: Any
    group_of: Ints
    kind: Ints

    def spread(self, rate: Floats, event: Ints, inside: Ints) -> Spread:
        """How the groups' rates vary.

        Args:
            rate: weighted rates, shape [groups]; nan where undefined.
            event: whether rows of a kind are events, shape [kinds].
            inside: whether they are in the denominator.
        """
        groups, cells = len(rate), len(self.weight)
        held = inside[self.kind] > 0
        total = np.bincount(self.group_of, self.weight * held, groups)
        known = np.where(np.isnan(rate), 0.0, rate)[self.group_of]
        value = held * (event[self.kind] - known) / np.where(total > 0, total, 1.0)[self.group_of]
        linear = coo_matrix((value, (np.arange(cells), self.group_of)), (cells, groups)).tocsr()
        weighed = self.levels.T @ diags_array(self.weight)
        slopes = np.linalg.lstsq((weighed @ self.levels).toarray(), (weighed @ linear).toarray())[0]
        own, margins = self.drawn @ linear, self.drawn @ self.levels
        crossed = (own.T @ margins) @ slopes
        fixed = (own.T @ own).toarray()
        fitted = fixed - crossed - crossed.T + slopes.T @ ((margins.T @ margins) @ slopes)
        return Spread(np.asarray(fixed), np.asarray(fitted), *self._outside(slopes, held))

    def _outside(self, slopes: Floats, held: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """Variance from rows outside of each group's denominator, and the number that makes it, less 1."""
        sums, squares = np.zeros((2, slopes.shape[1]))
        for g in range(slopes.shape[1]):
            moved = self.drawn @ ((self.levels @ slopes[:, g]) * ~(held & (self.group_of == g)))
            sums[g], squares[g] = (moved**2).sum(), (moved**4 / self.times).sum()
        many = np.divide(sums**2, squares, out=np.full(len(sums), np.inf), where=squares > 0)
        return sums, many - 1


def refit_of(cube: Cube, group_of: Ints) -> Refit | None:
    """How the weights of a cube were fitted; None where they were not.

    Args:
        cube: with the axes that it was raked by.
        group_of: group of each of the cube's cells, flat.

    Raises:
        ValueError: for a cube that lacks an axis that it was raked by.
    """
    if not cube.margins:
        return None
    lost = {name for margin in cube.margins for name in margin.attributes} - set(cube.axes)
    if lost:
        raise ValueError(
            f"the cube was raked by {', '.join(sorted(lost))} and then summed over it: judge it before"
        )
    filled = np.flatnonzero(cube.counts.ravel() > 0)
    place = np.cumsum(cube.counts.ravel() > 0) - 1
    weights, squares = np.asarray(cube.weights).ravel(), np.asarray(cube.squares).ravel()
    classes = len(cube.labels) ** 2
    drawn: Any = diags_array(np.sqrt(squares[filled])).tocsr()
    times = cube.counts.ravel()[filled].astype(float)
    if cube.units is not None:
        at = (cube.units.unit, place[cube.units.cell])
        drawn = coo_matrix((np.asarray(cube.units.weights), at), (cube.units.size, len(filled))).tocsr()
        times = np.ones(cube.units.size)
    return Refit(
        weights[filled], drawn, times, _levels(cube, filled // classes), group_of[filled], filled % classes
    )


def _levels(cube: Cube, cell: Ints) -> Any:
    """Indicators of the margins' levels, [cells, levels]."""
    index = dict(zip(cube.axes, np.unravel_index(cell, [len(v) for v in cube.axes.values()]), strict=True))
    columns, first = [], 0
    for margin in cube.margins:
        sizes = [len(cube.axes[name]) for name in margin.attributes]
        columns.append(first + np.ravel_multi_index([index[name] for name in margin.attributes], sizes))
        first += int(np.prod(sizes))
    rows = np.tile(np.arange(len(cell)), len(columns))
    return coo_matrix((np.ones(len(rows)), (rows, np.concatenate(columns))), (len(cell), first)).tocsr()
