"""Columns of any library in the two forms that are counted: integers in place, or a polars Series."""

from __future__ import annotations

from math import isnan
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray


def as_column(name: str, values: Any) -> pl.Series | NDArray[Any]:
    """A column as it can be counted, without a copy where it already can.

    Args:
        name: what the column is called, for messages.
        values: a polars Series, a numpy array, a pandas Series or Categorical, or a sequence.

    Returns:
        An array of integers or booleans, or a Series in which every missing value is null but NaN among
        floats, which stays.

    Raises:
        ValueError: for more than one dimension, or values of two types that are spelt alike.
    """
    if isinstance(values, pl.Series):
        return values
    if hasattr(values, "isna"):  # pandas, which the audit's core does not import
        values = _from_pandas(values)
    elif not isinstance(values, np.ndarray):
        try:
            return pl.Series(name, values, strict=True)
        except TypeError:  # of several types
            values = np.array([*values, None], object)[:-1]
    array: NDArray[Any] = values
    if array.ndim != 1:
        raise ValueError(f"{name}: one value a row is expected, found an array of shape {array.shape}")
    if array.dtype.kind in "iub":
        return array
    return _from_objects(name, array) if array.dtype.kind == "O" else pl.Series(name, array)


def _from_pandas(values: Any) -> NDArray[Any]:
    gone = np.asarray(values.isna())
    if getattr(values.dtype, "kind", "O") == "f" and isinstance(values.dtype, np.dtype):
        return np.asarray(values)
    plain = np.asarray(values, dtype=object) if gone.any() else np.asarray(values)
    if gone.any():
        plain = plain.copy()
        untyped = values.dtype == object  # of text and categories NaN is pandas' own mark, like its NA
        plain[[i for i in np.flatnonzero(gone) if not (untyped and isinstance(plain[i], float))]] = None
    return plain


def _from_objects(name: str, array: NDArray[Any]) -> pl.Series:
    values = array.tolist()
    if nan := sum(isinstance(value, float) and isnan(value) for value in values):
        raise ValueError(
            f"{name}: {nan} of {len(values)} values are missing (NaN), a number that could not be computed: "
            "mark missing values as null (None)"
        )
    try:
        return pl.Series(name, values, strict=True)
    except TypeError:
        kinds = {(type(value), str(value)) for value in values if value is not None}
    spelled = [text for _, text in kinds]
    if twice := sorted({text for text in spelled if spelled.count(text) > 1}):
        raise ValueError(f"{name}: values of two types are spelt alike: {', '.join(twice)}")
    return pl.Series(name, [None if value is None else str(value) for value in values], dtype=pl.String)


def name_of(value: Any) -> str:
    """The name of one value, as `spelled` gives it."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def spelled(values: pl.Series) -> pl.Series:
    """Names of values: booleans are "True" and "False", whole numbers have no point, "" is missing."""
    if values.dtype == pl.Boolean:
        return values.replace_strict([False, True], ["False", "True"], return_dtype=pl.String)
    if values.dtype.is_float():
        # One by one, not by column: a part of a file must spell 1.0 as every other part does.
        return (values.fill_nan(None) + 0.0).cast(pl.String).str.strip_suffix(".0")
    names = values.cast(pl.String)
    return names.set(names == "", None)
