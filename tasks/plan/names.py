"""What a judgement calls by name must be there: columns, and protected attributes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tasks.plan.base import crossing
from tasks.plan.judgement import Judgement


def column_problems(judgement: Judgement, at: str = "judgement") -> Iterator[str]:
    """Columns that the data has not, and attributes whose columns are of another type.

    Args:
        judgement: of the plan, or of one of its audit sets.
        at: where it stands in the plan.
    """
    where = "where" if at != "judgement" else "test_set.where"
    wanted = {f"{at}.protected.{k}.column": v.column for k, v in judgement.protected.items()}
    if judgement.unit is not None:
        wanted[f"{at}.unit"] = judgement.unit
    wanted |= {f"{at}.{where}.{column}": column for column in judgement.test_set.where}
    yield from absent_columns(judgement, wanted, at)
    columns = judgement.data.described()
    for name, protected in judgement.protected.items():
        column = columns.get(protected.column)
        if column is not None and (column.type == "category") != (protected.bins is None):
            need = "takes no `bins`" if column.type == "category" else "needs `bins`"
            yield f"{at}.protected.{name}: column {protected.column!r} is {column.type}: it {need}"


def absent_columns(judgement: Judgement, wanted: Mapping[str, str], at: str = "judgement") -> Iterator[str]:
    """Columns that the data has not, each with the place that names it."""
    columns = judgement.data.described()
    made = "" if judgement.data.payload is None else f" (there are: {', '.join(columns)})"
    for path, column in wanted.items():
        if column not in columns:
            yield f"{path}: no column {column!r} under {at}.data.columns{made}"


def limit_problems(judgement: Judgement, at: str = "judgement") -> Iterator[str]:
    """Limits by what is neither a protected attribute nor the label."""
    wanted = {f"{at}.limits[{i}].attribute": limit.attribute for i, limit in enumerate(judgement.limits)}
    yield from absent_attributes(judgement, wanted, also=("label",))


def absent_attributes(
    judgement: Judgement, wanted: Mapping[str, str], also: tuple[str, ...] = ()
) -> Iterator[str]:
    """Attributes and crossings of what is not protected, each with the place that names it."""
    known = ", ".join(judgement.protected) or "none"
    for path, attribute in wanted.items():
        for part in crossing(attribute):
            if part not in judgement.protected and part not in also:
                yield f"{path}: {part!r} is no protected attribute (there are: {known})"
