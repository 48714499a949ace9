"""A cube made fit to publish, by suppressing small counts; `publication_noise` has the other way, noise.

Suppression (`suppressed`) shows true counts, hides those below a threshold, and hides others with them
so that no hidden one follows from the totals (`tasks.fairness.suppression` states the guarantee). It
holds for one publication: two of them, cut differently from the same rows, may be subtracted. It does
not hold against somebody who knows most of the rows, nor against reasoning about which counts the
algorithm would have chosen. Zeros are shown, so a reader may learn that nobody in a group had some
outcome. Counts are of rows: where one person has r of them, those below r times the threshold are hidden.

Neither way keeps scores, weights or sampling units.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.evidence.records import Record
from tasks.fairness.cube import Cube
from tasks.fairness.suppression import shown_counts, with_totals

TOTAL = "(all)"
"""The name of a margin among an attribute's levels or the classes."""
THRESHOLD = 10
MAXIMUM_ENTRIES = 1_200
"""Counts of one publication: beyond, the search for what to hide takes minutes."""
MOST_ROWS = 1_000_000


class PublishedTable(Record):
    """One table of a publication: group x true class x predicted class, with all totals.

    Attributes:
        attributes: the attributes that it crosses.
        levels: names along each axis (the attributes, true class, predicted class), ending in "(all)".
        counts: in the order of ``itertools.product(*levels)``; None where hidden.
    """

    attributes: tuple[str, ...]
    levels: tuple[tuple[str, ...], ...]
    counts: tuple[int | None, ...]

    def frame(self) -> pl.DataFrame:
        """One row per count: the attributes' columns, ``true class``, ``predicted class``, ``n``."""
        rows = list(product(*self.levels))
        names = (*self.attributes, "true class", "predicted class")
        columns = {name: pl.Series([row[i] for row in rows], dtype=pl.String) for i, name in enumerate(names)}
        return pl.DataFrame({**columns, "n": pl.Series(self.counts, dtype=pl.Int64)})


class Publication(Record):
    """Counts fit to publish.

    Attributes:
        positive: the cube's positive class.
        tables: the tables asked for.
        guarantee: what a reader can't work out.
    """

    positive: str | None
    tables: tuple[PublishedTable, ...]
    guarantee: str


class Suppressed(Publication):
    """Counts as they are, small ones suppressed.

    Attributes:
        threshold: the smallest count shown, but for 0: of rows.
        hidden: how many counts are hidden.
    """

    kind: Literal["suppressed"] = "suppressed"
    threshold: int
    hidden: int


class Noised(Publication):
    """Counts with noise in every cell.

    Attributes:
        epsilon: privacy loss of publishing all tables together.
        rows_per_person: rows that one person has at most, as the publisher states.
        deviation: standard deviation of the noise of each cell, before negatives became 0; a total over k
            cells has sqrt(k) times as much.
    """

    kind: Literal["noised"] = "noised"
    epsilon: float
    rows_per_person: int
    deviation: float


def suppressed(
    cube: Cube,
    tables: Sequence[Sequence[str]] | None = None,
    threshold: int = THRESHOLD,
    rows_per_person: int = 1,
) -> Suppressed:
    """Tables of a cube in which no count of 1 to threshold - 1 persons can be read or worked out.

    Args:
        cube: the cube.
        tables: attributes of each table; by default one table for each attribute. Ask for all at once:
            the guarantee covers what is published together.
        threshold: the fewest persons whose count may be shown, at least 2.
        rows_per_person: the most rows that one person may have.

    Raises:
        ValueError: for an attribute that the cube lacks, a threshold below 2, a sampling unit with more rows
            than stated, a level or attribute named like the publication's own, or more counts than can be
            checked.
    """
    if threshold < 2:
        raise ValueError(f"a threshold of at least 2 is expected, found {threshold}")
    check_rows(cube, rows_per_person)
    threshold *= rows_per_person
    asked = chosen_tables(cube, tables)
    part = cube.marginal([name for name in cube.axes if any(name in table for table in asked)])
    slices = [_slice(part, table) for table in asked]
    extended = with_totals(part.counts)
    published = np.zeros(extended.shape, bool)
    for chosen in slices:
        published[chosen] = True
    if (entries := int(published.sum())) > MAXIMUM_ENTRIES:
        raise ValueError(
            f"at most {MAXIMUM_ENTRIES} counts are published at once, these tables have {entries}: "
            "ask for smaller crossings or fewer levels, or publish the cube with noise"
        )
    shown = shown_counts(part.counts, published, threshold)
    return Suppressed(
        threshold=threshold,
        positive=cube.positive,
        tables=tuple(
            table_of(part, table, extended[chosen], shown[chosen])
            for table, chosen in zip(asked, slices, strict=True)
        ),
        hidden=int((published & ~shown).sum()),
        guarantee=(
            f"counts of 1 to {threshold - 1} are hidden; each of them, in any crossing of "
            f"{', '.join(part.axes) or 'no attribute'}, stays open within a range of at least {threshold} "
            "values for a reader of these tables, and no hidden count follows exactly; zeros are shown"
        ),
    )


def check_rows(cube: Cube, rows_per_person: int) -> None:
    """Hold what is said of persons' rows against the cube's sampling units.

    Raises:
        ValueError: for fewer than 1 row or more than a million, or a unit with more rows than stated.
    """
    if problem := rows_problem(rows_per_person):
        raise ValueError(problem)
    if cube.units is None:
        return
    most = int(np.bincount(cube.units.unit, cube.units.counts).max(initial=0))
    if most > rows_per_person:
        raise ValueError(f"rows per person: {rows_per_person} stated, yet a sampling unit has {most} rows")


def rows_problem(rows_per_person: int) -> str | None:
    """What is wrong with a number of rows, before anything is counted."""
    if 1 <= rows_per_person <= MOST_ROWS:
        return None
    return f"1 to {MOST_ROWS:,} rows per person are expected, found {rows_per_person}"


def chosen_tables(cube: Cube, tables: Sequence[Sequence[str]] | None) -> list[tuple[str, ...]]:
    """The tables to publish, each once, its attributes in the cube's order.

    Args:
        cube: the cube.
        tables: attributes of each; None for one table an attribute, or one without groups if there is none.

    Raises:
        ValueError: for an attribute that the cube lacks, or a name that a publication uses itself.
    """
    asked = tables if tables is not None else [[name] for name in cube.axes] or [[]]
    if strange := sorted({name for table in asked for name in table} - set(cube.axes)):
        raise ValueError(f"no attribute {strange} in this cube, there are: {', '.join(cube.axes) or 'none'}")
    taken = {TOTAL} & {name for levels in (*cube.axes.values(), cube.labels) for name in levels}
    taken |= {"true class", "predicted class", "n"} & set(cube.axes)
    if taken:
        raise ValueError(f"publications use the names {sorted(taken)} themselves: rename them in the cube")
    return list(dict.fromkeys(tuple(name for name in cube.axes if name in table) for table in asked))


def _slice(cube: Cube, table: Sequence[str]) -> tuple[slice | int, ...]:
    """Where a table lies in the extended cube: attributes that it lacks are summed over."""
    return (*(slice(None) if name in table else -1 for name in cube.axes), slice(None), slice(None))


def table_of(
    cube: Cube, attributes: Sequence[str], counts: NDArray[np.int64], shown: NDArray[np.bool_] | None = None
) -> PublishedTable:
    """A table of a cube's attributes, from its counts with all totals; all shown unless it is said."""
    levels = (*(cube.axes[name] for name in attributes), cube.labels, cube.labels)
    visible = np.ones(counts.shape, bool) if shown is None else shown
    flat = zip(counts.ravel().tolist(), visible.ravel().tolist(), strict=True)
    return PublishedTable(
        attributes=tuple(attributes),
        levels=tuple((*names, TOTAL) for names in levels),
        counts=tuple(count if each else None for count, each in flat),
    )
