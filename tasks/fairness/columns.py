"""Any column as small integer codes with named levels, read in place where it already is one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

UNKNOWN = "unknown"
"""The level of missing group values."""
MAXIMUM_LEVELS = 1_000
"""More levels than this in a column are no groups or classes."""


@dataclass(frozen=True, eq=False)
class Codes:
    """A column as integer codes (dictionary encoding).

    Attributes:
        codes: shape [rows]; ``codes[i] - first`` is the position of row i's level.
        levels: the names, each once.
        first: the code of ``levels[0]``.
        declared: whether all levels are kept, also those that no row has; else only those that occur.
    """

    codes: NDArray[Any]
    levels: Sequence[str]
    first: int = 0
    declared: bool = True

    def __len__(self) -> int:
        return len(self.codes)


def natural_order(level: str) -> tuple[Any, ...]:
    """Sort key: numbers within names by value, `unknown` last."""
    pieces = re.split(r"(\d+)", level)
    return (level == UNKNOWN, tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in pieces if p))


def encode(name: str, values: Any, *, missing: str | None = None) -> Codes:
    """Encode a column: `Codes` as they are, integers and booleans in place, else by their names.

    Args:
        name: what the column is called, for messages.
        values: `Codes`, a polars Series, a numpy array or a sequence of strings, numbers or booleans.
        missing: the level of missing values; without it a missing value is an error.

    Raises:
        ValueError: for missing values where none may be, codes out of range, or too many levels.
    """
    if isinstance(values, Codes):
        return _checked(name, values)
    if not isinstance(values, pl.Series):
        array = np.asarray(values)
        if array.ndim != 1:
            raise ValueError(f"{name}: one value a row is expected, found an array of shape {array.shape}")
        if array.dtype.kind in "iub":
            return _from_integers(name, array)
        values = _as_series(array)
    if not values.null_count() and (values.dtype.is_integer() or values.dtype == pl.Boolean):
        return _from_integers(name, values.to_numpy())
    if isinstance(values.dtype, pl.Enum) and not values.null_count():
        return _few(name, Codes(values.to_physical().to_numpy(), values.dtype.categories.to_list()))
    return _from_names(name, _spelled(values), missing)


def _checked(name: str, column: Codes) -> Codes:
    if len(set(column.levels)) != len(column.levels):
        raise ValueError(f"{name}: a level is listed twice")
    last = column.first + len(column.levels) - 1
    if len(column) and not (column.first <= int(column.codes.min()) and int(column.codes.max()) <= last):
        found = f"{column.codes.min()} to {column.codes.max()}"
        raise ValueError(f"{name}: codes {column.first} to {last} are expected, found {found}")
    return _few(name, column)


def _few(name: str, column: Codes) -> Codes:
    if len(column.levels) > MAXIMUM_LEVELS:
        raise ValueError(_too_many(name, len(column.levels)))
    return column


def _too_many(name: str, levels: int) -> str:
    return (
        f"{name}: at most {MAXIMUM_LEVELS} levels are expected, found {levels}: "
        "is it a number that needs `bins`, or an identifier?"
    )


def _from_integers(name: str, array: NDArray[Any]) -> Codes:
    """Integers in a narrow range address their counts directly; levels are those that occur."""
    if array.dtype.kind == "b":
        return Codes(array.view(np.uint8), ("False", "True"), declared=False)
    if not len(array):
        return Codes(array, (), declared=False)
    low, high = int(array.min()), int(array.max())
    if high - low < MAXIMUM_LEVELS:
        return Codes(array, [str(value) for value in range(low, high + 1)], low, declared=False)
    found, codes = np.unique(array, return_inverse=True)
    return _few(name, Codes(codes, [str(value) for value in found], declared=False))


def _as_series(array: NDArray[Any]) -> pl.Series:
    if array.dtype.kind == "O":
        missing = [value is None or value != value for value in array]  # noqa: PLR0124 - NaN differs from itself
        return pl.Series(
            [None if gone else str(v) for v, gone in zip(array, missing, strict=True)], dtype=pl.String
        )
    return pl.Series(array)


def _spelled(values: pl.Series) -> pl.Series:
    """Names of the values: 1.0 is "1", booleans are "True" and "False", NaN is missing."""
    if values.dtype.is_float():
        values = values.fill_nan(None)
        whole = values.drop_nulls()
        if bool((whole == whole.round()).all()) and bool((whole.abs() < 2**53).all()):
            values = values.cast(pl.Int64)
    if values.dtype == pl.Boolean:
        return values.replace_strict([False, True], ["False", "True"], return_dtype=pl.String)
    return values.cast(pl.String)


def _from_names(name: str, values: pl.Series, missing: str | None) -> Codes:
    if values.null_count():
        if missing is None:
            raise ValueError(f"{name}: {values.null_count()} of {len(values)} values are missing")
        values = values.fill_null(missing)
    found = values.unique()
    if len(found) > MAXIMUM_LEVELS:
        raise ValueError(_too_many(name, len(found)))
    levels = sorted(found.to_list(), key=natural_order)
    return Codes(values.cast(pl.Enum(levels)).to_physical().to_numpy(), levels, declared=False)
