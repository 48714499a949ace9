"""Open a CSV or Parquet file lazily, and say all at once which of its columns do not fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from tasks.audit.records import Columns
from tasks.errors import PlanError
from tasks.fairness.intake import RESERVED
from tasks.fairness.parquet import opened, uneven_rows
from tasks.plan.base import crossing
from tasks.plan.load import closest

SUFFIXES = (".csv", ".csv.gz", ".tsv", ".parquet", ".pq")
SEPARATORS = ",;\t|"
MISSING = [""]
"""How a CSV file spells a missing value: an empty field, as in Parquet; all other text is a level."""


def open_table(path: Path) -> pl.LazyFrame:
    """Open a file without reading its rows. Columns of a CSV file are text, to be spelled later.

    Raises:
        PlanError: for a file that isn't there, isn't CSV or Parquet, or has no header.
    """
    if path.is_dir():
        raise PlanError(str(path), ["one CSV or Parquet file is expected, found a folder"])
    if not path.is_file():
        raise PlanError(str(path), ["there is no such file"])
    if not path.name.lower().endswith(SUFFIXES):
        raise PlanError(str(path), [f"CSV or Parquet is expected, by the name's end: {', '.join(SUFFIXES)}"])
    try:
        table = _scan(path)
        table.collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise unreadable(path, error) from error
    return table


def unreadable(path: Path, error: Exception) -> PlanError:
    """What to say when polars can't read a file: the line that is too long, if that is why."""
    is_read = isinstance(error, pl.exceptions.ComputeError) and path.suffix.lower() != ".gz"
    if is_read and (problems := list(row_problems(path))):
        return PlanError(str(path), problems)
    first = (str(error).splitlines() or [type(error).__name__])[0]
    return PlanError(str(path), [f"not readable as {_kind(path)}: {first}"])


def _kind(path: Path) -> str:
    return "Parquet" if path.suffix.lower() in (".parquet", ".pq") else "CSV in UTF-8"


def _scan(path: Path) -> pl.LazyFrame:
    if _kind(path) == "Parquet":
        return pl.scan_parquet(path, glob=False)
    return pl.scan_csv(
        path, separator=_separator(path), infer_schema=False, null_values=MISSING, glob=False, low_memory=True
    )


def _separator(path: Path) -> str:
    """The one that the header has most of."""
    with opened(path, "rb") as handle:
        header = handle.readline(1 << 20)
    return max(SEPARATORS, key=lambda separator: header.count(separator.encode()))


def row_problems(path: Path) -> Iterator[str]:
    """Rows of a CSV file with fewer fields than its header, which polars fills up, or with more."""
    if _kind(path) != "Parquet":
        yield from uneven_rows(path, _separator(path))


def column_problems(table: pl.LazyFrame, columns: Columns) -> Iterator[str]:
    """Columns that are not there, asked for twice, or whose name an attribute can't have."""
    there = table.collect_schema().names()
    for option, column in columns.roles():
        if column not in there:
            yield f"{option} {column!r}: there is no such column{closest(column, there)}"
        if f"{column}_duplicated_0" in there:  # polars' name for the second of two
            yield f"{option} {column!r}: the header names this column twice"
    for column, times in Counter(columns.names).items():
        if times > 1:
            options = " and ".join(option for option, name in columns.roles() if name == column)
            yield f"column {column!r} is asked for {times} times, by {options}: each may be one thing"
    yield from _name_problems(columns.groups)


def _name_problems(groups: Sequence[str]) -> Iterator[str]:
    for name in groups:
        if name in RESERVED:
            yield f"--group {name!r}: the audit has a column of that name itself; rename it in the file"
        if len(crossing(name)) > 1:
            yield f"--group {name!r}: ` x ` in a name means a crossing; rename the column in the file"
