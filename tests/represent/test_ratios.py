"""Ratios, their intervals and verdicts; effects against their definitions."""

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from tasks.fairness.verdict import Verdict
from tasks.represent.effects import effects
from tasks.represent.ratios import clopper_pearson, ratios
from tasks.represent.records import Ratio
from tasks.represent.table import Table

BAND = (0.8, 1.25)


def pair(sample: list[float], reference: list[float]) -> tuple[Table, Table]:
    levels = {"a": tuple(f"a{i}" for i in range(len(sample)))}
    return Table(levels, np.array(sample, float)), Table(levels, np.array(reference, float))


def judged(sample: list[float], reference: list[float], alpha: float = 0.05) -> tuple[Ratio, ...]:
    return ratios(*pair(sample, reference), [("a",)], BAND, alpha=alpha, rows=sum(sample))


def test_clopper_pearson_is_scipys_exact_interval_with_its_ends() -> None:
    events = np.array([0.0, 1, 7, 20])
    low, high = clopper_pearson(events, 20, 0.025)
    for i, k in enumerate(events):
        exact = stats.binomtest(int(k), 20).proportion_ci(0.95, method="exact")
        assert (low[i], high[i]) == pytest.approx((exact.low, exact.high))


def test_a_ratio_and_its_interval() -> None:
    first, second = judged([30, 70], [1, 1])
    exact = stats.binomtest(30, 100).proportion_ci(0.95, method="exact")
    assert (first.n, first.sample_share, first.population_share, first.ratio) == (30, 0.3, 0.5, 0.6)
    assert (first.low, first.high) == pytest.approx((exact.low / 0.5, exact.high / 0.5))
    assert second.ratio == pytest.approx(1.4)


@pytest.mark.parametrize(
    ("sample", "verdicts"),
    [
        ([500, 500], [Verdict.PASS, Verdict.PASS]),
        ([300, 700], [Verdict.FAIL, Verdict.FAIL]),
        ([5, 5], [Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE]),  # equal, but shown by ten rows alone
        ([400, 600], [Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE]),  # ratios .8 and 1.2
        ([0, 1000], [Verdict.FAIL, Verdict.FAIL]),
    ],
)
def test_three_verdicts(sample: list[float], verdicts: list[Verdict]) -> None:
    assert [ratio.verdict for ratio in judged(sample, [1, 1])] == verdicts


def test_a_level_without_reference_is_never_a_pass() -> None:
    known, unknown = judged([1000, 1], [1, 0])
    assert known.verdict is Verdict.PASS
    assert (unknown.ratio, unknown.low, unknown.high) == (None, None, None)
    assert unknown.verdict is Verdict.INCONCLUSIVE


def test_a_level_that_nobody_has_is_left_out() -> None:
    assert [ratio.level for ratio in judged([10, 0], [1, 0])] == ["a0"]


def test_rows_of_one_unit_widen_the_interval_and_take_the_pass_away() -> None:
    sample, reference = pair([500, 500], [1, 1])
    alone, *_ = ratios(sample, reference, [("a",)], BAND, alpha=0.05, rows=1000)
    units, *_ = ratios(sample, reference, [("a",)], BAND, alpha=0.05, rows=20)
    assert (alone.verdict, units.verdict) == (Verdict.PASS, Verdict.INCONCLUSIVE)
    assert units.n == alone.n == 500
    exact = stats.binomtest(10, 20).proportion_ci(0.95, method="exact")
    assert (units.low, units.high) == pytest.approx((exact.low / 0.5, exact.high / 0.5))


@pytest.mark.parametrize("alpha", [0.05, 0.0025])
@pytest.mark.parametrize("size", [20, 150, 600])
@pytest.mark.parametrize("target", [0.01, 0.1, 0.466, 0.8])
def test_errors_at_the_limit_are_at_most_alpha(alpha: float, size: int, target: float) -> None:
    # Exact, over every outcome of one level: P(PASS) with the true ratio at a limit, and P(FAIL) with
    # the true ratio anywhere within the limits.
    outcomes = np.arange(size + 1)
    verdicts = [judged([k, size - k], [target, 1 - target], alpha)[0].verdict for k in outcomes]
    passed, failed = (np.array([v is which for v in verdicts]) for which in (Verdict.PASS, Verdict.FAIL))
    for ratio in (*BAND, 1.0, 0.9):
        if ratio * target < 1:
            chances = stats.binom.pmf(outcomes, size, ratio * target)
            assert chances[failed].sum() <= alpha
            if ratio in BAND:
                assert chances[passed].sum() <= alpha


def test_enough_rows_show_a_ratio_of_one() -> None:
    # Power: at a share of 46.6% and ratio 1, 10,000 rows pass nearly always.
    outcomes = np.arange(10_001)
    floor, ceiling = 0.8 * 0.466, 1.25 * 0.466
    low, high = clopper_pearson(outcomes.astype(float), 10_000, 0.05)
    assert stats.binom.pmf(outcomes, 10_000, 0.466)[(low >= floor) & (high <= ceiling)].sum() > 0.999


def test_effects_follow_their_definitions() -> None:
    sample, reference = pair([20, 30, 50], [1, 1, 2])
    found = effects(sample, reference, ("a",), rows=100)
    p, q = np.array([0.2, 0.3, 0.5]), np.array([0.25, 0.25, 0.5])
    assert found["cohen_w"] == pytest.approx(np.sqrt(stats.chisquare(p * 100, q * 100).statistic / 100))
    assert found["psi"] == pytest.approx(((p - q) * np.log(p / q)).sum())
    assert found["js_distance"] == pytest.approx(jensenshannon(p, q))
    g_test = stats.power_divergence(p * 100, q * 100, lambda_="log-likelihood")
    assert found["g_test_p"] == pytest.approx(g_test.pvalue)


def test_effects_are_finite_for_an_empty_level_and_zero_for_a_perfect_fit() -> None:
    empty = effects(*pair([0, 100], [1, 1]), ("a",), rows=100)
    assert all(np.isfinite(value) for value in empty.values())
    assert empty["psi"] == pytest.approx((0.005 - 0.5) * np.log(0.005 / 0.5) + 0.5 * np.log(2))
    same = effects(*pair([10, 30], [1, 3]), ("a",), rows=40)
    assert same == pytest.approx({"cohen_w": 0, "psi": 0, "js_distance": 0, "g_test_p": 1})
    one = effects(*pair([10], [3]), ("a",), rows=10)
    assert one == pytest.approx({"cohen_w": 0, "psi": 0, "js_distance": 0, "g_test_p": 1})
