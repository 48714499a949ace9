"""Proxies: how well the other columns tell a protected attribute that a model is not to use.

Column by column by mutual information, from counts; all together by the cross-validated AUC of a linear
probability model over binned columns, solved in closed form from sums over folds: a fraction of a second
where boosted trees take minutes. On Adult both find the same for sex (.93) and age (.77); for race it
finds .79 where small boosted trees found .70 to .72. It adds columns up, so a proxy that only the
combination of two columns makes is not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import rankdata

from tasks.plan.judgement import Judgement
from tasks.represent.records import Proxy

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ROWS = 20_000
SEED = 0  # not the recipe's, which must not move what is said of the data
BINS = 16
MOST_LEVELS = 100
"""Levels of a category that are told apart; rarer ones are one level, as are those below `FEWEST` rows."""
FOLDS = 3
RIDGE = 1.0
FEWEST = 20
"""Rows in and out of a level below which its AUC is not taken."""
DIGITS = 6


@dataclass(frozen=True, eq=False)
class _Coded:
    """A column as levels: ``codes`` in [0, levels)."""

    name: str
    codes: Ints
    levels: int


def find_proxies(train: pl.DataFrame, described: pl.DataFrame, judgement: Judgement) -> tuple[Proxy, ...]:
    """Measure each protected attribute's proxies on a seeded sample of at most 20,000 rows.

    Left out are the column that the attribute is made from, the sampling unit, and columns marked
    `unique`. Numbers are cut into 16 bins at their quantiles; missing values are a level.

    Args:
        train: typed rows of the training part.
        described: a String column a protected attribute, of the same rows.
        judgement: columns, attributes and the limit.

    Returns:
        one record an attribute, in the plan's order.
    """
    # In random order, so that the folds are runs of rows.
    rows = np.random.default_rng(SEED).permutation(train.height)[:ROWS]
    sample, limit = train[rows], judgement.proxies.maximum_auc
    columns = [_few(_coded(sample[name])) for name in _compared(train, judgement)]
    design = _Design.of(columns, rows.size)
    found = []
    for name, protected in judgement.protected.items():
        target = _coded(described[name][rows])
        levels = sorted(described[name][rows].unique().to_list())
        others = [column for column in columns if column.name != protected.column]
        by_level = dict(zip(levels, design.areas(target, protected.column), strict=True))
        areas = {level: area for level, area in by_level.items() if area is not None}
        auc = round(float(np.mean(list(areas.values()))), DIGITS) if areas else None
        shares = {column.name: round(_uncertainty(column, target), DIGITS) for column in others}
        found.append(
            Proxy(
                attribute=name,
                rows=rows.size,
                auc=auc,
                level_auc=areas,
                information=dict(sorted(shares.items(), key=lambda item: (-item[1], item[0]))),
                limit=limit,
                beyond=auc is not None and limit is not None and auc > limit,
            )
        )
    return tuple(found)


def _compared(train: pl.DataFrame, judgement: Judgement) -> list[str]:
    return [
        name
        for name, column in judgement.data.described().items()
        if name in train.columns and not column.unique and name != judgement.unit
    ]


def _coded(series: pl.Series) -> _Coded:
    """Categories as they are, in the order of their names; numbers in bins; null as the last level."""
    if series.dtype == pl.String:
        levels = series.drop_nulls().unique().sort().to_list()
        codes = series.replace_strict(
            levels, list(range(len(levels))), default=len(levels), return_dtype=pl.Int64
        )
        return _Coded(series.name, codes.to_numpy(), len(levels) + int(series.null_count() > 0))
    return _binned(series.name, series.cast(pl.Float64).fill_null(float("nan")).to_numpy())


def _binned(name: str, values: Floats) -> _Coded:
    """Numbers in bins, what is no finite number as the last level."""
    there = np.isfinite(values)
    codes = np.full(values.size, BINS, np.int64)
    if there.any():
        edges = np.quantile(values[there], np.linspace(0, 1, BINS + 1)[1:-1], method="inverted_cdf")
        codes[there] = np.searchsorted(np.unique(edges), values[there], side="left")
    return _compact(name, codes)


def _compact(name: str, codes: Ints) -> _Coded:
    """Levels that occur, numbered anew."""
    found, again = np.unique(codes, return_inverse=True)
    return _Coded(name, again.astype(np.int64), found.size)


def mutual_information(table: Floats) -> float:
    """Mutual information of a table of counts, in nats, less its bias.

    The plug-in estimate is too large by about (r - 1)(c - 1) / 2n (Miller 1955), which would make a
    proxy of every column with many levels.

    Args:
        table: counts, shape [r levels, c levels], every row and column above 0.
    """
    n = table.sum()
    rows, columns = table.sum(axis=1, keepdims=True), table.sum(axis=0, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(table > 0, table / n * np.log(table * n / (rows * columns)), 0.0)
    bias = (table.shape[0] - 1) * (table.shape[1] - 1) / (2 * n)
    return max(0.0, float(terms.sum() - bias))


def _uncertainty(column: _Coded, target: _Coded) -> float:
    """Share of the attribute's entropy that the column takes away (Theil's U), in [0, 1]."""
    table = _table(column, target)
    share = table.sum(axis=0) / table.sum()
    entropy = -float((share * np.log(share)).sum())
    return min(1.0, mutual_information(table) / entropy) if entropy > 0 else 0.0


@dataclass(frozen=True, eq=False)
class _Design:
    """Every column's levels as indicators, summed over folds: all that least squares need.

    Attributes:
        columns: the columns, whose levels are the indicators in turn.
        starts: the first indicator of each, and how many there are.
        folds: where each fold's rows begin, and the number of rows; rows come in random order.
        grams: indicators x indicators of each fold, [indicators, indicators].
    """

    columns: tuple[_Coded, ...]
    starts: tuple[int, ...]
    folds: tuple[int, ...]
    grams: tuple[Floats, ...]

    @classmethod
    def of(cls, columns: Sequence[_Coded], rows: int) -> _Design:
        starts = tuple(np.cumsum([0, *(column.levels for column in columns)]).tolist())
        folds = tuple(rows * fold // FOLDS for fold in range(FOLDS + 1))
        matrix = np.zeros((rows, starts[-1]), np.float32)  # counts up to 2^24 are exact
        for column, start in zip(columns, starts, strict=False):
            matrix[np.arange(rows), start + column.codes] = 1.0
        parts = [matrix[low:high] for low, high in pairwise(folds)]
        return cls(tuple(columns), starts, folds, tuple((part.T @ part).astype(float) for part in parts))

    def areas(self, target: _Coded, own: str) -> list[float | None]:
        """Cross-validated AUC of each level of the attribute, without the attribute's own column."""
        kept = np.concatenate([np.full(column.levels, column.name != own) for column in self.columns])
        products = [self._product(target, low, high)[kept] for low, high in pairwise(self.folds)]
        grams = [gram[np.ix_(kept, kept)] for gram in self.grams]
        ridge = RIDGE * np.eye(int(kept.sum()))
        scores = np.zeros((target.codes.size, target.levels))
        for fold, (low, high) in enumerate(pairwise(self.folds)):
            weights = np.zeros((kept.size, target.levels))
            weights[kept] = np.linalg.solve(
                ridge + sum(gram for i, gram in enumerate(grams) if i != fold),
                sum(product for i, product in enumerate(products) if i != fold),
            )
            for column, start in zip(self.columns, self.starts, strict=False):
                scores[low:high] += weights[start + column.codes[low:high]]
        return [_area(target.codes == i, scores[:, i]) for i in range(target.levels)]

    def _product(self, target: _Coded, low: int, high: int) -> Floats:
        """Indicators x levels of the attribute, over the rows of a fold."""
        tables = [_table(_part(column, low, high), _part(target, low, high)) for column in self.columns]
        return np.concatenate(tables)


def _part(column: _Coded, low: int, high: int) -> _Coded:
    return _Coded(column.name, column.codes[low:high], column.levels)


def _table(column: _Coded, target: _Coded) -> Floats:
    """Counts by level of the column and of the attribute."""
    size = column.levels * target.levels
    cells = np.bincount(column.codes * target.levels + target.codes, minlength=size)
    return cells.reshape(column.levels, target.levels).astype(float)


def _few(column: _Coded) -> _Coded:
    """The column with its rare levels as one: a level of a few rows tells nothing of another row."""
    counts = np.bincount(column.codes, minlength=column.levels)
    common = np.zeros(column.levels, bool)
    common[np.argsort(-counts, kind="stable")[:MOST_LEVELS]] = True
    common &= counts >= FEWEST
    return _compact(column.name, np.where(common[column.codes], column.codes, column.levels))


def _area(inside: NDArray[np.bool_], score: Floats) -> float | None:
    """Share of pairs of a row inside and a row outside that the score puts in order, ties counting half."""
    m, n = int(inside.sum()), int((~inside).sum())
    if min(m, n) < FEWEST:
        return None
    # Sums of products differ in their last bits from machine to machine; equal rows must tie on all.
    ranks = rankdata(np.round(score, 9))
    return round(float((ranks[inside].sum() - m * (m + 1) / 2) / (m * n)), DIGITS)


def proxy_warnings(found: tuple[Proxy, ...]) -> list[str]:
    """Attributes that the other columns tell better than the plan allows, with their strongest columns."""
    return [
        f"proxies: the other columns tell {one.attribute} with an AUC of {one.auc:.3f} > proxies.maximum_auc "
        f"{one.limit:g}; most by itself: "
        + ", ".join(f"{name} ({share:.0%})" for name, share in list(one.information.items())[:3])
        for one in found
        if one.beyond
    ]
