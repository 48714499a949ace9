"""Counting rows into cells: one pass over small integer codes, in pieces that stay in the cache."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.fairness.columns import Codes

Ints = NDArray[np.int64]

PIECE = 1 << 17
"""Rows combined at once: their codes and numpy's copy as 8-byte integers fit the second-level cache."""


def count(columns: Sequence[Codes]) -> Ints:
    """Rows of every cell of the columns' crossing.

    Args:
        columns: at least one, all of the same length, with codes in range.

    Returns:
        Counts, shape [levels of each column].
    """
    shape = [max(1, len(column.levels)) for column in columns]
    cells = prod(shape)
    dtype = np.min_scalar_type(cells)
    counts = np.zeros(cells, np.int64)
    # Arithmetic modulo 2^bits: intermediate wrap-around cancels, because the result fits.
    first = 0
    for column, size in zip(columns, shape, strict=True):
        first = first * size + column.first
    offset = np.array(first % (1 << 8 * dtype.itemsize), dtype)
    for start in range(0, len(columns[0]), PIECE):
        code = _combined([column.codes[start : start + PIECE] for column in columns], shape, dtype)
        code -= offset
        counts += np.bincount(code, minlength=cells)
    return counts.reshape(shape)


def _combined(pieces: Sequence[NDArray[Any]], shape: Sequence[int], dtype: np.dtype[Any]) -> NDArray[Any]:
    code = pieces[0].astype(dtype)
    for piece, size in zip(pieces[1:], shape[1:], strict=True):
        code *= np.array(size, dtype)
        np.add(code, piece, out=code, casting="unsafe")
    return code


def arrange(counts: Ints, old: Sequence[Sequence[str]], new: Sequence[Sequence[str]]) -> Ints:
    """Move counts to other levels along every axis; levels that the old counts lack get 0.

    Args:
        counts: shape [levels of each old axis].
        old: names along each axis.
        new: names wanted; an old level that is missing here must have no counts.

    Returns:
        Counts, shape [levels of each new axis].
    """
    for axis, (have, want) in enumerate(zip(old, new, strict=True)):
        if tuple(have) == tuple(want):
            continue
        position: dict[str, int] = {level: i for i, level in enumerate(have)}
        absent = len(have)
        empty = np.zeros((*counts.shape[:axis], 1, *counts.shape[axis + 1 :]), np.int64)
        index = [position.get(level, absent) for level in want]
        counts = np.concatenate([counts, empty], axis=axis).take(index, axis=axis)
    return counts
