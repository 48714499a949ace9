"""Any column as small integer codes with named levels, read in place where it already is one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.fairness.spelling import as_column, spelled

UNKNOWN = "unknown"
"""The level of missing group values."""
MAXIMUM_LEVELS = 1_000
"""More levels than this in a column are no groups or classes."""
NARROW = 64
"""Categories that lie closer than this in polars' common pool are counted as they are numbered there."""


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
    """Encode a column: `Codes` as they are, integers, booleans and categories in place, else by names.

    Missing are null, None, pandas' NA and NaT (also as NaN in its columns of text and of categories) and
    the empty string. Any other NaN is no missing group: it is a number that could not be computed, and is
    refused.

    Args:
        name: what the column is called, for messages.
        values: `Codes`, a polars or pandas Series, a numpy array or a sequence of strings, numbers or
            booleans; categories of polars, pandas and Arrow.
        missing: the level of missing values; without it a missing value is an error.

    Raises:
        ValueError: for missing values where none may be, NaN, a level called like missing ones, codes out of
            range, or too many levels.
    """
    if isinstance(values, Codes):
        return _checked(name, values)
    column = as_column(name, values)
    if isinstance(column, np.ndarray):
        return _from_integers(name, column)
    if column.dtype.is_nested() or column.dtype == pl.Object:
        raise ValueError(f"{name}: one value a row is expected, found {column.dtype}")
    if column.null_count():
        return _with_missing(name, column, missing)
    return _from_series(name, column, missing)


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


def _from_series(name: str, values: pl.Series, missing: str | None) -> Codes:
    if values.dtype.is_integer() or values.dtype == pl.Boolean:
        return _from_integers(name, values.to_numpy())
    if isinstance(values.dtype, pl.Enum) and "" not in values.dtype.categories:
        return _few(name, Codes(values.to_physical().to_numpy(), values.dtype.categories.to_list()))
    if values.dtype == pl.Categorical and len(values):
        return _from_categories(name, values, missing)
    return _from_names(name, values, missing)


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


def _from_categories(name: str, values: pl.Series, missing: str | None) -> Codes:
    """Categories share one pool of numbers with every other column of the process."""
    codes = values.to_physical()
    array = codes.to_numpy()
    low, high = int(array.min()), int(array.max())
    if high - low >= NARROW:
        return _from_names(name, values, missing)
    numbers = pl.Series(np.arange(low, high + 1, dtype=array.dtype))
    levels = numbers.cat.to(values.dtype).cast(pl.String).to_list()
    if "" in levels:
        return _from_names(name, values, missing)
    return Codes(array, levels, low, declared=False)


def _with_missing(name: str, values: pl.Series, missing: str | None) -> Codes:
    """The values that are there, encoded, and a level more for those that are not."""
    if missing is None:
        raise ValueError(f"{name}: {values.null_count()} of {len(values)} values are missing")
    there = encode(name, values.drop_nulls(), missing=missing)
    levels = list(there.levels)
    if missing not in levels:
        levels.append(missing)
    elif (there.codes == there.first + levels.index(missing)).any():
        raise ValueError(
            f"{name}: a level is called {missing!r}, as its {values.null_count()} missing values would be: "
            "rename the level, or fill in the missing values"
        )
    codes = np.full(len(values), levels.index(missing), np.min_scalar_type(len(levels)))
    codes[values.is_not_null().to_numpy()] = there.codes.astype(np.int64) - there.first
    return _few(name, Codes(codes, levels, declared=there.declared))


def _from_names(name: str, values: pl.Series, missing: str | None) -> Codes:
    if values.dtype.is_float() and values.is_nan().any():
        wrong = f"{name}: {values.is_nan().sum()} of {len(values)} values are missing (NaN)"
        advice = ": is it a number that needs `bins`? Else mark missing values as null (None)"
        raise ValueError(wrong + (advice if missing is not None else ""))
    found = values.unique()
    if len(found) > MAXIMUM_LEVELS:
        raise ValueError(_too_many(name, len(found)))
    names = spelled(found)
    if names.null_count():
        text = values.cast(pl.String)
        return _with_missing(name, text.set(text == "", None), missing)
    levels = sorted(names.to_list(), key=natural_order)
    position = [levels.index(level) for level in names]
    if values.dtype in {pl.String, pl.Categorical}:
        return Codes(values.cast(pl.Enum(levels)).to_physical().to_numpy(), levels, declared=False)
    codes = values.replace_strict(found, position, return_dtype=pl.UInt16)
    return Codes(codes.to_numpy(), levels, declared=False)
