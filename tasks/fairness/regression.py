"""What the audit of a regression needs of its rows, by group: sums, nodes, a histogram of predictions.

Mergeable by addition. The limits of means (`tasks.fairness.betting`) need no rows either: each row is shared
out between the two nodes around its prediction, its residual and its squared residual.

Statistical parity of a regression is sup over z of |P(f >= z | g) - P(f >= z)|
(Agarwal et al. 2019, Fair Regression). At the histogram's edges it is exact; between two of them each tail
lies between its values at both, so `parity` gives bounds that hold whatever the predictions within the bins
are, at most the larger share of a bin (the group's or the whole's) apart.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.evidence.digest import canonical_json
from tasks.fairness.betting import share_out
from tasks.fairness.columns import UNKNOWN, encode, natural_order
from tasks.fairness.counting import cell_of_each_row, count, weigh

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SCHEMA = 2
SUMS = ("prediction", "residual", "absolute", "square")
"""Sums over rows of f, f - y, |f - y| and (f - y)^2."""
NODES = 128
"""Spaces between the nodes of the predictions; between those of the residuals are twice as many."""


def nodes_of(label_range: tuple[float, float]) -> dict[str, Floats]:
    """Nodes of a label's predictions, of their residuals (0 is one) and of the squared residuals.

    The first divide the range evenly, those of the residuals have the same distance on either side of 0, and
    those of the squares are the squares of these.
    """
    low, high = label_range
    steps = (high - low) * np.arange(NODES + 1) / NODES
    return {"prediction": low + steps, "residual": np.append(-steps[:0:-1], steps), "square": steps**2}


@dataclass(frozen=True, eq=False)
class RegressionTable:
    """Sufficient statistics of the regression metrics of one attribute.

    Attributes:
        attribute: what the groups are of.
        levels: the groups, in natural order with "unknown" last.
        label_range: smallest and largest value of y and f.
        edges: inner edges of the histogram, rising; bin i holds edges[i - 1] <= f < edges[i].
        counts: predictions by bin, shape [levels, bins].
        sums: those named in `SUMS`, shape [levels, 4], in the unit of y (the last squared).
        nodes: rows shared out over the nodes of `nodes_of`, each of shape [levels, nodes].
    """

    attribute: str
    levels: tuple[str, ...]
    label_range: tuple[float, float]
    edges: tuple[float, ...]
    counts: Ints
    sums: Floats
    nodes: Mapping[str, Floats]

    @classmethod
    def from_arrays(
        cls,
        y_true: Any,
        y_pred: Any,
        attribute: str,
        group: Any,
        edges: Sequence[float],
        label_range: tuple[float, float],
    ) -> Self:
        """Sum rows.

        Args:
            y_true: shape [rows], finite.
            y_pred: shape [rows], finite.
            attribute: the group's name.
            group: shape [rows]; missing values are the level "unknown".
            edges: inner edges of the histogram, fixed on validation rows or by the plan.
            label_range: smallest and largest value that y_true and y_pred may have.

        Raises:
            ValueError: for lengths that differ, numbers that are not finite or out of range, edges that do
                not rise.
        """
        truth, guess = (_within(*c, label_range) for c in (("y_true", y_true), ("y_pred", y_pred)))
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
        values = {"prediction": guess, "residual": residual, "square": residual**2}
        nodes = {
            name: share_out(values[name], cell_of_each_row([codes]), own, len(counts))[kept]
            for name, own in nodes_of(label_range).items()
        }
        levels = tuple(codes.levels[i] for i in kept)
        return cls(attribute, levels, label_range, tuple(inner.tolist()), counts[kept], sums[kept], nodes)

    def merge(self, other: RegressionTable) -> RegressionTable:
        """Add another part of the rows.

        Raises:
            ValueError: for another attribute or range, or other edges.
        """
        if self._same != other._same:
            raise ValueError(
                "tables of one attribute and range and the same edges are expected, found others"
            )
        levels = tuple(sorted({*self.levels, *other.levels}, key=natural_order))
        one, two = self.widened(levels), other.widened(levels)
        return replace(
            one,
            counts=one.counts + two.counts,
            sums=one.sums + two.sums,
            nodes={name: own + two.nodes[name] for name, own in one.nodes.items()},
        )

    def widened(self, levels: Sequence[str]) -> RegressionTable:
        """The same rows with these levels, which are all of its own and perhaps more, without rows."""
        rows = [levels.index(level) for level in self.levels]

        def wide(own: NDArray[Any]) -> NDArray[Any]:
            found = np.zeros((len(levels), own.shape[1]), own.dtype)
            found[rows] = own
            return found

        nodes = {name: wide(own) for name, own in self.nodes.items()}
        counts, sums = wide(self.counts), wide(self.sums)
        return replace(self, levels=tuple(levels), counts=counts, sums=sums, nodes=nodes)

    @property
    def _same(self) -> tuple[object, ...]:
        return self.attribute, self.label_range, self.edges

    @property
    def rows(self) -> Ints:
        """Rows of each group."""
        return np.asarray(self.counts.sum(axis=1))

    def metrics(self) -> pl.DataFrame:
        """One row per group: level, n, mean_prediction, mae, mse, rmse, residual, parity_low, parity_high.

        Errors and residual (signed, f - y) are means over the group's rows; null without rows.
        """
        n = self.rows
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

    def to_value(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "schema": SCHEMA,
            "attribute": self.attribute,
            "levels": list(self.levels),
            "label_range": list(self.label_range),
            "edges": list(self.edges),
            "counts": self.counts.tolist(),
            "sums": self.sums.tolist(),
            "nodes": {name: own.tolist() for name, own in self.nodes.items()},
        }

    def to_json(self) -> bytes:
        """The table's one form in bytes."""
        return canonical_json(self.to_value()) + b"\n"

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """Read what `to_json` wrote; raises as `from_value`."""
        return cls.from_value(json.loads(content))

    @classmethod
    def from_value(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_value` gave.

        Raises:
            ValueError: for another schema, or tables that do not fit the levels, edges and nodes.
        """
        if value.get("schema") != SCHEMA:
            raise ValueError(
                f"regression table of schema {SCHEMA} is expected, found {value.get('schema')!r}"
            )
        levels, edges = tuple(value["levels"]), tuple(value["edges"])
        low, high = value["label_range"]
        counts, sums = np.array(value["counts"], np.int64), np.array(value["sums"], np.float64)
        nodes = {name: np.array(value["nodes"][name], np.float64) for name in nodes_of((low, high))}
        shapes = [(len(levels), len(edges) + 1), (len(levels), len(SUMS))]
        shapes += [(len(levels), len(own)) for own in nodes_of((low, high)).values()]
        found = [counts.shape, sums.shape, *(own.shape for own in nodes.values())]
        if found != shapes or (counts < 0).any() or any((own < 0).any() for own in nodes.values()):
            raise ValueError(f"tables of shapes {shapes} are expected, found {found}")
        return cls(value["attribute"], levels, (low, high), edges, counts, sums, nodes)


def _within(name: str, values: Any, label_range: tuple[float, float]) -> Floats:
    array, (low, high) = _finite(name, values), label_range
    if outside := int(((array < low) | (array > high)).sum()):
        raise ValueError(
            f"{name}: numbers from {low:g} to {high:g} are expected, {outside} of {len(array)} are others"
        )
    return array


def _finite(name: str, values: Any) -> Floats:
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "fiub":
        raise ValueError(f"{name}: one number a row is expected, found {array.dtype} of shape {array.shape}")
    if wrong := int((~np.isfinite(array)).sum()):
        raise ValueError(
            f"{name}: finite numbers are expected, {wrong} of {len(array)} are missing or infinite"
        )
    return array.astype(np.float64, copy=False)
