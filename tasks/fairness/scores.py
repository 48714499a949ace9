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
Floats = NDArray[np.float64]
Axes = Mapping[str, tuple[str, ...]]

UNIFORM = 200
"""Bins of equal width that a score gets when no edges are given: they do not depend on the data."""
PIECE = 1 << 14
"""Scores binned at once: they and their product stay in the cache."""
NEAR = 1e-9
"""Far above the rounding error of a product up to `UNIFORM`, far below a bin."""


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
    def of(cls, edges: Sequence[float], columns: Mapping[str, Codes], truth: Codes, bins: Codes) -> Self:
        """Count rows by bin (see `binned`) for each attribute, over the columns' own levels."""
        tables = {name: count([column, truth, bins]) for name, column in columns.items()}
        return cls(tuple(edges), tables)

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


def uniform_edges() -> tuple[float, ...]:
    """Inner edges of `UNIFORM` bins on [0, 1]."""
    return tuple(i / UNIFORM for i in range(1, UNIFORM))


def binned(score: Any, edges: Sequence[float] | None) -> Codes:
    """The bin of each score: i where edges[i - 1] <= score < edges[i].

    Args:
        score: shape [rows], in [0, 1].
        edges: inner edges, rising; None for `uniform_edges`.

    Raises:
        ValueError: for edges that do not rise, or scores missing or outside [0, 1].
    """
    inner = np.asarray(uniform_edges() if edges is None else edges, np.float64)
    if inner.ndim != 1 or (np.diff(inner) <= 0).any() or not np.isfinite(inner).all():
        raise ValueError("score_edges must be finite and rise")
    values = np.asarray(score)
    if values.ndim != 1 or values.dtype.kind not in "fiub":
        raise ValueError(f"score: one number a row is expected, found {values.dtype} of shape {values.shape}")
    # The comparison is false for NaN too, which min and max hand on.
    if len(values) and not (values.min() >= 0 and values.max() <= 1):
        outside = int((~((values >= 0) & (values <= 1))).sum())
        raise ValueError(f"score: numbers in [0, 1] are expected, {outside} are missing or outside")
    bins = np.empty(len(values), np.min_scalar_type(len(inner) + 1))
    for start in range(0, len(values), PIECE):
        piece = values[start : start + PIECE].astype(np.float64)
        place = np.searchsorted(inner, piece, side="right") if edges is not None else _uniform_bins(piece)
        bins[start : start + PIECE] = place
    return Codes(bins, [str(i) for i in range(len(inner) + 1)])


def _uniform_bins(scores: Floats) -> NDArray[np.int32]:
    """The same as searching the edges, some five times faster: a product.

    Near an edge, where it may have been rounded across, the edges decide.
    """
    scaled = scores * UNIFORM
    place = scaled.astype(np.int32)
    near = np.flatnonzero(np.abs(scaled - np.rint(scaled)) < NEAR)
    if len(near):
        place[near] = np.searchsorted(_EDGES, scores[near], side="right")
    return place


_EDGES = np.array(uniform_edges())
