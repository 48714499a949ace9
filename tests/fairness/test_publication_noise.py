"""Published noise: it has the law that it states, over all tables together, and comes again under its key."""

import math
from fractions import Fraction
from random import Random

import numpy as np
import pytest
from scipy.stats import chisquare

from tasks.fairness import Cube
from tasks.fairness.publication import TOTAL, Noised
from tasks.fairness.publication_noise import KeyedRandom, discrete_laplace, noised

from .attacks import Ints, cube_from


def _random(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - a test's fixed seed


@pytest.mark.parametrize("scale", [Fraction(1, 2), Fraction(2), Fraction(10, 3)])
def test_noise_follows_the_discrete_laplace_law(scale: Fraction) -> None:
    random = _random(int(scale * 6))
    drawn = np.array([discrete_laplace(scale, random) for _ in range(4000)])
    decay = math.exp(-1 / scale)
    reach = math.ceil(4 * scale)
    values = np.arange(-reach, reach + 1)
    chances = (1 - decay) / (1 + decay) * decay ** np.abs(values)
    tail = 1 - chances.sum()
    found = [*((drawn == z).sum() for z in values), (np.abs(drawn) > reach).sum()]
    expected = 4000 * np.array([*chances, tail])
    few = expected < 5
    observed = np.array(found)
    if few.any():
        observed = np.array([*observed[~few], observed[few].sum()])
        expected = np.array([*expected[~few], expected[few].sum()])
    assert chisquare(observed, expected).pvalue > 1e-4


def _cells(published: Noised) -> Ints:
    """The counts of the first table without its totals."""
    table = published.tables[0]
    return np.array(table.counts).reshape([len(names) for names in table.levels])[:-1, :-1, :-1]


def test_noise_states_its_epsilon_and_leaves_no_negative_counts() -> None:
    counts = np.zeros((40, 2, 2), np.int64)
    counts[:20] = 1000
    result = noised(cube_from(counts), 0.5, random=_random(1))
    assert (result.epsilon, result.rows_per_person) == (0.5, 1)
    assert "at most 1.65 times as likely" in result.guarantee
    assert (_cells(result) >= 0).all()
    noise = (_cells(result) - counts)[:20]
    assert abs(noise.std() - result.deviation) < 4 * result.deviation / np.sqrt(80) * 2
    assert Noised.model_validate_json(result.model_dump_json()) == result
    again = noised(cube_from(counts), 0.5)
    assert again.tables != result.tables  # fresh randomness unless somebody says otherwise
    more = noised(cube_from(counts), 0.5, rows_per_person=4)
    assert more.deviation > 3 * result.deviation


def test_totals_add_up_within_a_table_and_differ_between_tables() -> None:
    cube = cube_from(np.full((3, 2, 2, 2), 50, np.int64))
    published = noised(cube, 0.5, random=_random(2))
    grand = []
    for table in published.tables:
        counts = np.array(table.counts).reshape([len(names) for names in table.levels])
        for axis in range(counts.ndim):
            inner, total = np.split(counts, [-1], axis=axis)
            assert (inner.sum(axis=axis, keepdims=True) == total).all()
        grand.append(counts[-1, -1, -1])
    assert grand[0] != grand[1]
    assert noised(cube, 0.5, tables=[["a0"], ["a0"]]).tables[1:] == ()  # one table twice would cost twice


@pytest.mark.parametrize(
    ("epsilon", "rows", "message"),
    [
        (0, 1, "epsilon above 0 is expected, found 0"),
        (-1, 1, "epsilon above 0 is expected, found -1"),
        (float("nan"), 1, "epsilon above 0"),
        (float("inf"), 1, "epsilon above 0"),
        (11, 1, "leaves nearly every count as it is"),
        (1e-9, 1, "noise drowns every count"),
        (1, 0, "rows per person are expected, found 0"),
        (1, 2_000_000, "1 to 1,000,000 rows"),
    ],
)
def test_noise_without_privacy_is_refused(epsilon: float, rows: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        noised(cube_from(np.ones((2, 2, 2), np.int64)), epsilon, rows)


def test_noise_for_fewer_rows_than_a_person_has_is_refused() -> None:
    chosen = [1, 0, 1, 1]
    cube = Cube.from_arrays(chosen, chosen, {"g": list("aabb")}, unit=["p", "p", "p", "q"])
    with pytest.raises(ValueError, match="a sampling unit has 3 rows"):
        noised(cube, 1.0)
    assert noised(cube, 1.0, rows_per_person=3).rows_per_person == 3


def test_a_cube_without_groups_has_one_table() -> None:
    whole = noised(Cube({}, ("0", "1"), "1", np.full((2, 2), 50, np.int64)), 1.0)
    assert [table.levels for table in whole.tables] == [(("0", "1", TOTAL), ("0", "1", TOTAL))]


def test_keyed_draws_come_again_and_have_the_law_of_others() -> None:
    same, again, other = (KeyedRandom(bytes([key]) * 32) for key in (1, 1, 2))
    first = [same.getrandbits(k) for k in (1, 7, 64, 300)]
    assert first == [again.getrandbits(k) for k in (1, 7, 64, 300)]
    assert first != [other.getrandbits(k) for k in (1, 7, 64, 300)]
    drawn = [other.randrange(10) for _ in range(3000)]
    assert chisquare(np.bincount(drawn, minlength=10)).pvalue > 1e-4


RUNS = 500


@pytest.mark.parametrize("tables", [1, 4])
def test_a_differencing_attack_fails_against_noise(tables: int) -> None:
    """Who knows all other rows, and uses every table at best, is right at most e^eps / (1 + e^eps) often."""
    assert _right_guesses(tables, spent=1.0) <= _most(1.0)


def test_the_attack_succeeds_where_each_table_spends_the_whole_epsilon() -> None:
    """The control: noise that forgot that a row is in four tables is found out by the same attack."""
    assert _right_guesses(tables=4, spent=4.0) > _most(1.0)


def _most(epsilon: float) -> float:
    most = math.exp(epsilon) / (1 + math.exp(epsilon))
    return most + 4 * math.sqrt(most * (1 - most) / RUNS)


def _right_guesses(tables: int, spent: float) -> float:
    """Share of right guesses whether a person is there, against tables that spend so much epsilon in all.

    Every table has one cell, which holds the person: other cells tell nothing to who knows the other rows.
    """
    cubes = [cube_from(np.full([1] * (tables + 2), n, np.int64)) for n in (50, 51)]
    right = 0.0
    for run in range(RUNS):
        seen = noised(cubes[run % 2], spent, random=KeyedRandom(run.to_bytes(32, "big")))
        counts = [table.counts[0] or 0 for table in seen.tables]
        odds = sum(abs(n - 50) - abs(n - 51) for n in counts)  # of the logarithm, up to the noise's scale
        right += (odds > 0) == bool(run % 2) if odds else 0.5
    return right / RUNS
