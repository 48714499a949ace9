"""The table that expectations are checked on: the part as found, and what has to be derived from it."""

from __future__ import annotations

import polars as pl

from tasks.ingest.described import (
    ROW_DIGEST,
    ROW_ID,
    UNKNOWN,
    level_of,
    type_frame,
    typed_column,
    typed_label,
    unit_of,
)
from tasks.ingest.division import validation_rows
from tasks.plan.base import crossing
from tasks.plan.data import FORM, SOUND, Data, Number
from tasks.plan.judgement import Judgement
from tasks.plan.limits import PSEUDO
from tasks.plan.plan import Plan

FINITE, MISSING, NOT_FINITE, WRONG_TYPE = "finite", "missing", "not finite", "wrong type"
SEEN_IN_TRAINING = "unit is in the training part"


def form_of(column: str) -> str:
    """Name of the derived column that says what each value of a number column is."""
    return f"form of {column}"


def group_of(attribute: str) -> str:
    """Name of the derived column with the level of an attribute or a crossing."""
    return f"group by {attribute}"


def attributes_of(judgement: Judgement) -> dict[str, tuple[str, ...]]:
    """Every attribute and crossing that is audited, with the protected attributes it is made of."""
    named = [*judgement.protected, *(limit.attribute for limit in judgement.limits)]
    return {attribute: crossing(attribute) for attribute in named}


def columns_of(judgement: Judgement, attribute: str) -> list[str]:
    """The data's columns behind an attribute or a crossing."""
    return [_column_of(judgement, name) for name in crossing(attribute)]


def table_of(raw: pl.DataFrame, judgement: Judgement, training: pl.DataFrame | None) -> pl.DataFrame:
    """Derive what expectations are checked on.

    Text that is no number, NaN and infinity would all look like missing values to the checks:
    so each number column gets a companion that says in words what every value is.

    Args:
        raw: the prepared part, as found.
        judgement: the plan's rules.
        training: the training part for the test part, None for the training part itself.

    Returns:
        The same rows, in plain types: declared columns typed (surplus ones as they are), then
        ``form of C`` for each number, ``group by A`` for each audited attribute (null when
        unknown, or measured of a sample that can't be used) and, with a unit, whether the unit is
        also in the training part.
    """
    columns = {name: c for name, c in judgement.data.described().items() if name in raw.columns}
    forms = [
        _form(raw.schema[name], typed_column(name, column), name).alias(form_of(name))
        for name, column in columns.items()
        if column.type != "category"
    ]
    label = judgement.data.label
    if isinstance(label, Number) and label.column in raw.columns:
        typed_number = typed_label(label)
        forms.append(_form(raw.schema[label.column], typed_number, label.column).alias(form_of(label.column)))
    payload = [judgement.data.payload] if judgement.data.payload in raw.columns else []
    typed = type_frame(raw, judgement).drop(ROW_ID, *payload)
    groups = [
        _level(judgement, parts).alias(group_of(attribute))
        for attribute, parts in attributes_of(judgement).items()
        if all(_column_of(judgement, part) in raw.columns for part in parts)
    ]
    table = typed.with_columns(groups).with_columns(raw.select(forms))
    unit = judgement.unit
    if training is None or unit is None or unit not in raw.columns or unit not in training.columns:
        return table
    found = unit_of(judgement)
    seen = training.select(found).to_series().unique().drop_nulls()
    return table.with_columns(raw.select(found.is_in(seen.implode()).alias(SEEN_IN_TRAINING)))


def measured_columns(data: Data) -> set[str]:
    """Columns that follow from the payload: they mean nothing where ``form`` says that it can't be used."""
    return set() if data.payload is None else set(data.described()) - set(data.columns) - {FORM}


def fit_rows(training: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """Rows of the training part that the model is fitted on: all but those kept for validation.

    Args:
        training: the training part's table, from :func:`table_of`.
        plan: its recipe divides the training part.
    """
    unit = plan.judgement.unit
    by = unit if unit is not None and unit in training.columns else ROW_DIGEST
    units = training[by].cast(pl.String).fill_null("")  # a missing unit is refused by its own rule
    held = validation_rows(units, plan.recipe.split.validation, plan.recipe.seed)
    return training.filter(pl.Series(~held, dtype=pl.Boolean))


def hidden_columns(judgement: Judgement) -> set[str]:
    """Columns whose values are never shown: marked personal, protected, or the unit."""
    personal = {name for name, column in judgement.data.described().items() if column.personal}
    protected = {protected.column for protected in judgement.protected.values()}
    return personal | protected | ({judgement.unit} if judgement.unit else set())


def is_derived(column: str, judgement: Judgement) -> bool:
    """Whether a column of the table was added by :func:`table_of` or by ingest."""
    derived = {form_of(name) for name in (*judgement.data.described(), judgement.data.label.column)}
    derived |= {group_of(attribute) for attribute in attributes_of(judgement)}
    return column in derived | {SEEN_IN_TRAINING, ROW_DIGEST}


def _form(found: pl.DataType, typed: pl.Expr, name: str) -> pl.Expr:
    """Say of each value whether it is finite, missing, not finite, or of a wrong type."""
    if found == pl.Boolean:  # polars would read it as 0 and 1
        typed = pl.lit(None, pl.Float64)
    finite = typed.cast(pl.Float64).is_finite()
    number = pl.col(name).cast(pl.Float64, strict=False)
    return (
        pl.when(pl.col(name).is_null())
        .then(pl.lit(MISSING))
        .when(finite)
        .then(pl.lit(FINITE))
        .when(number.is_nan() | number.is_infinite())
        .then(pl.lit(NOT_FINITE))
        .otherwise(pl.lit(WRONG_TYPE))
    )


def _column_of(judgement: Judgement, part: str) -> str:
    return judgement.data.label.column if part in PSEUDO else judgement.protected[part].column


def _level(judgement: Judgement, parts: tuple[str, ...]) -> pl.Expr:
    levels = [
        pl.col(judgement.data.label.column)
        if part in PSEUDO
        else level_of(judgement.protected[part]).replace({UNKNOWN: None})
        for part in parts
    ]
    level = pl.concat_str(levels, separator=" x ")
    if measured_columns(judgement.data).isdisjoint(_column_of(judgement, part) for part in parts):
        return level
    return pl.when(pl.col(FORM) == SOUND).then(level)
