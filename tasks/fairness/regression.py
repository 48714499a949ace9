"""What the audit of a regression needs of its rows, by group: sums, and a histogram of the predictions.

Mergeable by addition. Statistical parity of a regression is sup over z of |P(f >= z | g) - P(f >= z)|
(Agarwal et al. 2019, Fair Regression). At the histogram's edges it is exact; between two of them each tail
lies between its values at both, so `parity` gives bounds that hold whatever the predictions within the bins
are, at most the larger share of a bin (the group's or the whole's) apart.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.evidence.digest import canonical_json
from tasks.fairness.columns import UNKNOWN, encode, natural_order
from tasks.fairness.counting import count, weigh

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SCHEMA = 1
SUMS = ("prediction", "residual", "absolute", "square")
"""Sums over rows of f, f - y, |f - y| and (f - y)^2."""


@dataclass(frozen=True, eq=False)
class RegressionTable:
    """Sufficient statistics of the regression metrics of one attribute.

    Attributes:
        attribute: what the groups are of.
        levels: the groups, in natural order with "unknown" last.
        edges: inner edges of the histogram, rising; bin i holds edges[i - 1] <= f < edges[i].
        counts: predictions by bin, shape [levels, bins].
        sums: those named in `SUMS`, shape [levels, 4], in the unit of y (the last squared).
    """

    attribute: str
    levels: tuple[str, ...]
    edges: tuple[float, ...]
    counts: Ints
    sums: Floats

    @classmethod
    def from_arrays(
        cls, y_true: Any, y_pred: Any, attribute: str, group: Any, edges: Sequence[float]
    ) -> Self:
        """Sum rows.

        Args:
            y_true: shape [rows], finite.
            y_pred: shape [rows], finite.
            attribute: the group's name.
            group: shape [rows]; missing values are the level "unknown".
            edges: inner edges of the histogram, fixed on validation rows or by the plan.

        Raises:
            ValueError: for lengths that differ, numbers that are not finite, edges that do not rise.
        """
        truth, guess = _finite("y_true", y_true), _finite("y_pred", y_pred)
        codes = encode(attribute, group, missing=UNKNOWN)
        inner = np.asarray(edges, np.float64)
        if inner.ndim != 1 or not len(inner) or (np.diff(inner) <= 0).any() or not np.isfinite(inner).all():
            raise ValueError("edges: at least one, finite and rising, is expected")
        lengths = {"y_true": len(truth), "y_pred": len(guess), attribute: len(codes)}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns of one length are expected, found {lengths}")
        residual = guess - truth
        columns = (guess, residual, np.abs(residual), residual**2)
        bins = encode("bin", np.searchsorted(inner, guess, side="right"))
        counts = np.zeros((max(1, len(codes.levels)), len(inner) + 1), np.int64)
        found = count([codes, bins])
        counts[:, bins.first : bins.first + found.shape[1]] = found
        sums = np.stack([weigh([codes], column)[0] for column in columns], axis=-1)
        kept = [i for i, level in enumerate(codes.levels) if codes.declared or counts[i].any()]
        kept.sort(key=lambda i: natural_order(codes.levels[i]))
        levels = tuple(codes.levels[i] for i in kept)
        return cls(attribute, levels, tuple(inner.tolist()), counts[kept], sums[kept])

    def merge(self, other: RegressionTable) -> RegressionTable:
        """Add another part of the rows.

        Raises:
            ValueError: for another attribute or other edges.
        """
        if (self.attribute, self.edges) != (other.attribute, other.edges):
            raise ValueError("tables of one attribute and the same edges are expected, found others")
        levels = tuple(sorted({*self.levels, *other.levels}, key=natural_order))
        counts = np.zeros((len(levels), len(self.edges) + 1), np.int64)
        sums = np.zeros((len(levels), len(SUMS)))
        for table in (self, other):
            rows = [levels.index(level) for level in table.levels]
            counts[rows] += table.counts
            sums[rows] += table.sums
        return RegressionTable(self.attribute, levels, self.edges, counts, sums)

    def metrics(self) -> pl.DataFrame:
        """One row per group: level, n, mean_prediction, mae, mse, rmse, residual, parity_low, parity_high.

        Errors and residual (signed, f - y) are means over the group's rows; null without rows.
        """
        n = self.counts.sum(axis=1)
        means = self.sums / np.where(n > 0, n, 1)[:, None]
        low, high = self.parity()
        columns = {
            "mean_prediction": means[:, 0],
            "mae": means[:, 2],
            "mse": means[:, 3],
            "rmse": np.sqrt(means[:, 3]),
            "residual": means[:, 1],
            "parity_low": low,
            "parity_high": high,
        }
        frame = pl.DataFrame({self.attribute: list(self.levels), "n": n, **columns})
        return frame.with_columns(pl.when(pl.col("n") > 0).then(pl.col(name)).alias(name) for name in columns)

    def parity(self) -> tuple[Floats, Floats]:
        """Bounds of sup over z of |P(f >= z | g) - P(f >= z)| for each group, shape [levels].

        The lower one is the largest distance at an edge. Within bin i, P(f >= z | g) lies between its
        values at the bin's ends and so does P(f >= z), which bounds their distance there.
        """
        shares = self.counts / np.maximum(self.counts.sum(axis=1, keepdims=True), 1)
        whole = self.counts.sum(axis=0) / max(1, self.counts.sum())
        # Tails at -infinity, at each edge and at infinity: 1, ..., 0.
        tails, all_tails = (np.cumsum(s[..., ::-1], axis=-1)[..., ::-1] for s in (shares, whole))
        start, end = tails, np.concatenate([tails[:, 1:], np.zeros((len(tails), 1))], axis=1)
        all_start, all_end = all_tails, np.append(all_tails[1:], 0.0)
        low = np.abs(start - all_start).max(axis=1)
        high = np.maximum(start - all_end, all_start - end).max(axis=1)
        return low, np.minimum(high, 1)

    def to_json(self) -> bytes:
        """The table's one form in bytes."""
        content = {
            "schema": SCHEMA,
            "attribute": self.attribute,
            "levels": list(self.levels),
            "edges": list(self.edges),
            "counts": self.counts.tolist(),
            "sums": self.sums.tolist(),
        }
        return canonical_json(content) + b"\n"

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: for another schema, or tables that do not fit the levels and edges.
        """
        value: Mapping[str, Any] = json.loads(content)
        if value.get("schema") != SCHEMA:
            raise ValueError(
                f"regression table of schema {SCHEMA} is expected, found {value.get('schema')!r}"
            )
        levels, edges = tuple(value["levels"]), tuple(value["edges"])
        counts, sums = np.array(value["counts"], np.int64), np.array(value["sums"], np.float64)
        shapes = (len(levels), len(edges) + 1), (len(levels), len(SUMS))
        if (counts.shape, sums.shape) != shapes or (counts < 0).any():
            raise ValueError(f"tables of shapes {shapes} are expected, found {counts.shape}, {sums.shape}")
        return cls(value["attribute"], levels, edges, counts, sums)


def _finite(name: str, values: Any) -> Floats:
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "fiub":
        raise ValueError(f"{name}: one number a row is expected, found {array.dtype} of shape {array.shape}")
    if wrong := int((~np.isfinite(array)).sum()):
        raise ValueError(
            f"{name}: finite numbers are expected, {wrong} of {len(array)} are missing or infinite"
        )
    return array.astype(np.float64, copy=False)
