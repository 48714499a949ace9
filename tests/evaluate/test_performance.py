"""Accuracy, AUC and the paired comparison against brute force, oracles and published examples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from tasks.errors import Refusal
from tasks.evaluate.performance import accuracy, auc, mae


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


def test_auc_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    positive = rng.random(300) < 0.3
    scores = np.round(rng.random(300) + 0.3 * positive, 1).astype(np.float32)  # with ties
    assert auc(positive, scores).value == pytest.approx(float(roc_auc_score(positive, scores)))


def test_the_mean_absolute_error_has_the_normal_interval() -> None:
    truth, told = np.array([1.0, 2.0, 3.0, 10.0]), np.array([2.0, 2.0, 1.0, 4.0])
    found = mae(truth, told)
    half = 1.959964 * np.std([1, 0, 2, 6], ddof=1) / 2
    assert (found.value, found.low) == (9 / 4, 0.0)
    assert found.high == pytest.approx(9 / 4 + half, rel=1e-6)
