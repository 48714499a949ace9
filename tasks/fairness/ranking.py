"""What the audit of rankings needs: groups in the top k, NDKL and exposure.

Geyik et al. 2019 (skew, NDKL); Singh and Joachims 2018 (exposure). Tables of ranked lists add up.

- skew@k of a group: ln(its share of the top k / its desired share); minus infinity is undefined here.
- NDKL of a list: sum over i of d_i KL(shares of the top i || desired), over sum of d_i, d_i = 1/log2(i + 1).
- exposure of a group: sum of d_i over its positions i, over the sum of d_i of the list.

The sums are exact (up to rounding): no binning. Over several lists, skew@k is of the pooled top k's, NDKL
is the mean over lists, and exposure is pooled.
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

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SCHEMA = 1
TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class RankingTable:
    """Sufficient statistics of the ranking metrics of one attribute.

    Attributes:
        attribute: what the groups are of.
        levels: the groups, in natural order with "unknown" last.
        desired: the share that each level should have, summing to 1, above 0.
        ks: lengths of the tops, rising.
        lists: ranked lists.
        rows: ranked items of each level, shape [levels].
        tops: items of each level in the top k, summed over lists with at least k items, shape [ks, levels].
        full: lists with at least k items, shape [ks].
        exposure: sums of 1/log2(rank + 1), rank from 1, shape [levels].
        ndkl: sum of NDKL over lists.
    """

    attribute: str
    levels: tuple[str, ...]
    desired: tuple[float, ...]
    ks: tuple[int, ...]
    lists: int
    rows: Ints
    tops: Ints
    full: Ints
    exposure: Floats
    ndkl: float

    @classmethod
    def from_arrays(
        cls, attribute: str, ranked: Sequence[Any], desired: Mapping[str, float], ks: Sequence[int]
    ) -> Self:
        """Sum ranked lists.

        Args:
            attribute: the group's name.
            ranked: for each list its items' groups from the first rank on; missing is "unknown".
            desired: level -> share, of every level that occurs; a plan's reference or the candidates'.
            ks: lengths of the tops.

        Raises:
            ValueError: for shares that are not above 0 or do not sum to 1, a level without a share, an
                empty list, or tops that do not rise from 1.
        """
        shares = _shares(desired)
        levels = tuple(shares)
        if list(ks) != sorted(set(ks)) or not ks or ks[0] < 1:
            raise ValueError(f"ks: rising lengths from 1 on are expected, found {list(ks)}")
        whole = cls._empty(attribute, levels, tuple(shares.values()), tuple(ks))
        for items in ranked:
            whole = whole.merge(cls._of_one(whole, items))
        return whole

    @classmethod
    def _empty(
        cls, attribute: str, levels: tuple[str, ...], desired: tuple[float, ...], ks: tuple[int, ...]
    ) -> Self:
        rows, tops = np.zeros(len(levels), np.int64), np.zeros((len(ks), len(levels)), np.int64)
        full, exposure = np.zeros(len(ks), np.int64), np.zeros(len(levels))
        return cls(attribute, levels, desired, ks, 0, rows, tops, full, exposure, 0.0)

    @classmethod
    def _of_one(cls, like: RankingTable, items: Any) -> Self:
        codes = encode(like.attribute, items, missing=UNKNOWN)
        if not len(codes):
            raise ValueError("ranked: lists of at least one item are expected, found an empty one")
        seen = np.unique(codes.codes.astype(np.int64) - codes.first)
        if strange := sorted({codes.levels[i] for i in seen} - set(like.levels)):
            raise ValueError(f"{like.attribute}: no desired share of {', '.join(strange)}")
        position = [like.levels.index(level) if level in like.levels else -1 for level in codes.levels]
        place = np.array(position)[codes.codes.astype(np.int64) - codes.first]
        so_far = np.cumsum(place[:, None] == np.arange(len(like.levels)), axis=0)
        discount = 1 / np.log2(np.arange(len(place)) + 2)
        shares = so_far / np.arange(1, len(place) + 1)[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):  # 0 ln 0 = 0
            terms = np.where(shares > 0, shares * np.log(shares / np.array(like.desired)), 0)
        full = np.array([k <= len(place) for k in like.ks], np.int64)
        tops = [so_far[k - 1] if k <= len(place) else np.zeros(len(like.levels), np.int64) for k in like.ks]
        return cls(
            like.attribute,
            like.levels,
            like.desired,
            like.ks,
            1,
            so_far[-1],
            np.array(tops),
            full,
            np.bincount(place, discount, len(like.levels)).astype(np.float64),
            float((terms.sum(axis=1) * discount).sum() / discount.sum()),
        )

    def merge(self, other: RankingTable) -> Self:
        """Add other lists.

        Raises:
            ValueError: for another attribute, other desired shares or other tops.
        """
        mine = (self.attribute, self.levels, self.desired, self.ks)
        if mine != (other.attribute, other.levels, other.desired, other.ks):
            raise ValueError(
                "tables of one attribute with the same shares and tops are expected, found others"
            )
        return type(self)(
            *mine,
            self.lists + other.lists,
            self.rows + other.rows,
            self.tops + other.tops,
            self.full + other.full,
            self.exposure + other.exposure,
            self.ndkl + other.ndkl,
        )

    def mean_ndkl(self) -> float | None:
        """Mean NDKL of the lists, 0 for the desired shares at every rank; None without lists."""
        return self.ndkl / self.lists if self.lists else None

    def metrics(self) -> pl.DataFrame:
        """One row per level: n, desired, exposure (share of all), exposure_ratio (over desired), skew@k.

        A skew is null where the top k's hold nobody of the level (minus infinity), or no list is so long.
        """
        share = self.exposure / self.exposure.sum() if self.lists else np.full(len(self.levels), np.nan)
        columns: dict[str, Any] = {
            self.attribute: list(self.levels),
            "n": self.rows,
            "desired": self.desired,
            "exposure": share,
            "exposure_ratio": share / np.array(self.desired),
        }
        for k, tops, lists in zip(self.ks, self.tops, self.full, strict=True):
            skews = [
                float(np.log(count / (k * lists) / desired)) if count else None
                for count, desired in zip(tops.tolist(), self.desired, strict=True)
            ]
            columns[f"skew@{k}"] = pl.Series(skews, dtype=pl.Float64)
        return pl.DataFrame(columns).fill_nan(None)

    def to_json(self) -> bytes:
        """The table's one form in bytes."""
        content = {
            "schema": SCHEMA,
            "attribute": self.attribute,
            "levels": list(self.levels),
            "desired": list(self.desired),
            "ks": list(self.ks),
            "lists": self.lists,
            "rows": self.rows.tolist(),
            "tops": self.tops.tolist(),
            "full": self.full.tolist(),
            "exposure": self.exposure.tolist(),
            "ndkl": self.ndkl,
        }
        return canonical_json(content) + b"\n"

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: for another schema, or tables that do not fit the levels and tops.
        """
        value = json.loads(content)
        if value.get("schema") != SCHEMA:
            raise ValueError(f"ranking table of schema {SCHEMA} is expected, found {value.get('schema')!r}")
        levels, ks = tuple(value["levels"]), tuple(value["ks"])
        rows, tops, full = (np.array(value[name], np.int64) for name in ("rows", "tops", "full"))
        exposure = np.array(value["exposure"], np.float64)
        shapes = {"rows": rows.shape, "tops": tops.shape, "full": full.shape, "exposure": exposure.shape}
        few = (len(levels),)
        if shapes != {"rows": few, "tops": (len(ks), *few), "full": (len(ks),), "exposure": few}:
            raise ValueError(
                f"tables for {len(levels)} levels and {len(ks)} tops are expected, found {shapes}"
            )
        desired = tuple(value["desired"])
        tables = (rows, tops, full, exposure)
        return cls(value["attribute"], levels, desired, ks, value["lists"], *tables, value["ndkl"])


def _shares(desired: Mapping[str, float]) -> dict[str, float]:
    wrong = [level for level, share in desired.items() if not 0 < share <= 1]
    if wrong or abs(sum(desired.values()) - 1) > TOLERANCE:
        raise ValueError(
            f"desired: shares above 0 that sum to 1 are expected, found a sum of {sum(desired.values()):.6g}"
            + (f" and none or a wrong one for {', '.join(wrong)}" if wrong else "")
        )
    return {level: float(desired[level]) for level in sorted(desired, key=natural_order)}
