"""Counting rows into cells: one pass over small integer codes, in pieces that stay in the cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tasks.fairness.columns import Codes

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Number = TypeVar("Number", np.int64, np.float64)

PIECE = 1 << 17
"""Rows combined at once: their codes and numpy's copy as 8-byte integers fit the second-level cache."""


def count(columns: Sequence[Codes]) -> Ints:
    """Rows of every cell of the columns' crossing.

    Args:
        columns: at least one, all of the same length, with codes in range.

    Returns:
        Counts, shape [levels of each column].
    """
    shape = _shape(columns)
    counts = np.zeros(prod(shape), np.int64)
    for _, code in _pieces(columns, shape):
        counts += np.bincount(code, minlength=len(counts))
    return counts.reshape(shape)


def weigh(columns: Sequence[Codes], weight: Floats) -> tuple[Floats, Floats]:
    """Sums of weight and of squared weight of every cell of the columns' crossing.

    Args:
        columns: as in `count`.
        weight: of each row, shape [rows].

    Returns:
        Two arrays of shape [levels of each column]; sums of floats, equal up to rounding for other orders
        of the rows.
    """
    shape = _shape(columns)
    sums, squares = np.zeros(prod(shape)), np.zeros(prod(shape))
    for start, code in _pieces(columns, shape):
        piece = weight[start : start + PIECE]
        sums += np.bincount(code, piece, minlength=len(sums))
        squares += np.bincount(code, piece * piece, minlength=len(sums))
    return sums.reshape(shape), squares.reshape(shape)


def cell_of_each_row(columns: Sequence[Codes]) -> Ints:
    """Flat index into the columns' crossing, shape [rows]."""
    pieces = [code.astype(np.int64) for _, code in _pieces(columns, _shape(columns))]
    return np.concatenate(pieces) if pieces else np.zeros(0, np.int64)


def _shape(columns: Sequence[Codes]) -> list[int]:
    return [max(1, len(column.levels)) for column in columns]


def _pieces(columns: Sequence[Codes], shape: Sequence[int]) -> Iterator[tuple[int, NDArray[Any]]]:
    """First row of each piece, and the cells of its rows."""
    dtype = np.min_scalar_type(prod(shape))
    # Arithmetic modulo 2^bits: intermediate wrap-around cancels, because the result fits.
    first = 0
    for column, size in zip(columns, shape, strict=True):
        first = first * size + column.first
    offset = np.array(first % (1 << 8 * dtype.itemsize), dtype)
    for start in range(0, len(columns[0]), PIECE):
        code = _combined([column.codes[start : start + PIECE] for column in columns], shape, dtype)
        code -= offset
        yield start, code


def _combined(pieces: Sequence[NDArray[Any]], shape: Sequence[int], dtype: np.dtype[Any]) -> NDArray[Any]:
    code = pieces[0].astype(dtype)
    for piece, size in zip(pieces[1:], shape[1:], strict=True):
        code *= np.array(size, dtype)
        np.add(code, piece, out=code, casting="unsafe")
    return code


def arrange(
    counts: NDArray[Number], old: Sequence[Sequence[str]], new: Sequence[Sequence[str]]
) -> NDArray[Number]:
    """Move counts to other levels along every axis; levels that the old counts lack get 0.

    Args:
        counts: shape [levels of each old axis].
        old: names along each axis.
        new: names wanted; an old level that is missing here must have no counts.

    Returns:
        Counts, shape [levels of each new axis].
    """
    moved: NDArray[Any] = counts
    pairs = list(zip(old, new, strict=True))
    for axis, (have, want) in enumerate(pairs):
        if tuple(have) == tuple(want):
            continue
        position: dict[str, int] = {level: i for i, level in enumerate(have)}
        absent = len(have)
        shape = list(moved.shape)
        shape[axis] = 1
        empty = np.zeros(shape, moved.dtype)
        index = [position.get(level, absent) for level in want]
        moved = np.concatenate([moved, empty], axis=axis).take(index, axis=axis)
    return moved


def places(old: Sequence[Sequence[str]], new: Sequence[Sequence[str]]) -> Ints:
    """New flat index of each cell when levels move along their axes; -1 where a level is left out.

    Args:
        old: names along each axis.
        new: names wanted along each axis.

    Returns:
        Shape [cells of the old axes].
    """
    flat = np.zeros((), np.int64)
    lost = np.zeros((), bool)
    for have, want in zip(old, new, strict=True):
        position = {level: i for i, level in enumerate(want)}
        index = np.array([position.get(level, -1) for level in have], np.int64)
        flat = flat[..., None] * len(want) + index
        lost = lost[..., None] | (index < 0)
    return np.where(lost, -1, flat).ravel()


def summed(table: NDArray[Number], axes: Sequence[int]) -> NDArray[Number]:
    """Sum over all axes but these; their order becomes the order of the table's."""
    left = tuple(axis for axis in range(table.ndim) if axis not in axes)
    kept = sorted(axes)
    sums: NDArray[Number] = table.sum(axis=left)
    return np.ascontiguousarray(sums.transpose([kept.index(axis) for axis in axes]))


def marginal_places(shape: Sequence[int], axes: Sequence[int]) -> Ints:
    """Flat index among the `summed` cells of each cell, shape [cells]."""
    flat = np.zeros([1] * len(shape), np.int64)
    for axis in axes:
        along = [-1 if i == axis else 1 for i in range(len(shape))]
        flat = flat * shape[axis] + np.arange(shape[axis]).reshape(along)
    return np.broadcast_to(flat, shape).ravel()
