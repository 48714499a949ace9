"""Count a file into a cube: one streamed pass to see the values, one to count them, in batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from tasks.audit.looking import MOST_VALUES, Seen, batches_of, look, number_of, value_of
from tasks.audit.marks import group_notes, group_problems
from tasks.audit.records import Columns
from tasks.audit.source import column_problems, open_table, row_problems, unreadable
from tasks.audit.spelling import Spelling, class_problems, spell, spelling_problems
from tasks.errors import PlanError
from tasks.fairness.columns import MAXIMUM_LEVELS, natural_order
from tasks.fairness.cube import Cube


@dataclass(frozen=True, eq=False)
class Counted:
    """A file, counted.

    Attributes:
        cube: the counts.
        notes: what was done to spellings.
    """

    cube: Cube
    notes: tuple[str, ...]


def count_file(path: Path, columns: Columns, positive: str | None, *, needed: bool = False) -> Counted:
    """Count the rows of a CSV or Parquet file.

    Args:
        path: the file.
        columns: which column is what.
        positive: the class whose rates are compared; 1 or True of two classes when None.
        needed: whether there must be such a class, also of three and more.

    Raises:
        PlanError: with every problem of the file, its columns and their values.
    """
    table = open_table(path)
    if problems := list(column_problems(table, columns)):
        raise PlanError(str(path), problems)
    try:
        seen = look(table, columns)
        if seen.last_missing and (problems := list(row_problems(path))):
            raise PlanError(str(path), problems)
        spelling = _checked(path, columns, seen, positive, needed=needed)
        cube = _count(table, columns, seen, spelling)
        return Counted(cube, (*spelling.notes, *group_notes({n: seen.names(n) for n in columns.groups})))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise unreadable(path, error) from error


def _checked(path: Path, columns: Columns, seen: Seen, positive: str | None, *, needed: bool) -> Spelling:
    if not seen.rows:
        raise PlanError(str(path), ["there are no rows"])
    label, guess = seen.names(columns.label), seen.names(columns.prediction)
    problems = [
        *_missing(columns, seen),
        *_ranges(columns, seen),
        *_levels(columns.groups, seen),
        *(line for name in columns.groups for line in _marks(name, seen)),
        *class_problems("label", label),
        *class_problems("prediction", guess),
    ]
    spelling = spell(label, guess, positive)
    if label and guess and not any(line.startswith(("--label:", "--prediction:")) for line in problems):
        problems += spelling_problems(spelling, needed=needed)
    if problems:
        raise PlanError(str(path), problems)
    return spelling


def _missing(columns: Columns, seen: Seen) -> Iterator[str]:
    """Missing values of what must be known; a missing group is a level of its own."""
    for option, column in columns.roles():
        gone = seen.missing.get(column, 0)
        if gone and option != "--group":
            what = "missing or no number" if column in seen.numbers else "missing"
            yield (
                f"{option} {column!r}: {gone:,} of {seen.rows:,} values are {what}; "
                "leave these rows out of the file, and say so beside the audit"
            )


def _ranges(columns: Columns, seen: Seen) -> Iterator[str]:
    for column, (low, high) in seen.numbers.items():
        if low is None or high is None:
            continue
        if column == columns.score and not 0 <= low <= high <= 1:
            yield f"--score {column!r}: probabilities in [0, 1] are expected, found {low:g} to {high:g}"
        if column == columns.weight and low <= 0:
            yield f"--weight {column!r}: weights above 0 are expected, the smallest is {low:g}"


def _levels(groups: Sequence[str], seen: Seen) -> Iterator[str]:
    for name in groups:
        levels = len(seen.values[name]) + bool(seen.missing[name])
        if levels < 2:
            yield f"--group {name!r}: at least two groups are compared, all rows are in one"
        if levels > MAXIMUM_LEVELS:
            yield (
                f"--group {name!r}: at most {MAXIMUM_LEVELS} levels are expected, found {levels:,}"
                f"{' or more' if levels >= MOST_VALUES else ''}: "
                "is it a number that needs bands, or an identifier?"
            )


def _marks(name: str, seen: Seen) -> Iterator[str]:
    return group_problems(name, seen.names(name), seen.missing[name], seen.nan.get(name, 0))


def _count(table: pl.LazyFrame, columns: Columns, seen: Seen, spelling: Spelling) -> Cube:
    """Count in batches; a column is counted as it stands unless its values are to be spelled otherwise."""

    def column(name: str, names: Mapping[str, str]) -> pl.Expr:
        new = {value: names[found] for value, found in seen.values[name].items()}
        if new == seen.values[name]:
            return value_of(table, name)
        levels = pl.Enum(sorted(set(new.values()), key=natural_order))
        return value_of(table, name).cast(pl.String).replace_strict(new, return_dtype=levels)

    chosen = [
        column(columns.label, spelling.label).alias(columns.label),
        column(columns.prediction, spelling.prediction).alias(columns.prediction),
    ]
    for name in columns.groups:
        stripped = {found: found.strip() for found in seen.values[name].values()}
        chosen.append(column(name, stripped).alias(name))
    chosen += [number_of(name).alias(name) for name in (columns.score, columns.weight) if name is not None]
    if columns.unit is not None:
        chosen.append(pl.col(columns.unit))
    return Cube.from_batches(
        batches_of(table.select(chosen)),
        y_true=columns.label,
        y_pred=columns.prediction,
        groups=columns.groups,
        score=columns.score,
        weight=columns.weight,
        unit=columns.unit,
        labels=spelling.classes,
        positive=spelling.positive,
    )
