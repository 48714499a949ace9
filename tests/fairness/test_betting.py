"""Limits of means: they hold where those of Student fail, and are not much wider where these hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t

from tasks.fairness.betting import mean_limits, share_out

NODES = np.linspace(0.0, 1.0, 129)


def limits(values: np.ndarray, level: float) -> tuple[float, float]:
    weights = share_out(values, np.zeros(len(values), np.int64), NODES, 1)
    low, high = mean_limits(weights, NODES, level)
    return float(low[0]), float(high[0])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(-3, 7, width=32), st.integers(0, 2)), max_size=30))
def test_sharing_out_keeps_rows_and_sums(rows: list[tuple[float, int]]) -> None:
    nodes = np.array([-3.0, -2.5, 0.0, 4.0, 7.0])
    values, codes = np.array([v for v, _ in rows], float), np.array([g for _, g in rows], np.int64)
    weights = share_out(values, codes, nodes, 3)
    assert (weights >= 0).all()
    assert weights.sum(axis=1) == pytest.approx([(codes == g).sum() for g in range(3)])
    assert weights @ nodes == pytest.approx([values[codes == g].sum() for g in range(3)], abs=1e-9)


CASES = {
    "spread": lambda rng, n: rng.random(n),
    "skewed": lambda rng, n: np.minimum(rng.exponential(0.07, n), 1),
    "one in a hundred is far off": lambda rng, n: np.where(rng.random(n) < 0.01, 1.0, 0.1 * rng.random(n)),
    "at the ends": lambda rng, n: (rng.random(n) < 0.03).astype(float),
}
MEANS = {
    "spread": 0.5,
    "skewed": 0.07 * (1 - np.exp(-1 / 0.07)),
    "one in a hundred is far off": 0.01 + 0.99 * 0.05,
    "at the ends": 0.03,
}


@pytest.mark.parametrize("rows", [25, 400])
@pytest.mark.parametrize("case", CASES)
def test_a_limit_misses_the_mean_no_oftener_than_its_level(case: str, rows: int) -> None:
    rng, draws, level = np.random.default_rng(rows), 2_000, 0.05
    values = CASES[case](rng, draws * rows)
    weights = share_out(values, np.repeat(np.arange(draws), rows), NODES, draws)
    low, high = mean_limits(weights, NODES, level)
    most = level * draws + 3 * np.sqrt(level * draws)
    assert (low > MEANS[case]).sum() <= most
    assert (high < MEANS[case]).sum() <= most


def test_students_limit_fails_where_ours_holds() -> None:
    """Rare large errors that most samples do not have: Student's upper limit is far below the mean."""
    rng, draws, rows, level = np.random.default_rng(3), 500, 100, 0.05
    values = np.where(rng.random((draws, rows)) < 0.005, 1.0, 0.01 * rng.random((draws, rows)))
    mean, error = values.mean(axis=1), values.std(axis=1, ddof=1) / np.sqrt(rows)
    true = 0.005 + 0.995 * 0.005
    assert (mean + t.ppf(1 - level, rows - 1) * error < true).mean() > 0.5
    weights = share_out(values.ravel(), np.repeat(np.arange(draws), rows), NODES, draws)
    assert (mean_limits(weights, NODES, level)[1] < true).mean() <= level


@pytest.mark.parametrize(
    ("rows", "level", "widest"), [(500, 0.05, 2.2), (5_000, 0.0025, 1.7), (5_000, 1e-5, 1.5)]
)
def test_they_are_not_much_wider_than_students(rows: int, level: float, widest: float) -> None:
    values = np.random.default_rng(0).random(rows)
    error = values.std(ddof=1) / np.sqrt(rows) * t.ppf(1 - level, rows - 1)
    low, high = limits(values, level)
    assert error < high - values.mean() < widest * error
    assert error < values.mean() - low < widest * error


def test_limits_at_the_ends_of_the_range() -> None:
    low, high = limits(np.zeros(100), 0.05)
    assert low == pytest.approx(0, abs=1e-9)
    assert -np.log(0.05) / 100 < high < 0.1  # no limit can be lower than the first: so much may be unseen
    low, high = limits(np.ones(1), 0.05)
    assert 0 <= low <= high == 1
    assert np.isnan(mean_limits(np.zeros((1, 129)), NODES, 0.05)).all()
