"""Individual metrics against brute force, AIF360 and worked examples."""

from typing import Literal

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from tasks.fairness import Cube
from tasks.fairness.individual import consistency, flip_rate, generalized_entropy


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(8, 60), st.integers(1, 7))
def test_consistency_is_that_of_brute_force_where_no_distances_tie(seed: int, n: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, 3)), rng.integers(0, 2, n)
    distance = np.linalg.norm(x[:, None] - x[None, :], axis=2)
    np.fill_diagonal(distance, np.inf)
    nearest = np.argsort(distance, axis=1)[:, :k]
    assert consistency(x, y, k) == pytest.approx(1 - np.abs(y - y[nearest].mean(axis=1)).mean())


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(8, 60), st.integers(1, 7))
def test_consistency_does_not_depend_on_the_order_of_rows(seed: int, n: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 2, (n, 2)).astype(float), rng.integers(0, 2, n)  # four places, many ties
    order = rng.permutation(n)
    assert consistency(x[order], y[order], k) == pytest.approx(consistency(x, y, k))


def test_consistency_of_equal_rows_takes_their_mean() -> None:
    x = np.zeros((4, 1))
    assert consistency(x, [1, 1, 1, 1], 2) == 1
    # The others of a 0 are 0, 0, 1 with mean 1/3; those of the 1 are all 0.
    expected = 1 - (3 * abs(0 - 1 / 3) + abs(1 - 0)) / 4
    assert consistency(x, [0, 0, 0, 1], 2) == pytest.approx(expected)
    apart = np.array([[0.0], [0.0], [9.0], [9.0]])
    assert consistency(apart, [0, 0, 1, 1], 1) == 1
    assert consistency(apart, [0, 1, 0, 1], 1) == 0


@pytest.mark.parametrize(
    ("x", "y", "k", "message"),
    [
        ([[0.0], [1.0]], [0], 1, "are expected, found"),
        ([[0.0], [np.nan]], [0, 1], 1, "finite"),
        ([[0.0], [1.0]], [0, 2], 1, r"\[0, 1\]"),
        ([[0.0], [1.0]], [0, 1], 2, "1 to 1 neighbours"),
        ([[0.0], [1.0]], [0, 1], 0, "1 to 1 neighbours"),
    ],
)
def test_consistency_refuses_bad_input(x: list[list[float]], y: list[float], k: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        consistency(x, y, k)


def entropy_of_rows(benefits: np.ndarray, alpha: int) -> float:
    """Speicher et al. 2018, equation 3, and its limits, row by row."""
    ratio = benefits / benefits.mean()
    if alpha == 0:
        return float(-np.log(ratio).mean())
    if alpha == 1:
        return float(np.mean([r * np.log(r) if r else 0 for r in ratio]))
    return float(((ratio**alpha - 1) / (alpha * (alpha - 1))).mean())


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 80), st.sampled_from([0, 1, 2]))
def test_entropy_from_counts_is_that_of_rows(seed: int, n: int, alpha: Literal[0, 1, 2]) -> None:
    rng = np.random.default_rng(seed)
    truth, guess, group = rng.integers(0, 2, n), rng.integers(0, 2, n), rng.choice(["a", "b", "c"], n)
    cube = Cube.from_arrays(truth, guess, {"g": group})
    benefits = 1.0 + guess - truth
    found = generalized_entropy(cube, alpha)
    if benefits.sum() == 0 or (alpha == 0 and (benefits == 0).any()):
        assert found is None
    else:
        assert found == pytest.approx(entropy_of_rows(benefits, alpha), abs=1e-12)
    means = np.array([benefits[group == name].mean() for name in group])
    between = generalized_entropy(cube, alpha, by=["g"])
    if means.sum() == 0 or (alpha == 0 and (means == 0).any()):
        assert between is None
    else:
        assert between == pytest.approx(entropy_of_rows(means, alpha), abs=1e-12)
    if found is not None and between is not None:
        assert between <= found + 1e-12  # the index is additively decomposable


def test_entropy_needs_a_positive_class() -> None:
    with pytest.raises(ValueError, match="positive class is needed"):
        generalized_entropy(Cube.from_arrays(["a", "b", "c"], ["a", "b", "c"], {"g": ["x", "x", "y"]}))


PEOPLE = pl.DataFrame({"sex": ["F", "M", "F", "M", None, "X"], "income": [10, 20, 30, 40, 50, 60]})
SWAP = {"F": "M", "M": "F"}


def test_flips_are_counted_with_their_direction() -> None:
    def unfair(rows: pl.DataFrame) -> list[bool]:
        return rows.select((pl.col("income") > 15) & ((pl.col("sex") == "M") | (pl.col("income") > 35)))[
            "income"
        ].to_list()

    found = flip_rate(unfair, PEOPLE, "sex", SWAP)
    assert (found.n, found.left_out, found.flips, found.rate) == (4, 2, 2, 0.5)
    assert found.changes == (("F", "M", "False", "True", 1), ("M", "F", "True", "False", 1))
    exact = binomtest(2, 4).proportion_ci(0.95, "exact")
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))


def test_a_model_that_does_not_read_the_attribute_never_flips() -> None:
    many = pl.DataFrame({"sex": ["F", "M"] * 500, "income": list(range(1000))})
    found = flip_rate(lambda rows: (rows["income"] > 500).to_numpy(), many, "sex", SWAP)
    assert (found.flips, found.low, found.changes) == (0, 0.0, ())
    assert found.high == pytest.approx(1 - 0.025 ** (1 / 1000))  # nothing seen in 1000 rows is not never


def test_flips_over_no_rows_are_undefined() -> None:
    found = flip_rate(lambda rows: rows["income"].to_list(), PEOPLE, "sex", {"Y": "Z"})
    assert (found.n, found.rate, found.low, found.high) == (0, None, None, None)


def test_what_cannot_be_swapped_is_refused() -> None:
    with pytest.raises(ValueError, match="no column"):
        flip_rate(lambda rows: rows["income"].to_list(), PEOPLE, "race", SWAP)
    with pytest.raises(ValueError, match="stand for themselves"):
        flip_rate(lambda rows: rows["income"].to_list(), PEOPLE, "sex", {"F": "F"})
    with pytest.raises(ValueError, match="one prediction a row"):
        flip_rate(lambda rows: rows["income"].to_list()[:1], PEOPLE, "sex", SWAP)
