"""The audit cube as a list of counts, in an order that follows from the plan: clients can add theirs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tasks.errors import EvidenceError, Refusal
from tasks.evaluate.classes import classes_of
from tasks.fairness.columns import UNKNOWN, natural_order
from tasks.fairness.counting import arrange
from tasks.fairness.cube import Cube
from tasks.fairness.intake import settled_positive
from tasks.fairness.scores import ScoreBins
from tasks.plan.federated import levels_of
from tasks.plan.judgement import Judgement


@dataclass(frozen=True)
class Layout:
    """Cells of an audit cube of classes, those that no row has too.

    Attributes:
        axes: attribute -> every level that the plan declares, and "unknown", in the cube's order.
        labels: the classes.
        positive: the class whose rates are compared; None where there are more than two.
        edges: inner edges of the score's bins.
    """

    axes: Mapping[str, tuple[str, ...]]
    labels: tuple[str, ...]
    positive: str | None
    edges: tuple[float, ...]

    @classmethod
    def of(cls, judgement: Judgement, edges: Sequence[float]) -> Self:
        """All cells of a plan's cube: its clients need not know of one another's levels.

        Raises:
            Refusal: the plan does not declare the levels of an attribute.
        """
        axes, label = {}, classes_of(judgement)
        for name in judgement.protected:
            levels = levels_of(judgement, name)
            if levels is None:
                raise Refusal(f"audit cube: the plan is expected to declare the levels of {name!r}")
            axes[name] = tuple(sorted({*levels, UNKNOWN}, key=natural_order))
        classes = tuple(label.values)
        return cls(axes, classes, settled_positive(classes, label.positive), tuple(edges))

    def to_json(self) -> str:
        """As it is announced."""
        return json.dumps(asdict(self))

    def numbers(self, cube: Cube) -> NDArray[np.float64]:
        """The counts (n,): those of the cells, then those of each attribute's score bins.

        Args:
            cube: of some or all of the rows; without units.

        Raises:
            Refusal: a row has a level that the plan does not declare.
        """
        wide = cube.widened(self.axes, self.labels)
        if strange := {
            n: sorted({*wide.axes[n]} - {*own}) for n, own in self.axes.items() if wide.axes[n] != own
        }:
            raise Refusal(f"audit cube: levels that the plan declares are expected, found also {strange}")
        assert wide.score_bins is not None  # noqa: S101 - cubes of classes have them
        tables = [wide.score_bins.tables[name].ravel() for name in self.axes]
        return np.concatenate([wide.counts.ravel(), *tables]).astype(np.float64)

    def cube(self, numbers: NDArray[np.float64]) -> Cube:
        """The cube of such counts; as where rows are counted, it has the levels that occur."""
        sizes = [prod(shape) for shape in self._shapes]
        flat = np.split(np.rint(numbers).astype(np.int64), np.cumsum(sizes)[:-1])
        counts, *tables = (part.reshape(shape) for part, shape in zip(flat, self._shapes, strict=True))
        axes = {
            name: tuple(level for level, n in zip(levels, table.sum(axis=(1, 2)), strict=True) if n)
            for (name, levels), table in zip(self.axes.items(), tables, strict=True)
        }
        ends = [self.labels, self.labels]
        bins = ScoreBins(self.edges, dict(zip(self.axes, tables, strict=True)))
        return Cube(
            axes,
            self.labels,
            self.positive,
            arrange(counts, [*self.axes.values(), *ends], [*axes.values(), *ends]),
            bins.arranged((self.axes, self.labels), (axes, self.labels)),
        )

    def require_equal(self, summed: NDArray[np.float64], counted: Cube) -> None:
        """Compare the clients' sum with the counts of the predictions that the dossier holds.

        Raises:
            EvidenceError: names the first cell that differs.
        """
        wanted = self.numbers(counted)
        if len(summed) != len(wanted):
            raise EvidenceError(
                f"audit cube: {len(wanted)} counts are expected of the clients, found {len(summed)}"
            )
        if not len(different := np.flatnonzero(summed != wanted)):
            return
        first = int(different[0])
        raise EvidenceError(
            f"audit cube: the clients' sum differs from the counts of predictions.csv in {len(different)} of "
            f"{len(wanted)} cells; first {self._cell(first)}: {summed[first]:g} by the clients, "
            f"{wanted[first]:g} by the predictions. Each client is expected to count all of its own test "
            "rows with the frozen model; nothing is judged"
        )

    @property
    def _shapes(self) -> list[tuple[int, ...]]:
        classes, bins = len(self.labels), len(self.edges) + 1
        sizes = [len(levels) for levels in self.axes.values()]
        return [(*sizes, classes, classes), *((size, classes, bins) for size in sizes)]

    def _cell(self, place: int) -> str:
        """What is counted at a place of the list."""
        for at, shape in enumerate(self._shapes):
            if place < prod(shape):
                *levels, truth, last = (int(i) for i in np.unravel_index(place, shape))
                names = list(self.axes) if at == 0 else [list(self.axes)[at - 1]]
                group = [f"{name} {self.axes[name][i]!r}" for name, i in zip(names, levels, strict=True)]
                what = f"predicted {self.labels[last]!r}" if at == 0 else f"score bin {last}"
                return ", ".join([*group, f"label {self.labels[truth]!r}", what])
            place -= prod(shape)
        raise IndexError(place)
