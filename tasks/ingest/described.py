"""The described table: one row for each sample, whatever its kind, in the plan's types.

Validation, representativeness and fairness see nothing else of the data.
"""

from __future__ import annotations

import hashlib

import polars as pl

from tasks.plan.data import Dataset, Label, Number
from tasks.plan.judgement import Judgement, Protected
from tasks.plan.source import Column

ROW_ID = "row_id"
ROW_DIGEST = "row_digest"
UNKNOWN = "unknown"
TYPES: dict[str, pl.DataType] = {"integer": pl.Int64(), "number": pl.Float64(), "category": pl.String()}


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
    columns = data.described()
    typed = [typed_column(name, column) for name, column in columns.items() if name in frame.columns]
    if data.label.column in frame.columns:
        typed.append(typed_label(data.label))
    return frame.with_columns(typed)


def typed_label(label: Label) -> pl.Expr:
    """The label: a class in its canonical spelling, or a number."""
    value = pl.col(label.column)
    if isinstance(label, Number):
        return value.cast(pl.Float64, strict=False)
    return value.cast(pl.String).replace(label.spellings)


def typed_column(name: str, column: Column) -> pl.Expr:
    """The column in its plan's type; what can't be read as such is null."""
    found = pl.col(name)
    typed = found.cast(TYPES[column.type], strict=False)
    if column.type != "integer":
        return typed
    # A cast drops the fraction of a number: 33.5 is no whole one.
    return pl.when(typed.cast(pl.Float64) == found.cast(pl.Float64, strict=False)).then(typed)


def unit_of(judgement: Judgement) -> pl.Expr:
    """The sampling unit as text, from its column as found or typed: 007 is 7 where it is a whole number."""
    assert judgement.unit is not None  # noqa: S101 - the caller looked
    return typed_column(judgement.unit, judgement.data.described()[judgement.unit]).cast(pl.String)


def looked_up(frame: pl.DataFrame, data: Dataset) -> dict[str, pl.Expr]:
    """Columns that the plan makes from others; a value that its table lacks is null."""
    return {
        name: pl.col(made.column).cast(pl.String).replace_strict(made.values, default=None)
        for name, column in data.described().items()
        if (made := column.looked_up) is not None and made.column in frame.columns
    }


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
        columns.append(unit_of(judgement).alias("unit"))
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


def row_digests(frame: pl.DataFrame, data: Dataset) -> list[str]:
    """Name each row by its values: the first 64 bits of their SHA-256, in hex.

    Over the described columns in their order, then the label in canonical spelling, as text separated by
    U+001F, a missing value being U+0000; then, where the kind has one, U+001F and the bytes of the
    payload. Equal rows have equal names in every version and either part.
    """
    label = data.label
    names = [*data.described(), label.column]
    texts = [
        pl.col(name).cast(pl.String).fill_null("\0") if name in frame.columns else pl.lit("\0")
        for name in names
    ]
    if label.column in frame.columns and not isinstance(label, Number):
        texts[-1] = texts[-1].replace(label.spellings)
    if frame.height == 0:
        return []
    joined = frame.select(pl.concat_str([t.fill_null("\0") for t in texts], separator="\x1f").alias("row"))
    rows = [row.encode() for row in joined["row"]]
    if data.payload is not None:
        payloads = frame[data.payload].cast(pl.Binary).fill_null(b"\0")
        rows = [row + b"\x1f" + payload for row, payload in zip(rows, payloads, strict=True)]
    return [hashlib.sha256(row).hexdigest()[:16] for row in rows]
