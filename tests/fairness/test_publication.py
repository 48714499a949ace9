"""Published cubes: nothing small can be worked out, and noise has the law that it states."""

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import product
from pathlib import Path
from random import Random

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.stats import chisquare

from tasks.fairness import Cube
from tasks.fairness.publication import TOTAL, Publication, discrete_laplace, noised, suppressed

Ints = NDArray[np.int64]


def cube_from(counts: Ints) -> Cube:
    axes = {f"a{i}": tuple(f"v{k}" for k in range(size)) for i, size in enumerate(counts.shape[:-2])}
    labels = tuple(str(k) for k in range(counts.shape[-1]))
    return Cube(axes, labels, labels[-1], counts)


def _inside(choice: Sequence[str], cells: Sequence[tuple[str, ...]]) -> NDArray[np.float64]:
    """1 for the cells that a row of a published table sums over, else 0."""
    return np.array(
        [all(c in {TOTAL, v} for c, v in zip(choice, cell, strict=True)) for cell in cells], float
    )


def attack(cube: Cube, published: Publication) -> list[tuple[int, bool, float, float]]:
    """A reader's ranges, from the published tables alone: count, whether hidden, smallest, largest value.

    Built from the names in the tables, apart from the code that chose what to hide. Every sum of cells
    that is small, or was published and hidden, is bounded by linear programming (wider than the truth
    only in that it forgets that counts are whole).
    """
    names = [*cube.axes, "true class", "predicted class"]
    levels = [*cube.axes.values(), cube.labels, cube.labels]
    cells = list(product(*levels))
    known: list[tuple[NDArray[np.float64], int | None]] = []
    for table in published.tables:
        for row in table.frame().to_dicts():
            asked = [row.get(name, TOTAL) for name in names]
            known.append((_inside(asked, cells), row["n"]))
    shown = [(inside, n) for inside, n in known if n is not None]
    hidden = [inside for inside, n in known if n is None]
    rows = {
        "A_eq": np.array([inside for inside, _ in shown]) if shown else None,
        "b_eq": np.array([n for _, n in shown]) if shown else None,
        "A_ub": -np.array(hidden) if hidden else None,
        "b_ub": -np.ones(len(hidden)) if hidden else None,
    }
    true = cube.counts.ravel()
    sums = {inside.tobytes(): (inside, True) for inside in hidden}
    for choice in product(*[[*names_, TOTAL] for names_ in levels]):
        inside = _inside(choice, cells)
        if 0 < inside @ true < published.threshold:
            sums.setdefault(inside.tobytes(), (inside, False))
    found = []
    for inside, was_hidden in sums.values():
        ends = []
        for sign in (1, -1):
            result = linprog(sign * inside, bounds=(0, None), **rows)
            ends.append(sign * result.fun if result.status == 0 else sign * -np.inf)
        found.append((int(inside @ true), was_hidden, ends[0], ends[1]))
    return found


def check(cube: Cube, published: Publication) -> None:
    """No small count is shown, none can be narrowed below the threshold's range, no hidden one follows."""
    for table in published.tables:
        shown = [n for n in table.counts if n is not None]
        assert all(n == 0 or n >= published.threshold for n in shown)
    for count, _, low, high in attack(cube, published):
        assert low <= count + 1e-6
        assert high >= count - 1e-6
        wanted = published.threshold - 1 if count < published.threshold else 1
        assert high - low >= wanted - 1e-6, (count, low, high)


@settings(max_examples=10, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([(2, 2, 2), (3, 2, 2), (4, 2, 2), (2, 2, 2, 2), (2, 3, 3)]),
    st.sampled_from([3, 30, 150, 600, 3000]),
    st.sampled_from([3, 5, 10]),
    st.sampled_from(["each attribute", "all crossed"]),
)
def test_no_small_count_can_be_worked_out(
    seed: int, shape: tuple[int, ...], rows: int, threshold: int, table: str
) -> None:
    rng = np.random.default_rng(seed)
    cells = int(np.prod(shape))
    counts = rng.multinomial(rows, rng.dirichlet(np.full(cells, 0.4))).reshape(shape).astype(np.int64)
    cube = cube_from(counts)
    check(cube, suppressed(cube, [list(cube.axes)] if table == "all crossed" else None, threshold))


def test_without_complements_the_test_above_would_fail() -> None:
    """The same attack, on counts of which only the small ones are hidden, finds them."""
    cube = cube_from(np.array([[[40, 3], [50, 60]], [[30, 44], [35, 21]]], np.int64))
    whole = suppressed(cube, threshold=2)
    (table,) = whole.tables
    hidden = tuple(None if n is not None and 0 < n < 10 else n for n in table.counts)
    naive = whole.model_copy(
        update={"threshold": 10, "tables": (table.model_copy(update={"counts": hidden}),)}
    )
    (found,) = [one for one in attack(cube, naive) if one[1]]
    assert found[2:] == pytest.approx((3, 3))
    with pytest.raises(AssertionError):
        check(cube, naive)
    check(cube, suppressed(cube))


def test_whole_numbers_are_no_way_in() -> None:
    """Counts are whole and hidden ones at least 1, which narrows ranges: two tables still disagree."""
    cube = cube_from(np.array([[[1, 1], [1, 30]], [[20, 40], [1, 25]]], np.int64))
    published = suppressed(cube, threshold=5)
    (table,) = published.tables
    rows = table.frame().to_dicts()
    cells = list(product(("v0", "v1"), ("0", "1"), ("0", "1")))
    names = ("a0", "true class", "predicted class")
    sums = np.array([_inside([row[name] for name in names], cells) for row in rows])
    low = np.array([1 if row["n"] is None else row["n"] for row in rows], float)
    high = np.array([np.inf if row["n"] is None else row["n"] for row in rows], float)
    for target, row in zip(sums, rows, strict=True):
        if row["n"] is not None:
            continue
        ends = [
            milp(
                sign * target,
                constraints=LinearConstraint(sums, low, high),
                bounds=Bounds(0, 10_000),
                integrality=np.ones(8, int),
            )
            for sign in (1, -1)
        ]
        count = int(target @ np.array([1, 1, 1, 30, 20, 40, 1, 25]))
        assert round(-ends[1].fun - ends[0].fun) >= (4 if count < 5 else 1)


def test_large_counts_stay_and_tables_asked_together_agree() -> None:
    rng = np.random.default_rng(3)
    counts = rng.integers(50, 900, (3, 2, 2, 2))
    cube = cube_from(counts)
    assert suppressed(cube, [["a0", "a1"]]).hidden == 0
    counts[0, 0, 1, 1] = 4
    published = suppressed(cube_from(counts), [["a0"], ["a1"], ["a0", "a1"]])
    a0, _, both = published.tables
    assert both.attributes == ("a0", "a1")
    total = both.frame().filter(pl.col("a1") == TOTAL).drop("a1")
    assert total["n"].to_list() == a0.frame()["n"].to_list()
    assert None in both.counts
    check(cube_from(counts), published)
    assert Publication.model_validate_json(published.model_dump_json()) == published


def test_compas_is_published_with_little_hidden(mirror: Path) -> None:
    rows = pl.read_csv(mirror / "compas" / "compas_for_aequitas.csv")
    groups = {name: rows[name] for name in ("race", "sex", "age_cat")}
    cube = Cube.from_arrays(rows["label_value"], rows["score"], groups)
    published = suppressed(cube)
    race = published.tables[0].frame()
    known = race.filter(pl.col("race") == "African-American", pl.col("true class") == "0")
    assert known["n"].to_list() == [990, 805, 1795]  # ProPublica's TN and FP stay to be seen
    assert suppressed(cube) == published  # the same bytes again
    assert 0 < published.hidden < 40
    assert all(n is None or n == 0 or n >= 10 for table in published.tables for n in table.counts)


@pytest.mark.parametrize(
    ("tables", "threshold", "message"),
    [
        ([["shoe"]], 10, "no attribute"),
        (None, 1, "at least 2"),
    ],
)
def test_what_cannot_be_published_is_refused(
    tables: Sequence[Sequence[str]] | None, threshold: int, message: str
) -> None:
    cube = cube_from(np.full((2, 2, 2), 5, np.int64))
    with pytest.raises(ValueError, match=message):
        suppressed(cube, tables, threshold)


def test_too_many_counts_and_taken_names_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 1200 counts"):
        suppressed(cube_from(np.full((12, 12, 2, 2), 5, np.int64)), [["a0", "a1"]])
    taken = Cube({"g": ("x", TOTAL)}, ("0", "1"), "1", np.full((2, 2, 2), 50, np.int64))
    with pytest.raises(ValueError, match="rename"):
        suppressed(taken)


@pytest.mark.parametrize("scale", [Fraction(1, 2), Fraction(2), Fraction(10, 3)])
def test_noise_follows_the_discrete_laplace_law(scale: Fraction) -> None:
    random = Random(int(scale * 6))  # noqa: S311 - a test's fixed seed
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


def test_a_noised_cube_states_its_epsilon_and_has_no_negative_counts() -> None:
    counts = np.zeros((40, 2, 2), np.int64)
    counts[:20] = 1000
    result = noised(cube_from(counts), 0.5, random=Random(1))  # noqa: S311 - a test's fixed seed
    assert (result.epsilon, result.rows_per_person) == (0.5, 1)
    assert (result.cube.counts >= 0).all()
    noise = (result.cube.counts - counts)[:20]
    assert abs(noise.std() - result.deviation) < 4 * result.deviation / np.sqrt(80) * 2
    assert Cube.from_json(result.cube.to_json()) == result.cube
    again = noised(cube_from(counts), 0.5)
    assert (again.cube.counts != result.cube.counts).any()  # fresh randomness unless a test says otherwise
    more = noised(cube_from(counts), 0.5, rows_per_person=4)
    assert more.deviation > 3 * result.deviation


@pytest.mark.parametrize(("epsilon", "rows"), [(0, 1), (-1, 1), (float("nan"), 1), (float("inf"), 1), (1, 0)])
def test_noise_without_privacy_is_refused(epsilon: float, rows: int) -> None:
    with pytest.raises(ValueError, match="epsilon above 0"):
        noised(cube_from(np.ones((2, 2, 2), np.int64)), epsilon, rows)


def test_noise_for_fewer_rows_than_a_person_has_is_refused() -> None:
    chosen = [1, 0, 1, 1]
    cube = Cube.from_arrays(chosen, chosen, {"g": list("aabb")}, unit=["p", "p", "p", "q"])
    with pytest.raises(ValueError, match="a sampling unit has 3 rows"):
        noised(cube, 1.0)
    assert noised(cube, 1.0, rows_per_person=3).cube.units is None


def test_a_differencing_attack_fails_against_noise() -> None:
    """Who knows all rows but one subtracts them, and is right at most e^epsilon / (1 + e^epsilon) often."""
    counts = np.array([[[40, 3], [50, 60]], [[30, 44], [35, 21]]], np.int64)
    person = np.zeros_like(counts)
    person[0, 0, 1] = 1
    epsilon, runs, random = 0.5, 1200, Random(5)  # noqa: S311 - a test's fixed seed

    def guesses(seen: Ints) -> NDArray[np.bool_]:
        """Whether the person is there: by the cell, and by all rows less the other group's."""
        return np.array([(seen - counts)[0, 0, 1] >= 1, seen.sum() - seen[1].sum() - counts[0].sum() >= 1])

    right = np.zeros(2)
    for run in range(runs):
        cube = cube_from(counts + person * (run % 2))
        right += guesses(noised(cube, epsilon, random=random).cube.counts) == run % 2
        assert (guesses(cube.counts) == run % 2).all()  # of counts as they are it is always right
    most = math.exp(epsilon) / (1 + math.exp(epsilon))
    assert (right / runs <= most + 4 * math.sqrt(most * (1 - most) / runs)).all()
