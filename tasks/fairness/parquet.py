"""Parquet and CSV files as batches of rows, so that a file larger than memory can be counted."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import polars as pl

BATCH = 1 << 21
"""Rows at once: some 20 MB of codes; counting one hides behind reading the next."""
TEXT = {".csv": ",", ".tsv": "\t"}
"""Ending -> separator of files of text."""
FRACTION = r"^(-?\d+)\.0+$"


def read_batches(
    path: Path | str, names: Sequence[str], numbers: Sequence[str] = ()
) -> Iterator[pl.DataFrame]:
    """Some columns of a file in batches of `BATCH` rows, in the file's order.

    Args:
        path: a Parquet file, a folder of Parquet files, or a CSV or TSV file with a header.
        names: columns whose values are names: of a CSV they are read as text, 1.0 as "1" and true as "True",
            as Parquet's typed values are spelt, and an empty field is missing.
        numbers: columns whose values are numbers.

    Raises:
        ValueError: for a file of another kind or without the columns, text where a number should be, or rows
            of text with fewer or more fields than the header.
    """
    file = Path(path)
    separator = TEXT.get(file.suffix.lower())
    if separator is None:
        if file.suffix.lower() not in {".parquet", ".pq"} and not file.is_dir():
            raise ValueError(f"{file.name}: a .parquet, .csv or .tsv file is expected")
        lazy = pl.scan_parquet(file / "*.parquet" if file.is_dir() else file, glob=file.is_dir())
    else:
        types = {name: pl.String() for name in names} | {name: pl.Float64() for name in numbers}
        lazy = pl.scan_csv(file, separator=separator, schema_overrides=types, infer_schema=False)
    wanted = list(dict.fromkeys([*names, *numbers]))
    there = lazy.collect_schema().names()
    _check_columns(file.name, wanted, there)
    # Polars fills a row that is too short up with missing values, so then the last column has one.
    read = wanted if separator is None else list(dict.fromkeys([*wanted, there[-1]]))
    whole = separator is None
    try:
        for batch in lazy.select(read).collect_batches(chunk_size=BATCH, maintain_order=True):
            if not whole and batch[there[-1]].null_count():
                _check_rows(file, separator)
                whole = True
            if len(batch):
                text = [] if separator is None else [name for name in wanted if name not in numbers]
                yield batch.select(wanted).with_columns(_plain(batch[name]) for name in text)
    except pl.exceptions.ComputeError:  # its words would show values
        _check_rows(file, separator)
        want = f"numbers in {', '.join(numbers)}" if separator and numbers else "a whole file of its kind"
        raise ValueError(f"{file.name} can't be read: {want} is expected") from None


def _check_rows(file: Path, separator: str | None) -> None:
    if separator is not None and (problems := list(uneven_rows(file, separator))):
        raise ValueError(f"{file.name}: {problems[0]}")


def uneven_rows(path: Path, separator: str) -> Iterator[str]:
    """What is wrong with a file of text some of whose rows have fewer or more fields than its header.

    Args:
        path: in UTF-8, also compressed by gzip.
        separator: between fields.
    """
    csv.field_size_limit(1 << 30)
    with opened(path, "rt", encoding="utf-8-sig", errors="replace", newline="") as handle:
        rows = csv.reader(handle, delimiter=separator)
        columns, first, others = len(next(rows)), "", 0
        for row in rows:
            if len(row) == columns or not row:
                continue
            others += bool(first)
            first = (
                first or f"line {rows.line_num} has {len(row)} of {columns} fields, as the header names them"
            )
    if first:
        yield first + (f"; {others:,} more lines have fewer or more" if others else "")


def opened(path: Path, mode: str, **more: Any) -> Any:
    """A file as `open` gives it, unpacked where its name ends in .gz."""
    return gzip.open(path, mode, **more) if path.suffix.lower() == ".gz" else path.open(mode, **more)


def _check_columns(name: str, wanted: Sequence[str], found: Sequence[str]) -> None:
    if not (lacking := [column for column in wanted if column not in found]):
        return
    close = [match for column in lacking for match in get_close_matches(column, found, 1)]
    hint = f": did you mean {', '.join(close)}?" if close else f", there are: {', '.join(found)}"
    raise ValueError(f"{name}: columns {', '.join(wanted)} are expected, missing: {', '.join(lacking)}{hint}")


def _plain(text: pl.Series) -> pl.Series:
    """Text spelt as values of the types that it seems to be of."""
    found = text.unique().to_frame("old")
    plain = pl.col("old").str.replace(FRACTION, "$1")
    is_boolean = plain.str.to_lowercase().is_in(["true", "false"])
    plain = pl.when(is_boolean).then(plain.str.to_titlecase()).otherwise(plain)
    changed = found.with_columns(new=plain).filter(pl.col("old") != pl.col("new"))
    return text.replace(changed["old"], changed["new"]) if len(changed) else text
