"""How missing values are marked in groups and units, and what looks like such a mark and is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from tasks.audit.spelling import NO_CLASS
from tasks.fairness.columns import UNKNOWN

SUSPECT = frozenset({*NO_CLASS, "none", "?"})
"""Levels that often mean "missing", in lower case."""


def nameless(table: pl.LazyFrame, column: str) -> pl.Expr:
    """Whether a unit has no name: null, NaN, or text that marks a missing value."""
    value, kind = pl.col(column), table.collect_schema()[column]
    if kind.is_float():
        return value.is_null() | value.is_nan().fill_null(value=False)
    if kind == pl.String:
        return value.is_null() | value.str.strip_chars().str.to_lowercase().is_in(sorted(NO_CLASS)).fill_null(
            value=False
        )
    return value.is_null()


def group_problems(name: str, levels: Sequence[str], missing: int, nan: int) -> Iterator[str]:
    """Why a column of groups can't say which group a row is of.

    Args:
        name: the column.
        levels: its names.
        missing: its missing values, NaN among them.
        nan: how many of them are NaN.
    """
    if nan:
        yield (
            f"--group {name!r}: {nan:,} values are NaN, a number that could not be computed: "
            "mark missing values as null"
        )
    if missing and UNKNOWN in [level.strip() for level in levels]:
        yield (
            f"--group {name!r}: a level is called {UNKNOWN!r}, as the {missing:,} missing values of this "
            "column would be: rename the level, or fill in the missing values"
        )


def group_notes(levels: Mapping[str, Sequence[str]]) -> list[str]:
    """Levels that look like marks of missing values, which are groups like any other."""
    return [
        f"{name}: the level {level.strip()!r} is a group like any other; if it means a missing value, leave "
        f"the field empty, which makes it the group {UNKNOWN!r}"
        for name, found in levels.items()
        for level in found
        if level.strip().casefold() in SUSPECT
    ]
