"""Histograms of the score by attribute level and class, for ROC and calibration by group.

They are kept per attribute, not per crossing, so their size stays small. A threshold that is an edge
is exact; in between, a rate is known within the counts of one bin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tasks.fairness.columns import Codes
from tasks.fairness.counting import arrange, count

Ints = NDArray[np.int64]
Axes = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class ScoreBins:
    """Counts of scores.

    Attributes:
        edges: inner edges, rising; bin i holds edges[i - 1] <= score < edges[i].
        tables: attribute -> counts, shape [level, class, bin].
    """

    edges: tuple[float, ...]
    tables: Mapping[str, Ints]

    @classmethod
    def count(
        cls,
        score: Any,
        edges: Sequence[float] | None,
        truth: Codes,
        classes: tuple[str, ...],
        columns: Mapping[str, Codes],
        axes: Axes,
    ) -> Self:
        """Count scores (shape [rows], in [0, 1]) by bin for each attribute.

        Raises:
            ValueError: without edges, for edges that do not rise, or scores missing or outside [0, 1].
        """
        if edges is None:
            raise ValueError("a score needs `score_edges`, fixed on validation rows")
        inner = np.asarray(edges, float)
        if (np.diff(inner) <= 0).any() or not np.isfinite(inner).all():
            raise ValueError("score_edges must be finite and rise")
        values = np.asarray(score)
        if values.shape != (len(truth),):
            raise ValueError(f"one score a row is expected ({len(truth)}), found shape {values.shape}")
        if not ((values >= 0) & (values <= 1)).all():
            raise ValueError("scores in [0, 1] are expected, some are missing or outside")
        bins = Codes(np.searchsorted(inner, values, side="right"), [str(i) for i in range(len(inner) + 1)])
        tables = {}
        for name, column in columns.items():
            raw = count([column, truth, bins])
            old = [tuple(column.levels), tuple(truth.levels), bins.levels]
            tables[name] = arrange(raw, old, [axes[name], classes, bins.levels])
        return cls(tuple(float(edge) for edge in inner), tables)

    def only(self, attributes: Sequence[str]) -> ScoreBins:
        """The tables of some attributes."""
        return ScoreBins(self.edges, {name: self.tables[name] for name in attributes})

    def arranged(self, old: tuple[Axes, tuple[str, ...]], new: tuple[Axes, tuple[str, ...]]) -> ScoreBins:
        """Move counts from the (axes, classes) they have to others."""
        bins = [str(i) for i in range(len(self.edges) + 1)]
        tables = {
            name: arrange(self.tables[name], [old[0][name], old[1], bins], [levels, new[1], bins])
            for name, levels in new[0].items()
        }
        return ScoreBins(self.edges, tables)

    def plus(self, other: ScoreBins) -> ScoreBins:
        """Add counts of the same bins.

        Raises:
            ValueError: for other edges.
        """
        if self.edges != other.edges:
            raise ValueError("scores counted between other edges can't be added: count both with the same")
        return ScoreBins(
            self.edges, {name: table + other.tables[name] for name, table in self.tables.items()}
        )

    def to_value(self, axes: Axes, labels: tuple[str, ...]) -> dict[str, Any]:
        """As in the cube's JSON: edges, and attribute -> level -> class -> counts by bin."""
        counts = {
            name: {
                level: dict(zip(labels, rows.tolist(), strict=True))
                for level, rows in zip(axes[name], table, strict=True)
            }
            for name, table in self.tables.items()
        }
        return {"edges": list(self.edges), "counts": counts}

    @classmethod
    def from_value(cls, value: Mapping[str, Any], axes: Axes, labels: tuple[str, ...]) -> Self:
        """Read what `to_value` wrote."""
        tables = {
            name: np.array(
                [[value["counts"][name][level][label] for label in labels] for level in levels], np.int64
            ).reshape(len(levels), len(labels), -1)
            for name, levels in axes.items()
        }
        return cls(tuple(value["edges"]), tables)
