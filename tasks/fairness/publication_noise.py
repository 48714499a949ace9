"""A cube with noise in every count: the other way to make it fit to publish.

Discrete Laplace noise in every cell of every table (Dwork et al. 2006; Ghosh, Roughgarden and Sundararajan
2012) gives epsilon-differential privacy for adding or removing one person, whatever the reader knows. One
row lies in one cell of each table, so a person with r rows moves the counts of T tables by r T in all, and
P(noise = z) falls as exp(-epsilon |z| / (r T)). It protects the rows behind the counts and not the names of
levels, which must be known to all beforehand; each further publication of the same rows adds its epsilon.
Negative results become 0, which lifts small counts. Totals are the sums of a table's noised counts: they add
up within a table, and differ between tables. No verdict is computed from them.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from fractions import Fraction
from math import exp, inf, sqrt
from random import Random, SystemRandom

import numpy as np
from numpy.typing import NDArray

from tasks.fairness.cube import Cube
from tasks.fairness.publication import Noised, check_rows, chosen_tables, table_of
from tasks.fairness.suppression import with_totals

Ints = NDArray[np.int64]
SMALLEST_EPSILON, LARGEST_EPSILON = 1e-6, 10
"""Below, noise is in the millions; beyond, it leaves nearly every count of a single table as it is."""
BLOCK = 32


def noised(
    cube: Cube,
    epsilon: float,
    rows_per_person: int = 1,
    tables: Sequence[Sequence[str]] | None = None,
    random: Random | None = None,
) -> Noised:
    """Tables of a cube with discrete Laplace noise in every cell, of `epsilon` for all tables together.

    Args:
        cube: the cube; its levels must not depend on whose rows it holds.
        epsilon: privacy loss for one person, above 0 and at most 10; 1 is usual, smaller is more private.
        rows_per_person: the most rows that one person may have.
        tables: attributes of each table; by default one table for each attribute.
        random: the source of randomness; the operating system's unless draws shall come again.

    Raises:
        ValueError: for an epsilon or a number of rows outside these, an attribute that the cube lacks, a
            name that a publication uses itself, or a cube in which a sampling unit has more rows than stated.
    """
    if problem := noise_problem(epsilon):
        raise ValueError(problem)
    check_rows(cube, rows_per_person)
    asked = chosen_tables(cube, tables)
    # The decimal as written, not its nearest float: the sampler works in whole numbers throughout.
    scale = rows_per_person * len(asked) / Fraction(str(epsilon))
    source = random or SystemRandom()
    counts = Cube(cube.axes, cube.labels, cube.positive, cube.counts)
    decay = exp(-1 / scale)
    return Noised(
        positive=cube.positive,
        tables=tuple(
            table_of(cube, table, with_totals(_drawn(counts.marginal(table).counts, scale, source)))
            for table in asked
        ),
        guarantee=_guarantee(epsilon, rows_per_person, len(asked)),
        epsilon=epsilon,
        rows_per_person=rows_per_person,
        deviation=sqrt(2 * decay) / (1 - decay),
    )


def noise_problem(epsilon: float) -> str | None:
    """What is wrong with an epsilon, before anything is counted."""
    if not 0 < epsilon < inf:
        return (
            f"an epsilon above 0 is expected, found {epsilon:g}: at 0 nothing could be told of the rows, and "
            "below there is no such privacy; 1 is usual, smaller is more private"
        )
    if not SMALLEST_EPSILON <= epsilon <= LARGEST_EPSILON:
        return (
            f"an epsilon from {SMALLEST_EPSILON:f} to {LARGEST_EPSILON} is expected, found {epsilon:g}: "
            "below, noise drowns every count; beyond, it leaves nearly every count as it is"
        )
    return None


def _drawn(counts: Ints, scale: Fraction, random: Random) -> Ints:
    """Counts with noise, at least 0."""
    noisy = [max(0, count + discrete_laplace(scale, random)) for count in counts.ravel().tolist()]
    return np.array(noisy, np.int64).reshape(counts.shape)


def _guarantee(epsilon: float, rows: int, tables: int) -> str:
    person = f"{rows} row{'s' if rows > 1 else ''}"
    each = "the one table" if tables == 1 else f"each of the {tables} tables"
    return (
        f"epsilon {epsilon:g}: whatever a reader knows, these counts are at most {exp(epsilon):.3g} times as "
        f"likely with any one person (of at most {person}, each in one cell of {each}) as without; the names "
        "of groups and classes are shown as they are"
    )


class KeyedRandom(Random):
    """Random bits that come again under the same key, and that nobody without it can tell from others.

    HMAC-SHA256 of a counter. Only what draws whole numbers (``randrange`` and its like) may be used.
    """

    def __init__(self, key: bytes) -> None:
        """Start with a key, at least 32 bytes that are used for nothing else."""
        super().__init__()
        self._key, self._blocks = key, 0

    def getrandbits(self, k: int, /) -> int:
        """The next k bits as a whole number."""
        blocks = -(-k // (8 * BLOCK))
        counter = range(self._blocks, self._blocks + blocks)
        self._blocks += blocks
        drawn = b"".join(hmac.digest(self._key, number.to_bytes(8, "big"), "sha256") for number in counter)
        return int.from_bytes(drawn, "big") >> (8 * BLOCK * blocks - k)


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
