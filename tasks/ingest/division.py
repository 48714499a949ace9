"""Which side a row falls on: by a keyed hash of its unit, so that no version moves it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.errors import Refusal
from tasks.ingest.described import typed_label, unit_of
from tasks.plan.judgement import Judgement

TEST_KEY = "assay/test"


def held_out_rows(units: Iterable[str], share: float) -> NDArray[np.bool_]:
    """Mark the rows of the test part, where the data has no division of its own.

    The key is fixed: neither a seed nor other rows move a unit to the other side, so a test
    unit stays one in every later version of the data.

    Args:
        units: the sampling unit of each row, or its row digest.
        share: expected share of units in the test part, in (0, 1).

    Returns:
        One bool for each row.
    """
    return _below(units, share, TEST_KEY)


def tested_rows(frame: pl.DataFrame, judgement: Judgement) -> pl.Series:
    """Mark the rows of the test part of data that the plan divides: by values, or by a share of units.

    Args:
        frame: every row, with ``row_digest`` and the columns that the plan names.
        judgement: its test set says how; a stratified share is taken of each class's units, in the order
            of their keyed hashes, the class of a unit being that of its first row.

    Raises:
        Refusal: for a column that the data lacks.
    """
    test_set, label = judgement.test_set, judgement.data.label
    wanted = [*test_set.where, *([label.column] if test_set.stratified else [])]
    if lacking := [name for name in wanted if name not in frame.columns]:
        raise Refusal(f"the data can't be divided: it has no column {', '.join(lacking)}")
    if test_set.where:
        told = [pl.col(name).cast(pl.String).is_in(values) for name, values in test_set.where.items()]
        return frame.select(pl.all_horizontal(told).fill_null(value=False).alias("tested")).to_series()
    units = frame["row_digest"]
    if judgement.unit in frame.columns:
        units = frame.select(unit_of(judgement)).to_series().fill_null(units)
    share = test_set.fraction or 0.0
    if not test_set.stratified:
        return pl.Series(held_out_rows(units, share), dtype=pl.Boolean)
    classes = frame.select(typed_label(label).fill_null("").alias("class"), unit=units)
    keyed = classes.unique("unit", keep="first", maintain_order=True)
    keyed = keyed.with_columns(place=pl.Series(_numbers(keyed["unit"], TEST_KEY), dtype=pl.UInt64))
    rank = (pl.col("place").rank("ordinal") - 1).over("class")
    first = keyed.with_columns(tested=rank < (pl.len().over("class") * share).round())
    return classes.join(first.select("unit", "tested"), on="unit", how="left", maintain_order="left")[
        "tested"
    ]


def validation_rows(units: Iterable[str], share: float, seed: int) -> NDArray[np.bool_]:
    """Mark the rows of the training part that are kept for validation.

    Duplicated rows and rows of one unit fall on one side.

    Args:
        units: the sampling unit of each training row, or its row digest.
        share: expected share of units kept for validation, in (0, 1).
        seed: of the recipe; another seed gives another division.

    Returns:
        One bool for each row.
    """
    return _below(units, share, f"assay/validation/{seed}")


def _below(units: Iterable[str], share: float, key: str) -> NDArray[np.bool_]:
    """Compare the first 64 bits of each unit's keyed SHA-256 with the share."""
    bound = int(share * 2**64)
    return np.fromiter((number < bound for number in _numbers(units, key)), dtype=np.bool_)


def _numbers(units: Iterable[str], key: str) -> Iterator[int]:
    keyed = hashlib.sha256(key.encode() + b"\0")
    for unit in units:
        digest = keyed.copy()
        digest.update(unit.encode())
        yield int.from_bytes(digest.digest()[:8], "big")
