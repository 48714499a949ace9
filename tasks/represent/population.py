"""The reference population: a small table of counts beside the plan, pinned by its digest."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from pathlib import Path

import polars as pl

from tasks.errors import Refusal, SourceAltered, SourceError
from tasks.evidence.digest import digest_file
from tasks.ingest.tables import read_table
from tasks.plan.base import crossing
from tasks.plan.judgement import Judgement, Population
from tasks.plan.source import CsvFormat
from tasks.represent.table import JOINER, Table, tabulate

SHARES_ROUNDED = 0.001  # published tables round: a hundred shares given to five digits may be this far off


def compared_attributes(population: Population) -> tuple[tuple[str, ...], ...]:
    """Attributes and crossings that need the reference, each once, in the plan's order."""
    margins = population.raking.margins if population.raking else []
    return tuple(dict.fromkeys(crossing(name) for name in [*population.attributes, *margins]))


def read_reference(population: Population, judgement: Judgement, folder: Path) -> Table:
    """Read the reference counts over every attribute that the plan compares or rakes.

    Args:
        population: the plan's reference; ``file`` lies in ``folder``.
        judgement: gives the order of bands of a number; categories are sorted.
        folder: the plan's folder.

    Raises:
        SourceError: the file is absent, or its SHA-256 is not the plan's.
        Refusal: a column is missing; a count is no number >= 0, or all are 0; a cell stands twice; shares
            that do not add up to 1, or counts that do not add up to the plan's `total`.
    """
    path = folder / population.file
    _check_bytes(path, population.sha256)
    wanted = dict.fromkeys(name for names in compared_attributes(population) for name in names)
    # Everything is read as text: a level "1" of a category must not become a number.
    raw = read_table(path, CsvFormat(), [*wanted, "count"])
    if absent := [name for name in [*wanted, "count"] if name not in raw.columns]:
        raise Refusal(
            f"{path}: expected the columns {[*wanted, 'count']}, found {raw.columns}; missing: {absent}"
        )
    frame = raw.with_columns(pl.col("count").cast(pl.Float64, strict=False))
    _check_counts(path, frame, list(wanted))
    _check_sum(path, frame["count"].to_list(), population.total)
    levels = {name: _ordered(frame[name], judgement.protected[name].levels()) for name in wanted}
    return tabulate(frame, levels, weight="count")


def _check_bytes(path: Path, expected: str) -> None:
    if not path.is_file():
        raise SourceError(f"{path}: the reference population is not there; put the file beside plan.yaml")
    if (found := digest_file(path)) != expected:
        raise SourceAltered(
            f"{path}: expected sha256 {expected}, found {found}; restore the file, or, if the change is "
            "meant, set judgement.population.sha256"
        )


def _check_counts(path: Path, frame: pl.DataFrame, attributes: list[str]) -> None:
    bad = frame.with_row_index("line", offset=2).filter(
        pl.any_horizontal(pl.col(attributes).is_null())
        | ~(pl.col("count").is_finite() & (pl.col("count") >= 0)).fill_null(value=False)
    )
    if bad.height:
        lines = ", ".join(str(line) for line in bad["line"].head(10))
        raise Refusal(
            f"{path}: every line needs a level of each attribute and a count >= 0; "
            f"{bad.height} lines do not, the first at line {lines}"
        )
    cells = [name for name in frame.columns if name != "count"]
    if twice := frame.select(pl.struct(cells).is_duplicated().sum()).item():
        raise Refusal(
            f"{path}: every cell is expected once, {twice} lines share theirs with another; add them up, or "
            "give the column that tells them apart"
        )


def _check_sum(path: Path, counts: list[float], total: int | None) -> None:
    found = fsum(counts)
    if found <= 0:
        raise Refusal(f"{path}: the counts add up to 0; a population has at least one person")
    # Counts that are all at most 1 and not whole are shares, and shares are of something whole.
    if max(counts) <= 1 and not all(count.is_integer() for count in counts):
        if abs(found - 1) > SHARES_ROUNDED:
            raise Refusal(
                f"{path}: shares are expected to add up to 1, found {found:.6g}; a cell is missing or stands "
                "for others, or give counts of persons"
            )
        found *= total or 1
    if total is not None and abs(found - total) > SHARES_ROUNDED * total:
        raise Refusal(
            f"{path}: the counts are expected to add up to the plan's population.total {total}, "
            f"found {found:.10g}; a cell is missing or stands for others"
        )


def _ordered(column: pl.Series, bands: Sequence[str] | None) -> tuple[str, ...]:
    found = sorted(column.unique().to_list())
    if bands is None:
        return tuple(found)
    known = [band for band in bands if band in found]
    return (*known, *(level for level in found if level not in bands))


def uncovered(sample: Table, reference: Table, attributes: Sequence[tuple[str, ...]]) -> list[str]:
    """Levels and crossings that the sample has and the reference counts nobody of, one problem each.

    Nothing can be said of how such rows represent the population, so each is a problem. Both tables
    have the same levels.
    """
    problems = []
    for names in attributes:
        rows, persons = sample.margin(names).ravel(), reference.margin(names).ravel()
        for level, n, count in zip(reference.names(names), rows, persons, strict=True):
            if n > 0 and count == 0:
                problems.append(
                    f"{JOINER.join(names)}: {n:.0f} rows are {level!r}, of which the reference population "
                    "counts nobody; use the reference's spelling, or a reference that has this level"
                )
    return problems
