"""Proof by simulation (fixed seeds): error rates at the limit, and power where it must have some."""

import numpy as np
import pytest
from scipy.stats import binom

from tasks.fairness import Cube, Verdict, judge


def verdicts(
    sizes: list[int], rates: list[float], limit: float, metric: str, alpha: float, runs: int, seed: int
) -> dict[Verdict, int]:
    """Verdicts over simulated test sets of groups that are selected at the given rates."""
    rng = np.random.default_rng(seed)
    events = rng.binomial(sizes, rates, (runs, len(sizes)))
    axes = {"g": tuple(f"g{i}" for i in range(len(sizes)))}
    limits = [{"metric": metric, "attribute": "g", "limit": limit}]
    found = dict.fromkeys(Verdict, 0)
    for drawn in events:
        counts = np.zeros((len(sizes), 2, 2), np.int64)
        counts[:, 1, 1], counts[:, 1, 0] = drawn, np.array(sizes) - drawn
        found[judge(Cube(axes, ("0", "1"), "1", counts), limits, alpha)[0].verdict] += 1
    return found


def most(runs: int, alpha: float) -> int:
    """The largest count that an error rate of alpha explains; exceeded by chance 1 time in 100,000."""
    return int(binom.ppf(1 - 1e-5, runs, alpha))


GRID = [
    # groups, size of the first, size of the others, base rate, limit
    (2, 20, 20, 0.5, 0.2),
    (2, 20, 2000, 0.01, 0.1),
    (2, 60, 2000, 0.01, 0.05),
    (2, 200, 200, 0.1, 0.1),
    (2, 1000, 1000, 0.2, 0.05),
    (2, 10_000, 300, 0.01, 0.05),
    (6, 100, 1000, 0.1, 0.1),
    (24, 2000, 2000, 0.3, 0.1),
]


@pytest.mark.parametrize("alpha", [0.05, 0.0025])
@pytest.mark.parametrize(("groups", "first", "others", "base", "limit"), GRID)
def test_errors_at_the_limit(
    groups: int, first: int, others: int, base: float, limit: float, alpha: float
) -> None:
    """One group lies exactly the limit above (then below) the rest: PASS and FAIL are both errors here."""
    runs = 200 if groups == 2 else 40
    sizes = [first] + [others] * (groups - 1)
    for seed, rates in enumerate(
        ([base + limit] + [base] * (groups - 1), [base] + [base + limit] * (groups - 1))
    ):
        found = verdicts(sizes, rates, limit, "demographic_parity_difference", alpha, runs, seed)
        assert found[Verdict.PASS] <= most(runs, alpha)
        assert found[Verdict.FAIL] <= most(runs, alpha)


@pytest.mark.parametrize("alpha", [0.05, 0.0025])
@pytest.mark.parametrize(("first", "others", "base"), [(100, 100, 0.5), (50, 2000, 0.1), (2000, 400, 0.05)])
def test_errors_at_the_limit_of_a_ratio(first: int, others: int, base: float, alpha: float) -> None:
    for seed, rates in enumerate(([base, 0.8 * base], [0.8 * base, base])):
        found = verdicts([first, others], rates, 0.8, "demographic_parity_ratio", alpha, 200, seed)
        assert found[Verdict.PASS] <= most(200, alpha)
        assert found[Verdict.FAIL] <= most(200, alpha)


@pytest.mark.parametrize("groups", [2, 5])
def test_equal_rates_pass_at_ten_thousand_rows_a_group(groups: int) -> None:
    found = verdicts([10_000] * groups, [0.2] * groups, 0.05, "demographic_parity_difference", 0.05, 100, 7)
    assert found[Verdict.PASS] >= 95


@pytest.mark.parametrize("groups", [2, 5])
def test_a_gap_of_fifteen_points_fails_at_ten_thousand_rows_a_group(groups: int) -> None:
    rates = [0.35] + [0.2] * (groups - 1)
    found = verdicts([10_000] * groups, rates, 0.05, "demographic_parity_difference", 0.05, 100, 8)
    assert found[Verdict.FAIL] >= 95
