"""Cells of group x label: which rows each has, and rows drawn from one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from tasks.errors import Refusal
from tasks.plan.base import crossing
from tasks.plan.data import Classes
from tasks.plan.judgement import Judgement

Positions = npt.NDArray[np.int64]
Cell = tuple[str, ...]


def cells_of(described: pl.DataFrame, attribute: str) -> dict[Cell, Positions]:
    """Positions of each cell's rows, rising; the cells sorted by their names, the label's last.

    A missing value's level is a group like any other.

    Args:
        described: a column per protected attribute, and ``label``.
        attribute: a protected attribute, a crossing, or ``label`` for the classes alone.
    """
    names = [*(part for part in crossing(attribute) if part != "label"), "label"]
    numbered = described.select(names).with_row_index("row")
    found = numbered.group_by(names).agg("row").sort(names)
    return {tuple(cell): np.array(rows, np.int64) for *cell, rows in found.iter_rows()}


def named(cell: Cell) -> str:
    """A cell for people."""
    *group, label = cell
    return f"{' x '.join(group)}, label {label!r}" if group else f"label {label!r}"


def require_every_cell(
    cells: Mapping[Cell, Positions], step: str, attribute: str, judgement: Judgement
) -> None:
    """Every group has rows of every class, since a cell's rows are made of others of it.

    Args:
        cells: of fit rows.
        step: its kind.
        attribute: whose groups they are.
        judgement: names the classes.

    Raises:
        Refusal: naming the cells without rows.
    """
    label = judgement.data.label
    assert isinstance(label, Classes)  # noqa: S101 - the plan sees to it: a number has no cells
    groups = sorted({cell[:-1] for cell in cells})
    empty = [(*group, name) for group in groups for name in label.values if (*group, name) not in cells]
    if empty:
        raise Refusal(
            f"{step} by {attribute}: every group needs fit rows of every class, found none of "
            f"{'; '.join(map(named, empty))}. Join the level with another in judgement.data, leave the step "
            "out, or take `reweighing`, which makes no rows"
        )


def drawn(rows: Positions, count: int, rng: np.random.Generator) -> Positions:
    """``count`` of the rows' positions: all of them as often as they go whole, the rest without replacement.

    Args:
        rows: at least one position.
        count: 0 or more.
        rng: of the step.
    """
    times, rest = divmod(count, len(rows))
    return np.concatenate([np.tile(rows, times), np.sort(rng.choice(rows, rest, replace=False))])
