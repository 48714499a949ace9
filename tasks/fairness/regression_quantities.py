"""The quantities that limits on a regression compare, made from one attribute's table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.fairness.groups import Bools, Groups
from tasks.fairness.means import Distances, Means, Root, folded
from tasks.fairness.regression import SUMS, RegressionTable, nodes_of


@dataclass(frozen=True, eq=False)
class Summed:
    """An attribute's table and which of its groups take part in the verdict.

    Attributes:
        table: with every level that either part has.
        judged: shape [levels].
    """

    table: RegressionTable
    judged: Bools

    def common(self, name: str, value: Any) -> Mapping[str, Any]:
        """What all quantities have."""
        n = self.table.rows
        return {
            "name": name,
            "names": self.table.levels,
            "rows": n,
            "judged": self.judged,
            "events": n,
            "n": n,
            "value": np.where(n > 0, value, np.nan),
        }


@dataclass(frozen=True)
class Mean:
    """A mean over a group's rows.

    Attributes:
        name: of the quantity.
        formula: in words.
        summed: which of `SUMS` it is the mean of.
        root: 2 for the square root.
    """

    name: str
    formula: str
    summed: str
    root: Root = 1

    def tables(self, counted: Summed) -> list[Groups]:
        """One table."""
        table, key = counted.table, "residual" if self.summed == "absolute" else self.summed
        weights, nodes = table.nodes[key], nodes_of(table.label_range)[key]
        if self.summed == "absolute":
            weights, nodes = folded(weights, nodes)
        value = table.sums[:, SUMS.index(self.summed)] / np.maximum(table.rows, 1)
        own = counted.common(self.name, value**0.5 if self.root == 2 else value)
        return [Means(**own, weights=weights, nodes=nodes, root=self.root)]


@dataclass(frozen=True)
class Distance:
    """The largest distance of a group's distribution of predictions from that of all rows."""

    name: str = "parity"
    formula: str = (
        "max over z of |P(f >= z) in the group - P(f >= z) over all rows|, z at the histogram's edges"
    )

    def tables(self, counted: Summed) -> list[Groups]:
        """One table."""
        attained, possible = counted.table.parity()
        own = counted.common(self.name, attained)
        rows = int(counted.table.rows.sum())
        return [Distances(**own, attained=attained, possible=possible, all_rows=rows)]
