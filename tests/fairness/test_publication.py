"""Published cubes: nothing small can be worked out."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from tasks.fairness import Cube
from tasks.fairness.publication import TOTAL, Suppressed, suppressed

from .attacks import attack, check, cube_from, inside


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
    sums = np.array([inside([row[name] for name in names], cells) for row in rows])
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
    assert Suppressed.model_validate_json(published.model_dump_json()) == published


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
