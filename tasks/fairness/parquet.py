"""Parquet and CSV files as batches of rows, so that a file larger than memory can be counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

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
        ValueError: for a file of another kind or without the columns, or text where a number should be.
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
    text = [name for name in wanted if name not in numbers]
    _check_columns(file.name, wanted, lazy.collect_schema().names())
    try:
        for batch in lazy.select(wanted).collect_batches(chunk_size=BATCH, maintain_order=True):
            if len(batch):
                yield (
                    batch if separator is None else batch.with_columns(_plain(batch[name]) for name in text)
                )
    except pl.exceptions.ComputeError:  # its words would show values
        want = f"numbers in {', '.join(numbers)}" if separator and numbers else "a whole file of its kind"
        raise ValueError(f"{file.name} can't be read: {want} is expected") from None


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
