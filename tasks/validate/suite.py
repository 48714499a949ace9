# mypy: disable-error-code="attr-defined"
# (Great Expectations does not declare what it exports.)
"""The plan as a Great Expectations suite: one expectation for each rule that a part must keep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import great_expectations.expectations as gxe
import polars as pl
from great_expectations.expectations.expectation import Expectation
from great_expectations.expectations.row_conditions import Column as GxColumn

from tasks.ingest.described import ROW_DIGEST
from tasks.ingest.tables import LOST
from tasks.ingest.text import UNDECODED
from tasks.plan.data import FORM, SOUND, Data, Number
from tasks.plan.features import TabularFeatures
from tasks.plan.judgement import Judgement
from tasks.plan.plan import Plan
from tasks.plan.source import Column, FilesFormat
from tasks.validate.table import (
    MISSING,
    NOT_FINITE,
    SEEN_IN_TRAINING,
    WRONG_TYPE,
    attributes_of,
    columns_of,
    fit_rows,
    form_of,
    group_of,
    is_derived,
    measured_columns,
)

WORDS = {"integer": "whole numbers", "number": "finite numbers"}
OF_SOUND = GxColumn(FORM) == SOUND
REMEDY = "remedy"  # key of a rule's ``meta``, where the plan alone does not tell what to do
CONVERT = (
    "convert the file from the encoding that it has (`iconv -f WINDOWS-1252 -t UTF-8`, say) and pin the "
    "sha256 of the result"
)
LOST_BYTES = (
    "U+FFFD stands for bytes that were not UTF-8, here or where the file was made, and different values "
    f"become one by it: {CONVERT}"
)
ORDER = "a row is one of the part's files, counted from 0 in the order of archives and paths"
UNSOUND = "mend these samples in the source, or leave them out of it"
UNSEEN_GROUP = (
    "add training rows of these groups, join them with others in the source, or leave the rows out of it"
)
UNSEEN_VALUE = (
    "add training rows that have it, replace it in the source by a value that training has, leave the rows "
    "out, or name the column in recipe.features.exclude"
)


def rules_of(plan: Plan, part: str, table: pl.DataFrame, training: pl.DataFrame | None) -> list[Expectation]:
    """Write the plan's rules for one part.

    Columns that the part lacks get no rule of their own: the rule on the set of columns names
    them. Each expectation's ``meta`` holds ``rule`` (in words), ``column`` (as the source calls
    it), ``key`` (of the plan) and, where that does not say what to do, ``remedy``.

    Args:
        plan: its judgement holds the rules; its recipe says which columns the model takes.
        part: "train", "test" or the name of an audit set.
        table: the part, from :func:`tasks.validate.table.table_of`.
        training: the training part's table, for what is judged; None for the training part.
    """
    judgement = plan.judgement.sets.get(part, plan.judgement)
    seen = None if part in plan.judgement.audits else training  # the groups of an audit set are its own
    rules = [*_whole(judgement, part, table), *_label(judgement, table)]
    if _has_usable(table, judgement):
        rules += _compared(judgement, table, seen)
    for name, column in judgement.data.described().items():
        if name in table.columns:
            rules += _column(name, column, judgement, table)
    if training is not None:
        grouped = set() if seen is None else {each.column for each in judgement.protected.values()}
        rules += _learnt(plan, table, fit_rows(training, plan), grouped)
    return [*rules, *_unit(judgement, table)]


def _meta(rule: str, column: str | None, key: str, remedy: str = "") -> dict[str, Any]:
    return {"rule": rule, "column": column, "key": key, REMEDY: remedy}


def _whole(judgement: Judgement, part: str, table: pl.DataFrame) -> Iterator[Expectation]:
    """Rules on the part as a whole: its columns and rows."""
    declared = [*judgement.data.described(), judgement.data.label.column]
    derived = [name for name in table.columns if is_derived(name, judgement)]
    yield gxe.ExpectTableColumnsToMatchSet(
        column_set=[*declared, *derived],
        exact_match=True,
        meta=_meta("every declared column and no other", None, "judgement.data.columns"),
    )
    rows = judgement.expectations.minimum_rows.get("train" if part == "train" else "test", 1)
    yield gxe.ExpectTableRowCountToBeBetween(
        min_value=rows,
        meta=_meta(f"at least {rows} rows", None, f"judgement.expectations.minimum_rows.{part}"),
    )


def _has_usable(table: pl.DataFrame, judgement: Judgement) -> bool:
    """Whether any sample can be used: if none can, `form` says so, and nothing is left to be compared."""
    return judgement.data.payload is None or (table[FORM] == SOUND).any()


def _compared(
    judgement: Judgement, table: pl.DataFrame, training: pl.DataFrame | None
) -> Iterator[Expectation]:
    """Rules on samples beside others: duplicates, and the groups that are audited."""
    share = judgement.expectations.maximum_duplicate_share
    yield gxe.ExpectColumnProportionOfUniqueValuesToBeBetween(
        column=ROW_DIGEST,
        min_value=1 - share,
        row_condition=None if judgement.data.payload is None else OF_SOUND,
        meta=_meta(
            f"at most {share:.2%} duplicated rows", None, "judgement.expectations.maximum_duplicate_share"
        ),
    )
    usable = training is not None and _has_usable(training, judgement)
    yield from _groups(judgement, table, training if usable else None)


def _column(name: str, column: Column, judgement: Judgement, table: pl.DataFrame) -> Iterator[Expectation]:
    """Rules on one column's values."""
    key, null_share = f"judgement.data.columns.{name}", judgement.expectations.maximum_null_share
    if column.type != "category":
        yield gxe.ExpectColumnValuesToNotBeInSet(
            column=form_of(name),
            value_set=[WRONG_TYPE, NOT_FINITE],
            meta=_meta(WORDS[column.type], name, key),
        )
    missing = f"at most {null_share:.2%} missing" if column.nullable else "never missing"
    yield _there(
        name,
        is_number=column.type != "category",
        mostly=1 - null_share if column.nullable else 1,
        meta=_meta(missing, name, key),
        # Nothing is measured of a sample that can't be used: one problem, which `form` tells.
        row_condition=OF_SOUND if name in measured_columns(judgement.data) else None,
    )
    yield from _values(name, column, judgement.data, table)
    if column.minimum is not None or column.maximum is not None:
        low, high = column.minimum, column.maximum
        bounds = [
            f"at least {low:g}" if low is not None else "",
            f"at most {high:g}" if high is not None else "",
        ]
        yield gxe.ExpectColumnValuesToBeBetween(
            column=name,
            min_value=low,
            max_value=high,
            meta=_meta(" and ".join(filter(None, bounds)), name, key),
        )
    if column.unique:
        yield gxe.ExpectColumnValuesToBeUnique(
            column=name, meta=_meta("no value twice", name, f"{key}.unique")
        )


def _there(name: str, *, is_number: bool, **more: Any) -> Expectation:
    """A value is there. What is no number is null in the table, and its own problem: `form of` it tells."""
    if is_number:
        return gxe.ExpectColumnValuesToNotBeInSet(column=form_of(name), value_set=[MISSING], **more)
    return gxe.ExpectColumnValuesToNotBeNull(column=name, **more)


def _values(name: str, column: Column, data: Data, table: pl.DataFrame) -> Iterator[Expectation]:
    """A category has a declared value; where none are declared, one that was read as it was written."""
    key, is_form = f"judgement.data.columns.{name}", name == FORM and data.payload is not None
    if column.values is not None:
        rule = "sound" if is_form else f"one of the {len(column.values)} declared values"
        remedy = _of_unsound(data, table) if is_form else _of_lost(table[name])
        yield gxe.ExpectColumnValuesToBeInSet(
            column=name, value_set=column.values, meta=_meta(rule, name, f"{key}.values", remedy)
        )
    if column.type == "category" and name not in measured_columns(data) and not _is_closed(column.values):
        yield _whole_characters(name, key)


def _is_closed(values: Sequence[str] | None) -> bool:
    """Whether declared values alone keep U+FFFD out."""
    return values is not None and not any(LOST in value for value in values)


def _whole_characters(name: str, key: str) -> Expectation:
    rule = "no U+FFFD, the sign of lost bytes"
    return gxe.ExpectColumnValuesToNotMatchRegex(
        column=name, regex=LOST, meta=_meta(rule, name, key, LOST_BYTES)
    )


def _of_unsound(data: Data, table: pl.DataFrame) -> str:
    if (table[FORM] == UNDECODED).any():
        return f"{UNSOUND}; {CONVERT}"
    return f"{ORDER}; {UNSOUND}" if isinstance(data.format, FilesFormat) else UNSOUND


def _of_lost(values: pl.Series) -> str:
    """What to do where bytes were lost; the rule alone tells the rest."""
    lossy = values.dtype == pl.String and values.str.contains(LOST, literal=True).any()
    return LOST_BYTES if lossy else ""


def _label(judgement: Judgement, table: pl.DataFrame) -> Iterator[Expectation]:
    """The label is never missing, is a declared class, and every class occurs."""
    label = judgement.data.label
    if label.column not in table.columns:
        return
    key = "judgement.data.label"
    yield _there(
        label.column, is_number=isinstance(label, Number), meta=_meta("never missing", label.column, key)
    )
    if isinstance(label, Number):
        yield from _number_label(label)
        return
    yield gxe.ExpectColumnValuesToBeInSet(
        column=label.column,
        value_set=label.values,
        meta=_meta(
            f"one of the classes {', '.join(label.values)}",
            label.column,
            f"{key}.values",
            _of_lost(table[label.column]),
        ),
    )
    if not _is_closed(label.values):
        yield _whole_characters(label.column, key)
    yield gxe.ExpectColumnDistinctValuesToContainSet(
        column=label.column,
        value_set=label.values,
        meta=_meta("every class occurs", label.column, f"{key}.values"),
    )


def _number_label(label: Number) -> Iterator[Expectation]:
    key = "judgement.data.label"
    yield gxe.ExpectColumnValuesToNotBeInSet(
        column=form_of(label.column),
        value_set=[WRONG_TYPE, NOT_FINITE],
        meta=_meta(WORDS["number"], label.column, key),
    )
    yield gxe.ExpectColumnValuesToBeBetween(
        column=label.column,
        min_value=label.minimum,
        max_value=label.maximum,
        meta=_meta(f"at least {label.minimum:g} and at most {label.maximum:g}", label.column, key),
    )


def _groups(
    judgement: Judgement, table: pl.DataFrame, training: pl.DataFrame | None
) -> Iterator[Expectation]:
    """Audited groups can be compared, and none is judged that training never saw."""
    for attribute in attributes_of(judgement):
        column = group_of(attribute)
        if column not in table.columns:
            continue
        shown, key = ", ".join(columns_of(judgement, attribute)), f"judgement.protected ({attribute})"
        yield gxe.ExpectColumnUniqueValueCountToBeBetween(
            column=column, min_value=2, meta=_meta(f"at least two groups by {attribute}", shown, key)
        )
        if training is not None and column in training.columns:
            seen = training[column].unique().drop_nulls().sort().to_list()
            rule = f"only groups by {attribute} that training has seen"
            yield gxe.ExpectColumnValuesToBeInSet(
                column=column, value_set=seen, meta=_meta(rule, shown, key, UNSEEN_GROUP)
            )
    for name, protected in judgement.protected.items():
        minimum = judgement.data.described()[protected.column].minimum
        if protected.bins is None or protected.column not in table.columns:
            continue
        if minimum is None or minimum < protected.bins[0]:
            rule = f"not below {protected.bins[0]:g}, the first band of {name}"
            yield gxe.ExpectColumnValuesToBeBetween(
                column=protected.column,
                min_value=protected.bins[0],
                meta=_meta(rule, protected.column, f"judgement.protected.{name}.bins"),
            )


def _learnt(
    plan: Plan, table: pl.DataFrame, fitted: pl.DataFrame, grouped: set[str]
) -> Iterator[Expectation]:
    """The model can take every row that is judged: it refuses what no row that it was fitted on holds.

    Groups that training must have seen have a rule of their own; it speaks for the columns ``grouped``.
    """
    if not isinstance(plan.recipe.features, TabularFeatures):
        return  # other kinds have no vocabulary of values that a sample could lack
    for name, column in plan.judgement.data.described().items():
        if name in plan.recipe.features.exclude or name not in table.columns or name not in fitted.columns:
            continue
        key = f"judgement.data.columns.{name}"
        if column.type == "category" and name not in grouped:
            yield gxe.ExpectColumnValuesToBeInSet(
                column=name,
                value_set=fitted[name].unique().drop_nulls().sort().to_list(),
                meta=_meta("only values that the rows to fit have", name, key, UNSEEN_VALUE),
            )
        if column.nullable and fitted[name].null_count() == 0:
            yield gxe.ExpectColumnValuesToNotBeNull(
                column=name, meta=_meta("never missing, as in the rows to fit", name, key, UNSEEN_VALUE)
            )


def _unit(judgement: Judgement, table: pl.DataFrame) -> Iterator[Expectation]:
    """No sampling unit stands in both parts: the model would be judged on what it learnt."""
    if SEEN_IN_TRAINING in table.columns:
        yield gxe.ExpectColumnValuesToBeInSet(
            column=SEEN_IN_TRAINING,
            value_set=[False],
            meta=_meta("no unit of the training part", judgement.unit, "judgement.unit"),
        )
