"""Accuracy, AUC and the paired comparison against brute force, oracles and published examples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest
from sklearn.metrics import roc_auc_score

from tasks.errors import Refusal
from tasks.evaluate.performance import accuracy, auc, compare_paired


def test_accuracy_with_clopper_pearsons_interval() -> None:
    estimate = accuracy(np.arange(50) < 43)
    oracle = binomtest(43, 50).proportion_ci(0.95, "exact")
    assert (estimate.value, estimate.n) == (0.86, 50)
    assert (estimate.low, estimate.high) == pytest.approx((oracle.low, oracle.high))
    assert accuracy(np.ones(10, bool)).high == 1.0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=40))
def test_auc_counts_every_pair_and_ties_as_half(rows: list[tuple[bool, int]]) -> None:
    positive, score = np.array([p for p, _ in rows]), np.array([s for _, s in rows])
    above, below = score[positive], score[~positive]
    if not len(above) or not len(below):
        with pytest.raises(Refusal, match="rows of both"):
            auc(positive, score)
        return
    pairs = (above[:, None] > below) + 0.5 * (above[:, None] == below)
    estimate = auc(positive, score)
    assert estimate.value == pytest.approx(pairs.mean(), abs=1e-12)
    assert 0 <= estimate.low <= estimate.value + 1e-12
    assert estimate.value - 1e-12 <= estimate.high <= 1
    assert estimate.low < estimate.high


def test_delongs_variance_is_that_of_the_placement_values() -> None:
    rng = np.random.default_rng(0)
    positive = np.arange(200) < 80
    score = rng.normal(size=200).round(1) + positive
    kernel = (score[positive][:, None] > score[~positive]) + 0.5 * (
        score[positive][:, None] == score[~positive]
    )
    error = np.sqrt(kernel.mean(1).var(ddof=1) / 80 + kernel.mean(0).var(ddof=1) / 120)
    estimate, value = auc(positive, score), kernel.mean()
    half = 1.959964 * error / (value * (1 - value))
    centre = np.log(value / (1 - value))
    assert (estimate.low, estimate.high) == pytest.approx(
        (1 / (1 + np.exp(half - centre)), 1 / (1 + np.exp(-half - centre))), abs=1e-7
    )


def test_aucs_interval_covers() -> None:
    """Binormal scores with AUC .8: the 95% interval holds it in at least 92% of 400 draws."""
    rng, covered = np.random.default_rng(1), 0
    positive = np.arange(150) < 50
    for _ in range(400):
        score = rng.normal(size=150) + positive * np.sqrt(2) * 0.8416212
        estimate = auc(positive, score)
        covered += estimate.low <= 0.8 <= estimate.high
    assert covered >= 368


def test_perfect_separation_is_not_certain() -> None:
    estimate = auc(np.arange(30) < 10, -np.arange(30))
    assert (estimate.value, estimate.high) == (1.0, 1.0)
    assert estimate.low == pytest.approx(0.025 ** (1 / 10))


def outcomes(both: int, only_new: int, only_old: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    new = np.repeat([True, True, False, False], [both, only_new, only_old, neither])
    old = np.repeat([True, False, True, False], [both, only_new, only_old, neither])
    return new, old


def test_limits_solve_tangos_score_equation() -> None:
    """12 and 2 discordant of 44: each limit, put into the score statistic, gives the normal quantile."""
    new, old = outcomes(20, 12, 2, 10)
    found = compare_paired(new, old, 0.01, alpha=0.025)
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
    found = compare_paired(new, old, margin=0.01)
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
            if compare_paired(new, old, margin).verdict == "not worse":
                error += chance * binom.pmf(c, d, worse / discordant)
    assert error < 0.056


def test_other_rows_are_not_compared() -> None:
    with pytest.raises(ValueError, match="same rows"):
        compare_paired(np.ones(3, bool), np.ones(4, bool), 0.01)


def test_auc_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    positive = rng.random(300) < 0.3
    scores = np.round(rng.random(300) + 0.3 * positive, 1).astype(np.float32)  # with ties
    assert auc(positive, scores).value == pytest.approx(float(roc_auc_score(positive, scores)))
