"""Look at a file before it is counted: one streamed pass that keeps what was seen, and no row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import polars as pl

from tasks.audit.marks import nameless
from tasks.audit.records import Columns
from tasks.fairness.columns import natural_order
from tasks.fairness.spelling import spelled

BATCH = 250_000
"""Rows at once; a file is never held whole."""
MOST_VALUES = 100_000
"""Values of a column that are kept: far more than groups or classes may have, far fewer than rows."""
Range = tuple[float | None, float | None]


@dataclass(frozen=True, eq=False)
class Seen:
    """What was seen: rows, values of each column of names, and figures of each of numbers.

    Attributes:
        rows: of the file.
        values: column -> value as text -> its name, as the cube spells it; at most `MOST_VALUES`.
        missing: column -> missing values.
        numbers: column -> smallest and largest.
        last_missing: missing values of the file's last column, where rows with too few fields have theirs.
        nan: group column -> values that are NaN, which is no mark of a missing one.
    """

    rows: int
    values: Mapping[str, dict[str, str]]
    missing: Mapping[str, int]
    numbers: Mapping[str, Range]
    last_missing: int
    nan: Mapping[str, int]

    def names(self, column: str) -> list[str]:
        """The names that occur, in order."""
        return sorted(set(self.values[column].values()), key=natural_order)

    def plus(self, other: Seen) -> Seen:
        """What was seen in both of two parts."""
        return Seen(
            self.rows + other.rows,
            {name: _some({**found, **other.values[name]}) for name, found in self.values.items()},
            {name: count + other.missing[name] for name, count in self.missing.items()},
            {name: _range(found, other.numbers[name]) for name, found in self.numbers.items()},
            self.last_missing + other.last_missing,
            {name: count + other.nan[name] for name, count in self.nan.items()},
        )


def _some(values: dict[str, str]) -> dict[str, str]:
    return values if len(values) <= MOST_VALUES else dict(list(values.items())[:MOST_VALUES])


def _range(one: Range, other: Range) -> Range:
    known = [bound for bound in (*one, *other) if bound is not None]
    return (min(known), max(known)) if known else (None, None)


def look(table: pl.LazyFrame, columns: Columns) -> Seen:
    """See which values the columns have.

    Args:
        table: the file.
        columns: which column is what; all are there.
    """
    last = table.collect_schema().names()[-1]
    asked = _asked(table, columns, last)
    read = table.select(list(dict.fromkeys([*columns.names, last])))
    nothing = pl.DataFrame(schema=read.collect_schema()).select(asked)
    parts = (_seen(batch.select(asked), columns) for batch in batches_of(read))
    return reduce(Seen.plus, parts, _seen(nothing, columns))


def batches_of(table: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """Rows in the file's order, in batches of one size: sums of weights are the same to the last bit."""
    return iter(table.collect_batches(chunk_size=BATCH, maintain_order=True))


def _asked(table: pl.LazyFrame, columns: Columns, last: str) -> list[pl.Expr]:
    """One row of figures about a batch, and lists of values."""
    schema = table.collect_schema()
    asked = [pl.len().alias("rows"), pl.col(last).null_count().alias("last missing")]
    for name in _named(columns):
        value = value_of(table, name)
        asked += [
            value.unique().implode().alias(f"values {name}"),
            value.null_count().alias(f"missing {name}"),
        ]
        if schema[name].is_float():
            asked.append(pl.col(name).is_nan().sum().alias(f"nan {name}"))
    for name in _numeric(columns):
        number = number_of(name)
        asked += [number.min().alias(f"low {name}"), number.max().alias(f"high {name}")]
        asked.append(number.null_count().alias(f"missing {name}"))
    if columns.unit is not None:
        asked.append(nameless(table, columns.unit).sum().alias(f"missing {columns.unit}"))
    return asked


def _seen(found: pl.DataFrame, columns: Columns) -> Seen:
    row: dict[str, Any] = found.select(pl.exclude("^values .*$")).row(0, named=True)
    values = {name: _names(found[f"values {name}"][0].drop_nulls()) for name in _named(columns)}
    unit = [] if columns.unit is None else [columns.unit]
    return Seen(
        row["rows"],
        values,
        {name: row[f"missing {name}"] for name in (*_named(columns), *_numeric(columns), *unit)},
        {name: (row[f"low {name}"], row[f"high {name}"]) for name in _numeric(columns)},
        row["last missing"],
        {name: row.get(f"nan {name}", 0) for name in columns.groups},
    )


def _named(columns: Columns) -> list[str]:
    return [columns.label, columns.prediction, *columns.groups]


def _numeric(columns: Columns) -> list[str]:
    return [name for name in (columns.score, columns.weight) if name is not None]


def _names(values: pl.Series) -> dict[str, str]:
    some = values[:MOST_VALUES]
    return dict(zip(some.cast(pl.String).to_list(), spelled(some).to_list(), strict=True))


def value_of(table: pl.LazyFrame, column: str) -> pl.Expr:
    """A column in which NaN and empty text are missing, as an empty field of a CSV file is."""
    expression, kind = pl.col(column), table.collect_schema()[column]
    if kind == pl.String:
        return pl.when(expression != "").then(expression)
    return expression.fill_nan(None) if kind.is_float() else expression


def number_of(column: str) -> pl.Expr:
    """A column as numbers; what isn't a finite one is missing."""
    number = pl.col(column).cast(pl.Float64, strict=False)
    return pl.when(number.is_finite()).then(number)
