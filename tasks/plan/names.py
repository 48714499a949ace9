"""What a judgement calls by name must be there: columns, and protected attributes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from tasks.plan.base import crossing
from tasks.plan.data import Data
from tasks.plan.judgement import Judgement
from tasks.plan.source import FilesFormat


def column_problems(judgement: Judgement, at: str = "judgement") -> Iterator[str]:
    """Columns that the data has not, and those of another type or name than what they are for allows.

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
    unit = columns.get(judgement.unit or "")
    if unit is not None and unit.nullable:
        yield (
            f"{at}.unit: column {judgement.unit!r} is `nullable`, and a row without a unit belongs to no "
            "part: give each such row a unit of its own in the source (its row number, say), and leave out "
            "`nullable`"
        )
    for name in _taken(judgement.data):
        yield (
            f"{at}.data: {name!r} is what is read or measured of each sample, so no column of the source can "
            "be called so: rename it"
        )


def _taken(data: Data) -> Iterator[str]:
    """Columns of the source that would stand in place of the payload or of what describes it."""
    if data.payload is None:
        return
    own = {data.payload, *data.model_copy(update={"columns": {}}).described()}
    form = data.format
    groups = re.compile(form.pattern).groupindex if isinstance(form, FilesFormat) else ()
    yield from sorted(own & {*data.columns, *groups})


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
