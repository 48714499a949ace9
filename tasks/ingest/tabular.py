"""The tabular kind: CSV and Parquet. Reads what is there; the plan's types come as a second step."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path

import polars as pl

from tasks.errors import Refusal
from tasks.ingest.archive import pieces
from tasks.plan.judgement import Column, CsvFormat, Judgement, ParquetFormat, Protected

ROW_ID = "row_id"
ROW_DIGEST = "row_digest"
UNKNOWN = "unknown"
TYPES: dict[str, pl.DataType] = {"integer": pl.Int64(), "number": pl.Float64(), "category": pl.String()}


def read(path: Path, judgement: Judgement) -> pl.DataFrame:
    """Read a raw file without judging it.

    CSV gives text in every column: blanks around a value are stripped, the plan's null
    spellings and empty fields become null. A file without a header has the plan's columns in
    their order and the label last; surplus fields are named ``field_16`` and so on. Parquet
    keeps its own types.

    Returns:
        A row for each sample, with the columns that the file really has.

    Raises:
        Refusal: for a file that can't be read as its format at all.
    """
    data = judgement.data
    try:
        if isinstance(data.format, CsvFormat):
            return _clean(_read_csv(path, judgement, data.format), data.format.null_values)
        return pl.read_parquet(path)
    except pl.exceptions.PolarsError:
        # Polars quotes what it stumbled on, which may be personal: its message stays out.
        raise Refusal(
            f"{path.name}: not readable as {data.format.type}{_unlike_the_first(path, data.format)}. "
            "Is the file whole, and does `judgement.data.format` fit it?"
        ) from None


def type_frame(frame: pl.DataFrame, judgement: Judgement) -> pl.DataFrame:
    """Give the plan's types to the columns that are there.

    Args:
        frame: a raw frame, as :func:`read` or a prepared file gives it.
        judgement: names the columns and the label.

    Returns:
        The same rows: Int64, Float64 and String columns, the label in its canonical spelling,
        and any other column untouched. Text that is no number becomes null: validation has
        refused it before anything else sees the frame.
    """
    data = judgement.data
    typed = [typed_column(name, column) for name, column in data.columns.items() if name in frame.columns]
    if data.label.column in frame.columns:
        label = pl.col(data.label.column).cast(pl.String)
        typed.append(label.replace(data.label.spellings))
    return frame.with_columns(typed)


def typed_column(name: str, column: Column) -> pl.Expr:
    """The column in its plan's type; what can't be read as such is null."""
    return pl.col(name).cast(TYPES[column.type], strict=False)


def describe(frame: pl.DataFrame, judgement: Judgement) -> pl.DataFrame:
    """Table what an audit sees of each sample.

    Args:
        frame: a typed frame with every column that the plan declares.
        judgement: names the protected attributes, the label and the unit.

    Returns:
        One String column for each protected attribute (bands named by ``Protected.levels()``;
        a missing value, or a number below the first band, is ``unknown``), ``label``, and
        ``unit`` if the plan names one.
    """
    columns = [level_of(protected).alias(name) for name, protected in judgement.protected.items()]
    columns.append(pl.col(judgement.data.label.column).alias("label"))
    if judgement.unit is not None:
        columns.append(pl.col(judgement.unit).cast(pl.String).alias("unit"))
    return frame.select(columns)


def level_of(protected: Protected) -> pl.Expr:
    """The level of a protected attribute, from its typed column."""
    value = pl.col(protected.column)
    levels = protected.levels()
    if protected.bins is None or levels is None:
        return value.cast(pl.String).fill_null(UNKNOWN)
    band = pl.lit(UNKNOWN)
    for edge, level in zip(protected.bins, levels, strict=True):
        # NaN counts as larger than any number in polars, so it is shut out by name.
        band = (
            pl.when((value >= edge) & value.cast(pl.Float64).is_finite()).then(pl.lit(level)).otherwise(band)
        )
    return band


def row_digests(frame: pl.DataFrame, judgement: Judgement) -> list[str]:
    """Name each row by its values: the first 64 bits of their SHA-256, in hex.

    Over the plan's columns in their order, then the label in canonical spelling, as text
    separated by U+001F, a missing value being U+0000. Equal rows have equal names in every
    version and either part.
    """
    label = judgement.data.label
    names = [*judgement.data.columns, label.column]
    texts = [
        pl.col(name).cast(pl.String).fill_null("\0") if name in frame.columns else pl.lit("\0")
        for name in names
    ]
    if label.column in frame.columns:
        texts[-1] = texts[-1].replace(label.spellings)
    joined = frame.select(pl.concat_str([t.fill_null("\0") for t in texts], separator="\x1f").alias("row"))
    if frame.height == 0:
        return []
    return [hashlib.sha256(row.encode()).hexdigest()[:16] for row in joined["row"]]


def _read_csv(path: Path, judgement: Judgement, form: CsvFormat) -> pl.DataFrame:
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
    expected = [*judgement.data.columns, judgement.data.label.column]
    surplus = [f"field_{number}" for number in range(len(expected) + 1, frame.width + 1)]
    return frame.rename(dict(zip(frame.columns, [*expected, *surplus], strict=False)))


def _unlike_the_first(path: Path, form: CsvFormat | ParquetFormat) -> str:
    """Say which line of a CSV has more fields than its first line, if one has."""
    if isinstance(form, ParquetFormat):
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
