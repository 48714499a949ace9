"""Files of rows: CSV, JSON lines and Parquet, as they are; the plan's types come as a second step."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import polars as pl

from tasks.errors import Refusal
from tasks.ingest.archive import pieces
from tasks.plan.source import CsvFormat, JsonFormat, ParquetFormat

Format: TypeAlias = CsvFormat | JsonFormat | ParquetFormat
LOST = "\ufffd"
"""U+FFFD, which stands for bytes that are no character: different values may have become one by it."""
# Of JSON: two halves of one character, a half alone, or any other escape.
ESCAPE = re.compile(r"\\(?:u[dD][89abAB]\w\w\\u[dD][c-fC-F]\w\w|(?P<half>u[dD][89a-fA-F]\w\w)|.)", re.ASCII)


def read_table(path: Path, form: Format, expected: Sequence[str]) -> pl.DataFrame:
    """Read a raw file without judging it.

    CSV gives text in every column: blanks around a value are stripped, the plan's null
    spellings and empty fields become null. A file without a header has the expected columns in
    their order; surplus fields are named ``field_16`` and so on. JSON lines and Parquet keep their
    own types. In CSV and JSON lines ``LOST`` stands for bytes that are not UTF-8.

    Args:
        path: the file.
        form: how it is written.
        expected: columns of a CSV file without a header, in order.

    Returns:
        A row for each sample, with the columns that the file really has.

    Raises:
        Refusal: for a file that can't be read as its format at all.
    """
    try:
        if isinstance(form, CsvFormat):
            return _clean(_read_csv(path, form, expected), form.null_values)
        if isinstance(form, JsonFormat):
            text = b"".join(pieces(path)).decode("utf-8", "replace")
            return pl.read_ndjson(io.BytesIO(_whole_escapes(text).encode()), infer_schema_length=None)
        return pl.read_parquet(path)
    except pl.exceptions.PolarsError:
        # Polars quotes what it stumbled on, which may be personal: its message stays out.
        raise Refusal(
            f"{path.name}: not readable as {form.type}{_unlike_the_first(path, form)}. "
            "Is the file whole, and does `judgement.data.format` fit it?"
        ) from None


def joined(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Stack files; a column that one of them lacks is null there, for validation to see."""
    return frames[0] if len(frames) == 1 else pl.concat(frames, how="diagonal_relaxed")


def as_text(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """The frame with those of these columns that hold bytes, as Parquet may, decoded; ``LOST`` as above."""
    held = [name for name in names if frame.schema.get(name) == pl.Binary]
    return frame.with_columns(pl.Series(n, [_replaced(v) for v in frame[n]], pl.String) for n in held)


def _replaced(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")


def _whole_escapes(text: str) -> str:
    """JSON in which an escape that is half a character is ``LOST``: polars would make all of them U+0000."""
    if "\\ud" not in text and "\\uD" not in text:
        return text
    return ESCAPE.sub(lambda found: "\\ufffd" if found["half"] else found[0], text)


def _read_csv(path: Path, form: CsvFormat, expected: Sequence[str]) -> pl.DataFrame:
    text = b"".join(pieces(path)).rstrip(b"\r\n \t") + b"\n"
    frame = pl.read_csv(
        io.BytesIO(text),
        has_header=form.header,
        separator=form.delimiter,
        comment_prefix=form.comment,
        infer_schema=False,
        encoding="utf8-lossy",
        raise_if_empty=False,
    )
    if form.header:
        return frame.rename({name: name.strip() for name in frame.columns})
    surplus = [f"field_{number}" for number in range(len(expected) + 1, frame.width + 1)]
    return frame.rename(dict(zip(frame.columns, [*expected, *surplus], strict=False)))


def _unlike_the_first(path: Path, form: Format) -> str:
    """Say which line of a CSV has more fields than its first line, if one has."""
    if not isinstance(form, CsvFormat):
        return ""
    text = b"".join(pieces(path)).decode("utf-8", "replace")
    lines = csv.reader(io.StringIO(text), delimiter=form.delimiter)
    width: int | None = None
    for fields in lines:
        if not fields or (form.comment and fields[0].startswith(form.comment)):
            continue
        width = width or len(fields)
        if len(fields) > width:
            return f": line {lines.line_num} has {len(fields)} fields, {width} are expected"
    return ""


def _clean(frame: pl.DataFrame, null_values: list[str]) -> pl.DataFrame:
    value = pl.all().str.strip_chars()
    return frame.with_columns(pl.when(~value.is_in(["", *null_values])).then(value))
