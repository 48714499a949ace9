"""Generated rows for thin cells of group x label, by imbalanced-learn's SMOTE for categories and numbers."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from tasks.errors import PlanError, Refusal
from tasks.ingest.described import looked_up
from tasks.mitigate.cells import Cell, Positions, cells_of, named, require_every_cell
from tasks.mitigate.sample import Sample
from tasks.plan.base import crossing
from tasks.plan.data import Tabular
from tasks.plan.judgement import Judgement
from tasks.plan.mitigation import Synthesis

OTHERS = 10_000  # rows of other cells that SMOTE is given at most: it compares categories by who has them
MISSING = "\0"  # the level of a missing category


class Columns(NamedTuple):
    """A table's columns by how they are generated: by SMOTE, left empty, or made from others."""

    categories: Sequence[str]
    numbers: Sequence[str]
    empty: Sequence[str]
    follow: Mapping[str, pl.Expr]


def synthesised(sample: Sample, step: Synthesis, judgement: Judgement, rng: np.random.Generator) -> Sample:
    """The rows, and then generated ones: as many as bring each thin cell to ``minimum``.

    Chawla et al. 2002, "SMOTE", section 6: a number lies between a row's and a near neighbour's of the same
    cell, a category is the one that most of the neighbours have. Numbers are compared in units of their
    deviation within the cell. A missing category is a category; a row with a missing number is nobody's
    neighbour, so no generated row lacks a number. The unit and columns of unique values are left empty, for
    a generated row is nobody's. It weighs as much as its cell's rows on average.

    Raises:
        Refusal: a group has no rows of a class, or a thin cell fewer rows than it takes.
        PlanError: imbalanced-learn is not installed.
    """
    cells = cells_of(sample.described, step.attribute)
    require_every_cell(cells, step.kind, step.attribute, judgement)
    columns = _columns(sample.frame, step, judgement)
    whole = _whole(sample.frame, columns.numbers)
    thin = {cell: rows for cell, rows in cells.items() if len(rows) < step.minimum}
    _require_neighbours({cell: rows[whole[rows]] for cell, rows in thin.items()}, step)
    grown = sample
    for rows in thin.values():
        known, count = rows[whole[rows]], step.minimum - len(rows)
        others = np.setdiff1d(whole.nonzero()[0], rows)
        if not len(others):  # all others lack a number; SMOTE wants a row that is not of the cell
            others = known[:1]
        rest = np.sort(rng.choice(others, min(OTHERS, len(others)), replace=False))
        frame = _generated(sample.frame[known], sample.frame[rest], count, columns, step, rng)
        alike = np.full(count, known[0])  # in the label
        nobody = [pl.lit(None).alias(name) for name in columns.empty]
        frame = sample.frame[alike].with_columns(nobody).with_columns(frame).with_columns(**columns.follow)
        made = sample.copies(alike, frame, judgement)
        grown = grown.plus(made._replace(weights=np.full(count, sample.weights[rows].mean())))
    return grown


def _columns(frame: pl.DataFrame, step: Synthesis, judgement: Judgement) -> Columns:
    data = judgement.data
    assert isinstance(data, Tabular)  # noqa: S101 - the plan sees to it: synthesis is of tables
    grouping = {judgement.protected[name].column for name in crossing(step.attribute)}
    told = [
        name
        for name, column in data.columns.items()
        if name in grouping or not (column.unique or name == judgement.unit)
    ]
    sources = {name: made.column for name in told if (made := data.columns[name].looked_up) is not None}
    follow = {name: way for name, way in looked_up(frame, data).items() if sources.get(name) in told}
    drawn = [name for name in told if name not in follow]
    categories = [name for name in drawn if data.columns[name].type == "category"]
    numbers = [name for name in drawn if name not in categories]
    return Columns(categories, numbers, [name for name in data.columns if name not in told], follow)


def _whole(frame: pl.DataFrame, numbers: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Rows (n,) that lack no number."""
    if not numbers:
        return np.ones(frame.height, bool)
    there = pl.all_horizontal(pl.col(numbers).is_finite().fill_null(value=False))
    return frame.select(there).to_series().to_numpy()


def _require_neighbours(thin: Mapping[Cell, Positions], step: Synthesis) -> None:
    """Each thin cell has a row more than the neighbours that every row of it takes."""
    few = [f"{named(cell)}: {len(rows)}" for cell, rows in thin.items() if len(rows) <= step.neighbours]
    if few:
        raise Refusal(
            f"synthesis by {step.attribute}: {step.neighbours + 1} fit rows without a missing number are "
            f"needed in a cell for {step.neighbours} neighbours, found {'; '.join(few)}. Give fewer "
            "`neighbours` (2 rows are needed for 1), join the level with another, or leave the step out"
        )


def _generated(
    cell: pl.DataFrame,
    rest: pl.DataFrame,
    count: int,
    columns: Columns,
    step: Synthesis,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """``count`` rows more of a cell, all columns but the label's and what follows from others.

    Args:
        cell: its rows; none lacks a number.
        rest: rows of other cells, likewise.
        count: at least 1.
        columns: of the table.
        step: says how many neighbours.
        rng: of the step.
    """
    both = pl.concat([cell, rest])
    # A number that is the same in all of the cell stays so; nearness is of those that vary.
    spread = {name: float(cell[name].to_numpy().std()) or 1.0 for name in columns.numbers}
    varying = [name for name in columns.numbers if cell[name].n_unique() > 1] or columns.numbers
    levels = {name: both[name].fill_null(MISSING).unique().sort() for name in columns.categories}
    codes = [both[n].fill_null(MISSING).cast(pl.Enum(levels[n])).to_physical() for n in columns.categories]
    table = np.column_stack([*codes, *(both[name] / spread[name] for name in varying)]).astype(np.float64)
    made = _smote(table, cell.height, count, len(codes), step.neighbours, int(rng.integers(2**31)))
    found = [levels[n][made[:, i].astype(np.int64)] for i, n in enumerate(columns.categories)]
    numbers = {name: made[:, len(codes) + i] * spread[name] for i, name in enumerate(varying)}
    return pl.DataFrame(
        [
            *(levels.replace(MISSING, None).alias(levels.name) for levels in found),
            *(_between(numbers[name], cell[name]) for name in varying),
            *(cell[name][:1].new_from_index(0, count) for name in columns.numbers if name not in varying),
        ]
    )


def _between(values: npt.NDArray[np.float64], own: pl.Series) -> pl.Series:
    """Values from the lowest to the highest of the cell's own, whole ones where those are whole."""
    held, whole = own.to_numpy(), own.dtype.is_integer()
    between = np.clip(np.rint(values) if whole else values, held.min(), held.max())
    return pl.Series(own.name, between).cast(own.dtype)


def _smote(
    table: npt.NDArray[np.float64], rows: int, count: int, categories: int, neighbours: int, seed: int
) -> npt.NDArray[np.float64]:
    """``count`` rows more like the first ``rows``, by the sampler for the columns that there are.

    Args:
        table: codes of categories and then numbers, shape (n, columns).
        rows: how many of them are of the cell.
        count: at least 1.
        categories: how many of the columns are codes.
        neighbours: of each row, fewer than ``rows``.
        seed: of the sampler.
    """
    try:
        # Half a second, and few plans generate rows.
        from imblearn.over_sampling import SMOTE, SMOTEN, SMOTENC  # type: ignore[import-untyped] # noqa: PLC0415
    except ModuleNotFoundError as error:
        told = "synthesis needs imbalanced-learn, which is not installed: pip install '.[mitigation]'"
        raise PlanError("recipe.mitigation", [told]) from error

    wanted: dict[str, Any] = {
        "sampling_strategy": {1: rows + count},
        "k_neighbors": neighbours,
        "random_state": seed,
    }
    if categories == table.shape[1]:
        sampler = SMOTEN(**wanted)
    elif categories:
        sampler = SMOTENC(categorical_features=list(range(categories)), **wanted)
    else:
        sampler = SMOTE(**wanted)
    own = (np.arange(len(table)) < rows).astype(np.int64)
    with warnings.catch_warnings():
        # A cell may well be asked to be larger than the rest.
        warnings.filterwarnings("ignore", "After over-sampling", UserWarning)
        made, _ = sampler.fit_resample(table, own)
    generated: npt.NDArray[np.float64] = made[len(table) :].astype(np.float64)
    return generated
