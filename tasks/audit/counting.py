"""Count a file into a cube: one streamed pass to see the values, one to count them, in batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import polars as pl

from tasks.audit.marks import group_notes, group_problems, nameless
from tasks.audit.records import Columns
from tasks.audit.source import column_problems, open_table, short_rows, unreadable
from tasks.audit.spelling import Spelling, class_problems, spell, spelling_problems
from tasks.errors import PlanError
from tasks.fairness.columns import MAXIMUM_LEVELS, natural_order
from tasks.fairness.cube import Cube
from tasks.fairness.spelling import spelled

BATCH = 1_000_000
"""Rows counted at once; a file is never held whole."""
EDGES = tuple(i / 200 for i in range(1, 200))
"""Of the score's bins: a grid that depends on no data, so that no outcome could have chosen it."""


@dataclass(frozen=True, eq=False)
class Counted:
    """A file, counted.

    Attributes:
        cube: the counts.
        notes: what was done to spellings.
    """

    cube: Cube
    notes: tuple[str, ...]


def count_file(path: Path, columns: Columns, positive: str | None, *, needed: bool = False) -> Counted:
    """Count the rows of a CSV or Parquet file.

    Args:
        path: the file.
        columns: which column is what.
        positive: the class whose rates are compared; 1 or True of two classes when None.
        needed: whether there must be such a class, also of three and more.

    Raises:
        PlanError: with every problem of the file, its columns and their values.
    """
    table = open_table(path)
    if problems := list(column_problems(table, columns)):
        raise PlanError(str(path), problems)
    try:
        seen = _look(table, columns)
        if seen.last_missing and (problems := list(short_rows(path))):
            raise PlanError(str(path), problems)
        spelling = _checked(path, columns, seen, positive, needed=needed)
        cube = _count(table, columns, seen, spelling)
        return Counted(cube, (*spelling.notes, *group_notes({n: seen.names(n) for n in columns.groups})))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise unreadable(path, error) from error


@dataclass(frozen=True, eq=False)
class _Seen:
    """What the first pass saw: rows, values of each column of names, and figures of each of numbers.

    Attributes:
        rows: of the file.
        values: column -> value as text -> its name, as the cube spells it.
        missing: column -> missing values.
        numbers: column -> smallest and largest.
        last_missing: missing values of the file's last column, where rows with too few fields have theirs.
        nan: group column -> values that are NaN, which is no mark of a missing one.
    """

    rows: int
    values: dict[str, dict[str, str]]
    missing: dict[str, int]
    numbers: dict[str, tuple[float | None, float | None]]
    last_missing: int
    nan: dict[str, int]

    def names(self, column: str) -> list[str]:
        """The names that occur, in order."""
        return sorted(set(self.values[column].values()), key=natural_order)


def _look(table: pl.LazyFrame, columns: Columns) -> _Seen:
    named = [columns.label, columns.prediction, *columns.groups]
    numeric = [column for column in (columns.score, columns.weight) if column is not None]
    schema = table.collect_schema()
    asked = [pl.len().alias("rows"), pl.col(schema.names()[-1]).null_count().alias("last missing")]
    fractions = [column for column in columns.groups if schema[column].is_float()]
    asked += [pl.col(column).is_nan().sum().alias(f"nan {i}") for i, column in enumerate(fractions)]
    for i, column in enumerate(named):
        value = _value(table, column)
        asked += [value.unique().implode().alias(f"values {i}"), value.null_count().alias(f"missing {i}")]
    for i, column in enumerate(numeric):
        number = _number(column)
        asked += [
            number.min().alias(f"low {i}"),
            number.max().alias(f"high {i}"),
            number.null_count().alias(f"absent {i}"),
        ]
    if columns.unit is not None:
        asked.append(nameless(table, columns.unit).sum().alias("units missing"))
    seen = table.select(asked).collect(engine="streaming")
    row = seen.select(pl.exclude("^values .*$")).row(0, named=True)
    values = {column: _named(seen[f"values {i}"][0].drop_nulls()) for i, column in enumerate(named)}
    missing = {column: row[f"missing {i}"] for i, column in enumerate(named)}
    missing |= {column: row[f"absent {i}"] for i, column in enumerate(numeric)}
    if columns.unit is not None:
        missing[columns.unit] = row["units missing"]
    numbers = {column: (row[f"low {i}"], row[f"high {i}"]) for i, column in enumerate(numeric)}
    nan = {column: row[f"nan {i}"] for i, column in enumerate(fractions)}
    return _Seen(row["rows"], values, missing, numbers, row["last missing"], nan)


def _named(values: pl.Series) -> dict[str, str]:
    return dict(zip(values.cast(pl.String).to_list(), spelled(values).to_list(), strict=True))


def _value(table: pl.LazyFrame, column: str) -> pl.Expr:
    """A column in which NaN and empty text are missing, as an empty field of a CSV file is."""
    expression, kind = pl.col(column), table.collect_schema()[column]
    if kind == pl.String:
        return pl.when(expression != "").then(expression)
    return expression.fill_nan(None) if kind.is_float() else expression


def _number(column: str) -> pl.Expr:
    """A column as numbers; what isn't a finite one is missing."""
    number = pl.col(column).cast(pl.Float64, strict=False)
    return pl.when(number.is_finite()).then(number)


def _checked(path: Path, columns: Columns, seen: _Seen, positive: str | None, *, needed: bool) -> Spelling:
    if not seen.rows:
        raise PlanError(str(path), ["there are no rows"])
    label, guess = seen.names(columns.label), seen.names(columns.prediction)
    problems = [
        *_missing(columns, seen),
        *_ranges(columns, seen),
        *_levels(columns.groups, seen),
        *(line for name in columns.groups for line in _marks(name, seen)),
        *class_problems("label", label),
        *class_problems("prediction", guess),
    ]
    spelling = spell(label, guess, positive)
    if label and guess and not any(line.startswith(("--label:", "--prediction:")) for line in problems):
        problems += spelling_problems(spelling, needed=needed)
    if problems:
        raise PlanError(str(path), problems)
    return spelling


def _missing(columns: Columns, seen: _Seen) -> Iterator[str]:
    """Missing values of what must be known; a missing group is a level of its own."""
    for option, column in columns.roles():
        gone = seen.missing.get(column, 0)
        if gone and option != "--group":
            what = "missing or no number" if column in seen.numbers else "missing"
            yield (
                f"{option} {column!r}: {gone:,} of {seen.rows:,} values are {what}; "
                "leave these rows out of the file, and say so beside the audit"
            )


def _ranges(columns: Columns, seen: _Seen) -> Iterator[str]:
    for column, (low, high) in seen.numbers.items():
        if low is None or high is None:
            continue
        if column == columns.score and not 0 <= low <= high <= 1:
            yield f"--score {column!r}: probabilities in [0, 1] are expected, found {low:g} to {high:g}"
        if column == columns.weight and low <= 0:
            yield f"--weight {column!r}: weights above 0 are expected, the smallest is {low:g}"


def _levels(groups: Sequence[str], seen: _Seen) -> Iterator[str]:
    for name in groups:
        levels = len(seen.values[name]) + bool(seen.missing[name])
        if levels < 2:
            yield f"--group {name!r}: at least two groups are compared, all rows are in one"
        if levels > MAXIMUM_LEVELS:
            yield (
                f"--group {name!r}: at most {MAXIMUM_LEVELS} levels are expected, found {levels:,}: "
                "is it a number that needs bands, or an identifier?"
            )


def _marks(name: str, seen: _Seen) -> Iterator[str]:
    return group_problems(name, seen.names(name), seen.missing[name], seen.nan.get(name, 0))


def _count(table: pl.LazyFrame, columns: Columns, seen: _Seen, spelling: Spelling) -> Cube:
    """Count in batches; a column is counted as it stands unless its values are to be spelled otherwise."""

    def column(name: str, names: Mapping[str, str]) -> pl.Expr:
        new = {value: names[found] for value, found in seen.values[name].items()}
        if new == seen.values[name]:
            return _value(table, name)
        levels = pl.Enum(sorted(set(new.values()), key=natural_order))
        return _value(table, name).cast(pl.String).replace_strict(new, return_dtype=levels)

    chosen = [
        column(columns.label, spelling.label).alias("label"),
        column(columns.prediction, spelling.prediction).alias("prediction"),
    ]
    for i, name in enumerate(columns.groups):
        stripped = {found: found.strip() for found in seen.values[name].values()}
        chosen.append(column(name, stripped).alias(str(i)))
    figures = {"score": columns.score, "weight": columns.weight}
    chosen += [_number(column).alias(role) for role, column in figures.items() if column is not None]
    if columns.unit is not None:
        chosen.append(pl.col(columns.unit).alias("unit"))
    # A unit's rows may stand anywhere in the file, so cubes of batches would not add up.
    rows = BATCH if columns.unit is None else max(1, seen.rows)
    batches = table.select(chosen).collect_batches(chunk_size=rows, maintain_order=True)
    return reduce(Cube.merge, (_cube(batch, columns, spelling) for batch in _whole(batches, rows)))


def _whole(batches: Iterator[pl.DataFrame], rows: int) -> Iterator[pl.DataFrame]:
    """Batches of exactly so many rows: sums of weights are then the same each time, to the last bit."""
    held: list[pl.DataFrame] = []
    for batch in batches:
        held.append(batch)
        while sum(map(len, held)) >= rows:
            joined = pl.concat(held)
            yield joined[:rows]
            held = [joined[rows:]]
    if rest := [batch for batch in held if len(batch)]:
        yield pl.concat(rest)


def _cube(batch: pl.DataFrame, columns: Columns, spelling: Spelling) -> Cube:
    more: dict[str, Any] = {role: batch[role] for role in ("weight", "unit") if role in batch.columns}
    if "score" in batch.columns:
        more |= {"score": batch["score"].to_numpy(), "score_edges": EDGES}
    return Cube.from_arrays(
        batch["label"],
        batch["prediction"],
        {name: batch[str(i)] for i, name in enumerate(columns.groups)},
        labels=spelling.classes,
        positive=spelling.positive,
        **more,
    )
