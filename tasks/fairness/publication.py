"""A cube made fit to publish: small counts suppressed, or every count noised.

Suppression (`suppressed`) shows true counts, hides those below a threshold, and hides others with them
so that no hidden one follows from the totals (`tasks.fairness.suppression` states the guarantee). It
holds for one publication: two of them, cut differently from the same rows, may be subtracted. It does
not hold against somebody who knows most of the rows, nor against reasoning about which counts the
algorithm would have chosen. Zeros are shown, so a reader may learn that nobody in a group had some
outcome. Counts are of rows: where one person has several, choose the threshold accordingly.

Noise (`noised`) adds discrete Laplace noise to every cell: epsilon-differential privacy for adding or
removing one person, whatever the reader knows (Dwork et al. 2006; Ghosh, Roughgarden and Sundararajan
2012). It protects the rows behind the counts and not the names of levels, which must be known to all
beforehand; each further publication of the same rows adds its epsilon. Negative results become 0, which
lifts small counts; a noised cube is for reading, no verdict is computed from it.

Neither keeps scores, weights or sampling units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import inf
from random import Random, SystemRandom

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
    """Counts fit to publish, small ones suppressed.

    Attributes:
        threshold: the smallest count shown, but for 0.
        positive: the cube's positive class.
        tables: the tables asked for.
        hidden: how many of their counts are hidden.
        guarantee: what a reader can't work out.
    """

    schema_version: int = 1
    threshold: int
    positive: str | None
    tables: tuple[PublishedTable, ...]
    hidden: int
    guarantee: str


def suppressed(
    cube: Cube, tables: Sequence[Sequence[str]] | None = None, threshold: int = THRESHOLD
) -> Publication:
    """Tables of a cube in which no count of 1 to threshold - 1 can be read or worked out.

    Args:
        cube: the cube.
        tables: attributes of each table; by default one table for each attribute. Ask for all at once:
            the guarantee covers what is published together.
        threshold: the smallest count that may be shown, at least 2.

    Raises:
        ValueError: for an attribute that the cube lacks, a threshold below 2, a level or attribute named
            like the publication's own, or more counts than can be checked.
    """
    if threshold < 2:
        raise ValueError(f"a threshold of at least 2 is expected, found {threshold}")
    asked = [tuple(table) for table in (tables if tables is not None else [[name] for name in cube.axes])]
    part = cube.marginal([name for name in cube.axes if any(name in table for table in asked)])
    if strange := sorted({name for table in asked for name in table} - set(cube.axes)):
        raise ValueError(f"no attribute {strange} in this cube, there are: {', '.join(cube.axes)}")
    _check_names(part)
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
    return Publication(
        threshold=threshold,
        positive=cube.positive,
        tables=tuple(
            _table(part, table, extended[chosen], shown[chosen])
            for table, chosen in zip(asked, slices, strict=True)
        ),
        hidden=int((published & ~shown).sum()),
        guarantee=(
            f"counts of 1 to {threshold - 1} are hidden; each of them, in any crossing of "
            f"{', '.join(part.axes) or 'no attribute'}, stays open within a range of at least {threshold} "
            "values for a reader of these tables, and no hidden count follows exactly; zeros are shown"
        ),
    )


def _check_names(cube: Cube) -> None:
    taken = {TOTAL} & {name for levels in (*cube.axes.values(), cube.labels) for name in levels}
    taken |= {"true class", "predicted class", "n"} & set(cube.axes)
    if taken:
        raise ValueError(f"publications use the names {sorted(taken)} themselves: rename them in the cube")


def _slice(cube: Cube, table: Sequence[str]) -> tuple[slice | int, ...]:
    """Where a table lies in the extended cube: attributes that it lacks are summed over."""
    return (*(slice(None) if name in table else -1 for name in cube.axes), slice(None), slice(None))


def _table(
    cube: Cube, table: Sequence[str], counts: NDArray[np.int64], shown: NDArray[np.bool_]
) -> PublishedTable:
    attributes = tuple(name for name in cube.axes if name in table)
    levels = (*(cube.axes[name] for name in attributes), cube.labels, cube.labels)
    flat = zip(counts.ravel().tolist(), shown.ravel().tolist(), strict=True)
    return PublishedTable(
        attributes=attributes,
        levels=tuple((*names, TOTAL) for names in levels),
        counts=tuple(count if visible else None for count, visible in flat),
    )


@dataclass(frozen=True, eq=False)
class Noised:
    """A cube of noised counts.

    Attributes:
        cube: the counts, at least 0.
        epsilon: the privacy loss of publishing it.
        rows_per_person: rows that one person has at most, as the caller states.
        deviation: standard deviation of the noise of each cell, before negatives became 0; a margin
            over k cells has sqrt(k) times as much.
    """

    cube: Cube
    epsilon: float
    rows_per_person: int
    deviation: float


def noised(cube: Cube, epsilon: float, rows_per_person: int = 1, random: Random | None = None) -> Noised:
    """A cube with discrete Laplace noise in every cell: P(noise = z) falls as exp(-epsilon |z| / rows).

    Args:
        cube: the cube; its levels must not depend on whose rows it holds.
        epsilon: privacy loss for one person, above 0; 1 is usual, smaller is more private.
        rows_per_person: the most rows that one person may have.
        random: the source of randomness; the operating system's unless a test needs a fixed one.

    Raises:
        ValueError: for an epsilon that is not finite and above 0, fewer than 1 row, or a cube in which a
            sampling unit has more rows than stated.
    """
    if not 0 < epsilon < inf or rows_per_person < 1:
        found = f"{epsilon} and {rows_per_person}"
        raise ValueError(f"epsilon above 0 and finite and at least 1 row per person expected, found {found}")
    if cube.units is not None:
        most = int(np.bincount(cube.units.unit, cube.units.counts).max(initial=0))
        if most > rows_per_person:
            raise ValueError(f"`rows_per_person` is {rows_per_person}, yet a sampling unit has {most} rows")
    # The decimal as written, not its nearest float: the sampler works in whole numbers throughout.
    scale = rows_per_person / Fraction(str(epsilon))
    source = random or SystemRandom()
    noise = np.array([discrete_laplace(scale, source) for _ in range(cube.counts.size)], np.int64)
    counts = np.maximum(cube.counts + noise.reshape(cube.counts.shape), 0)
    decay = np.exp(-epsilon / rows_per_person)
    deviation = float(np.sqrt(2 * decay) / (1 - decay))
    return Noised(Cube(cube.axes, cube.labels, cube.positive, counts), epsilon, rows_per_person, deviation)


def discrete_laplace(scale: Fraction, random: Random) -> int:
    """One exact draw with P(z) proportional to exp(-|z| / scale): Canonne, Kamath and Steinke 2020, alg. 2.

    Drawn from whole numbers alone: noise made of floating-point numbers leaks (Mironov 2012).
    """
    t, s = scale.numerator, scale.denominator
    while True:
        low = random.randrange(t)
        if not _with_chance_exp(Fraction(low, t), random):
            continue
        high = 0
        while _with_chance_exp(Fraction(1), random):
            high += 1
        size, negative = (low + t * high) // s, bool(random.randrange(2))
        if size or not negative:  # or else 0 would come twice as often
            return -size if negative else size


def _with_chance_exp(x: Fraction, random: Random) -> bool:
    """True with probability exp(-x), x in [0, 1]: the same paper's algorithm 1."""
    k = 1
    while random.randrange(x.denominator * k) < x.numerator:
        k += 1
    return k % 2 == 1
