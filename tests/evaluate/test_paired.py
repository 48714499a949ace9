"""Two models on the same rows: limits solve their equation, verdicts err no oftener than stated."""

import numpy as np
import pytest
from scipy.stats import binom

from tasks.errors import Refusal
from tasks.evaluate.paired import compare_right, compare_squares


def outcomes(both: int, only_new: int, only_old: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    new = np.repeat([True, True, False, False], [both, only_new, only_old, neither])
    old = np.repeat([True, False, True, False], [both, only_new, only_old, neither])
    return new, old


def test_limits_solve_tangos_score_equation() -> None:
    """12 and 2 discordant of 44: each limit, put into the score statistic, gives the normal quantile."""
    new, old = outcomes(20, 12, 2, 10)
    found = compare_right(new, old, 0.01, alpha=0.025)
    assert found.difference == pytest.approx(10 / 44)
    for d, count in ((found.low, 1), (found.high, -1)):  # each limit solves the score equation
        share = share_on_line(12, 2, 44, d)
        z = (12 - 2 - 44 * d) / np.sqrt(44 * (2 * share + d * (1 - d)))
        assert z == pytest.approx(count * 1.959964, abs=1e-5)


def share_on_line(b: int, c: int, n: int, d: float) -> float:
    """Maximum likelihood of P(only old right) given the difference d, by search."""
    q = np.linspace(max(0, -d) + 1e-9, (1 - d) / 2 - 1e-9, 2_000_001)
    fit = b * np.log(q + d) + c * np.log(q) + (n - b - c) * np.log(1 - 2 * q - d)
    return float(q[np.argmax(fit)])


@pytest.mark.parametrize(
    ("new", "old", "verdict"),
    [
        (*outcomes(1700, 40, 40, 220), "not worse"),
        (*outcomes(1700, 0, 0, 300), "not worse"),
        (*outcomes(1600, 10, 150, 240), "worse"),
        (*outcomes(1600, 40, 60, 300), "not shown"),
        (*outcomes(17, 1, 1, 1), "not shown"),
    ],
)
def test_verdicts_of_the_paired_comparison(new: np.ndarray, old: np.ndarray, verdict: str) -> None:
    found = compare_right(new, old, margin=0.01)
    assert found.verdict == verdict
    assert found.low <= found.difference <= found.high


def test_a_model_worse_by_the_margin_is_rarely_called_not_worse() -> None:
    """Exact: 400 rows, 8% discordant, new worse by exactly the margin of 2 points."""
    n, discordant, margin, error = 400, 0.08, 0.02, 0.0
    worse = (discordant + margin) / 2
    for d in range(10, 60):
        chance = binom.pmf(d, n, discordant)
        for c in range(d + 1):
            new, old = outcomes(n - d, d - c, c, 0)
            if compare_right(new, old, margin).verdict == "not worse":
                error += chance * binom.pmf(c, d, worse / discordant)
    assert error < 0.056


def test_other_rows_are_not_compared() -> None:
    with pytest.raises(ValueError, match="same rows"):
        compare_right(np.ones(3, bool), np.ones(4, bool), 0.01)


def numbers(worse: float, rows: int = 4_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions of two models and the truth; the new one's R2 lies ``worse`` below the old one's."""
    rng = np.random.default_rng(seed)
    truth, old, more = rng.normal(0, 10, rows), rng.normal(0, 8, rows), rng.normal(0, 1, rows)
    return truth + old + more * 10 * np.sqrt(worse), truth + old, truth


@pytest.mark.parametrize(
    ("worse", "rows", "verdict"),
    [(0.0, 4_000, "not worse"), (0.002, 4_000, "not worse"), (0.1, 4_000, "worse"), (0.01, 100, "not shown")],
)
def test_verdicts_of_numbers(worse: float, rows: int, verdict: str) -> None:
    new, old, truth = numbers(worse, rows)
    found = compare_squares(new, old, truth, margin=0.01)
    assert (found.metric, found.verdict) == ("r2", verdict)
    r2 = [1 - ((told - truth) ** 2).sum() / ((truth - truth.mean()) ** 2).sum() for told in (new, old)]
    assert found.difference == pytest.approx(r2[0] - r2[1])
    assert found.low <= found.difference <= found.high
    assert found.better + found.worse <= found.n


def test_a_model_worse_by_the_margin_in_r2_is_rarely_called_not_worse() -> None:
    """Its R2 lies the margin below: 5% of 400 runs, and 3 standard errors."""
    found = [compare_squares(*numbers(0.02, 1_000, seed), 0.02).verdict for seed in range(400)]
    assert found.count("not worse") <= 33


def test_numbers_that_can_not_be_compared() -> None:
    with pytest.raises(ValueError, match="same rows"):
        compare_squares(np.ones(3), np.ones(3), np.ones(4), 0.01)
    with pytest.raises(Refusal, match="all the same"):
        compare_squares(np.ones(3), np.ones(3), np.ones(3), 0.01)
