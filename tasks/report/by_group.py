"""How each group fares, class by class or in the size of errors: tables from the cube alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tasks.evaluate.records import Evaluated
from tasks.fairness.counts import Counts, read_counts
from tasks.fairness.cube import Cube
from tasks.fairness.regression import RegressionTable

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Tables: TypeAlias = Sequence[tuple[str, list[list[str]]]]
"""Headings, each with rows of cells, the head first."""
ALL = "all rows"
MEASURES = ("recall", "precision", "F1")
ERRORS = ("mean prediction", "mean signed error", "mean absolute error", "root mean squared error")


@dataclass(frozen=True, eq=False)
class ByClass:
    """Recall, precision and F1 of each class in each group.

    Attributes:
        attribute: what the groups are of; "" for all rows alone.
        groups: their names, the last one `ALL`.
        classes: the classes.
        rows: rows of each class, shape [groups, classes].
        values: shape [measures, groups, classes], in the order of `MEASURES`; nan where undefined.
    """

    attribute: str
    groups: tuple[str, ...]
    classes: tuple[str, ...]
    rows: Ints
    values: Floats


@dataclass(frozen=True, eq=False)
class ByError:
    """Means of predictions and errors in each group.

    Attributes:
        attribute: what the groups are of.
        groups: their names, the last one `ALL`.
        rows: of each group.
        values: shape [4, groups], in the order of `ERRORS`, in the label's unit; nan without rows.
        half: half the width of the normal 95% interval of each, likewise; nan where none is given.
    """

    attribute: str
    groups: tuple[str, ...]
    rows: Ints
    values: Floats
    half: Floats


def by_class(counts: Cube) -> Iterator[ByClass]:
    """One table an attribute, or one of all rows where there is none; for more than two classes."""
    if len(counts.labels) <= 2:
        return
    for attribute in counts.axes or ("",):
        attributes = (attribute,) if attribute else ()
        table = counts.marginal(attributes).counts.reshape(-1, len(counts.labels), len(counts.labels))
        names = counts.axes[attribute] if attribute else ()
        stacked = np.concatenate([table, table.sum(axis=0, keepdims=True)]) if attribute else table
        yield _by_class(attribute, (*names, ALL), counts.labels, stacked)


def _by_class(attribute: str, groups: Sequence[str], classes: Sequence[str], table: Ints) -> ByClass:
    right = table.diagonal(axis1=1, axis2=2)
    true, told = table.sum(axis=2), table.sum(axis=1)
    values = np.stack([_share(right, true), _share(right, told), _share(2 * right, true + told)])
    return ByClass(attribute, tuple(groups), tuple(classes), true, values)


def _share(part: Ints, whole: Ints) -> Floats:
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)


def by_error(table: RegressionTable) -> ByError:
    """The table of one attribute."""
    sums = np.concatenate([table.sums, table.sums.sum(axis=0, keepdims=True)])
    rows = np.append(table.rows, table.rows.sum())
    means = np.where(rows[:, None] > 0, sums / np.maximum(rows, 1)[:, None], np.nan)
    prediction, residual, absolute, square = means.T
    spread = np.sqrt(np.maximum(square - np.stack([residual, absolute]) ** 2, 0))
    half = np.full((len(ERRORS), len(rows)), np.nan)
    half[1:3] = 1.96 * spread / np.sqrt(np.maximum(rows, 1))
    values = np.stack([prediction, residual, absolute, np.sqrt(square)])
    return ByError(table.attribute, (*table.levels, ALL), rows, values, half)


def tables(records: Mapping[str, Any], folder: Path) -> Tables:
    """Tables for the front page of how each group of the test part fares; none for two classes.

    Args:
        records: step -> record, as in the dossier.
        folder: the dossier, which holds cube.json.
    """
    opened = records.get("opening")
    if not isinstance(opened, Evaluated):
        return ()
    return list(markdown(read_counts((folder / opened.cube.path).read_bytes())))


def markdown(counts: Counts) -> Iterator[tuple[str, list[list[str]]]]:
    """Each table as a heading and its rows of cells, the head first."""
    if isinstance(counts, Cube):
        for found in by_class(counts):
            by = f" and {found.attribute}" if found.attribute else ""
            yield f"Recall, precision and F1 by class{by}", list(_class_rows(found))
    else:
        for table in counts.tables.values():
            yield f"Errors by {table.attribute}", list(_error_rows(by_error(table)))


def _class_rows(found: ByClass) -> Iterator[list[str]]:
    yield [found.attribute or "rows", *found.classes]
    for g, group in enumerate(found.groups):
        yield [group, *(_cell(found, g, k) for k in range(len(found.classes)))]


def _cell(found: ByClass, g: int, k: int) -> str:
    shown = " / ".join(_number(value, 2) for value in found.values[:, g, k].tolist())
    return f"{shown} (n={found.rows[g, k]:,})"


def _error_rows(found: ByError) -> Iterator[list[str]]:
    yield [found.attribute, "n", *ERRORS]
    for g, group in enumerate(found.groups):
        yield [group, f"{found.rows[g]:,}", *(_number(value, 3) for value in found.values[:, g].tolist())]


def _number(value: float, decimals: int) -> str:
    return "none" if np.isnan(value) else f"{value:.{decimals}f}"
