"""What differs between a number on record and the same number rebuilt, named to the row, cell and key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from tasks.fairness.counts import Counts
from tasks.fairness.cube import Cube

SHOWN = 10  # differences named one by one; the rest are counted
RELATIVE = 1e-9  # a recomputed interval may differ in its last bits on another processor


def changed_rows(recorded: pl.DataFrame, rebuilt: pl.DataFrame, tolerance: float) -> list[str]:
    """Rows whose values, prediction or score differ.

    Args:
        recorded: row_id, row_digest, score (of classes) and prediction on record.
        rebuilt: the same, predicted again.
        tolerance: of scores, and of predicted numbers as a share of them; classes and digests must be equal.
    """
    if len(recorded) != len(rebuilt):
        return [f"{len(recorded)} rows on record, {len(rebuilt)} rebuilt"]
    both = recorded.hstack(rebuilt.select(pl.all().name.suffix("_rebuilt")))
    differs = both.filter(
        (pl.col("row_id") != pl.col("row_id_rebuilt"))
        | (pl.col("row_digest") != pl.col("row_digest_rebuilt"))
        | (_other_classes(tolerance) if "score" in recorded.columns else _other_numbers(tolerance))
    )
    return shortened([_row_sentence(row) for row in differs.iter_rows(named=True)])


def _other_classes(tolerance: float) -> pl.Expr:
    score = (pl.col("score") - pl.col("score_rebuilt")).abs() > tolerance
    return score | (pl.col("prediction") != pl.col("prediction_rebuilt"))


def _other_numbers(tolerance: float) -> pl.Expr:
    number = pl.col("prediction").cast(pl.Float64)
    apart = (number - pl.col("prediction_rebuilt")).abs()
    return ~(apart <= tolerance * pl.max_horizontal(number.abs(), pl.lit(1.0)))


def changed_counts(recorded: Counts, rebuilt: Counts) -> list[str]:
    """What differs between the counts on record and those of the same rows again."""
    if isinstance(recorded, Cube) and isinstance(rebuilt, Cube):
        return changed_cells(recorded, rebuilt)
    return changed_values(json.loads(recorded.to_json()), json.loads(rebuilt.to_json()))


def changed_cells(recorded: Cube, rebuilt: Cube) -> list[str]:
    """Cells whose counts differ; axes, classes or score bins that do."""
    if dict(recorded.axes) != dict(rebuilt.axes) or recorded.labels != rebuilt.labels:
        return ["other attributes, levels or classes than the rows have"]
    names = [*recorded.axes.values(), recorded.labels, recorded.labels]
    places = np.argwhere(recorded.counts != rebuilt.counts)
    found = [
        f"cell {' x '.join(names[axis][index] for axis, index in enumerate(place[:-2]))}, "
        f"true {names[-2][place[-2]]}, predicted {names[-1][place[-1]]}: "
        f"{recorded.counts[tuple(place)]} on record, {rebuilt.counts[tuple(place)]} recounted"
        for place in places
    ]
    if not found and recorded != rebuilt:
        found = ["the histograms of scores, the weights or the units differ"]
    return shortened(found)


def changed_values(recorded: Any, rebuilt: Any) -> list[str]:
    """Leaves of two JSON values that differ, each with its path."""
    return shortened(list(_differences("", recorded, rebuilt)))


def _differences(path: str, recorded: Any, rebuilt: Any) -> Iterator[str]:
    if isinstance(recorded, dict) and isinstance(rebuilt, dict):
        for key in sorted({*recorded, *rebuilt}):
            yield from _differences(f"{path}.{key}" if path else key, recorded.get(key), rebuilt.get(key))
    elif isinstance(recorded, list) and isinstance(rebuilt, list) and len(recorded) == len(rebuilt):
        for index, pair in enumerate(zip(recorded, rebuilt, strict=True)):
            yield from _differences(f"{path}[{index}]", *pair)
    elif not _equal(recorded, rebuilt):
        yield f"{path}: {recorded!r} on record, {rebuilt!r} rebuilt"


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return bool(np.isclose(one, other, rtol=RELATIVE, atol=1e-12))
    return bool(one == other)


def _row_sentence(row: dict[str, Any]) -> str:
    where = f"row {row['row_id']}"
    if row["row_digest"] != row["row_digest_rebuilt"]:
        return f"{where}: the row's values are not the ones that were judged"
    if "score" in row and row["prediction"] != row["prediction_rebuilt"]:
        return f"{where}: {row['prediction']!r} on record, {row['prediction_rebuilt']!r} predicted again"
    if "score" not in row:
        return f"{where}: {row['prediction']:.9g} on record, {row['prediction_rebuilt']:.9g} predicted again"
    return f"{where}: score {row['score']:.9g} on record, {row['score_rebuilt']:.9g} predicted again"


def shortened(found: list[str]) -> list[str]:
    """The first differences, and how many more there are."""
    rest = len(found) - SHOWN
    return found if rest <= 0 else [*found[:SHOWN], f"and {rest} more"]
