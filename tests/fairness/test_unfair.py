"""Four deliberately unfair predictors are caught; a fair one with small groups is not failed.

Labels are drawn with the same base rate in every group and scores with the same law given the label,
so that a common threshold is fair in every rate and what is unfair was put there.
"""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from tasks.fairness import Cube, Verdict, judge

Rows = dict[str, NDArray[Any]]
ALPHA = 0.05
LIMITS = [
    {"metric": "demographic_parity_difference", "attribute": "sex", "limit": 0.1},
    {"metric": "demographic_parity_ratio", "attribute": "sex", "limit": 0.8},
    {"metric": "equal_opportunity_difference", "attribute": "sex", "limit": 0.1},
    {"metric": "demographic_parity_difference", "attribute": "race", "limit": 0.1},
]
CROSSED = [{"metric": "demographic_parity_difference", "attribute": "sex x race", "limit": 0.1}]


def people(seed: int, n: int = 20_000) -> Rows:
    """Truth, a good score, and two attributes that neither depends on."""
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.35
    return {
        "truth": truth.astype(np.int64),
        "score": rng.normal(truth * 1.5, 1.0),
        "sex": rng.choice(["F", "M"], n),
        "race": rng.choice(["a", "b", "c"], n, p=[0.6, 0.3, 0.1]),
        "noise": rng.random(n),
    }


def verdicts(rows: Rows, guess: NDArray[Any], limits: list[dict[str, Any]]) -> dict[str, Verdict]:
    groups = {"sex": rows["sex"], "race": rows["race"]}
    cube = Cube.from_arrays(rows["truth"], guess.astype(np.int64), groups, labels=[0, 1])
    return {f"{one.metric} {one.attribute}": one.verdict for one in judge(cube, limits, ALPHA)}


def fair(rows: Rows) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = rows["score"] > 0.75
    return found


def test_the_fair_predictor_passes_so_that_a_failure_means_something() -> None:
    rows = people(0)
    assert set(verdicts(rows, fair(rows), LIMITS + CROSSED).values()) == {Verdict.PASS}


def test_a_shifted_threshold_is_caught() -> None:
    rows = people(1)
    guess = rows["score"] > np.where(rows["sex"] == "F", 1.35, 0.75)
    found = verdicts(rows, guess, LIMITS)
    assert found["demographic_parity_difference sex"] is Verdict.FAIL
    assert found["demographic_parity_ratio sex"] is Verdict.FAIL
    assert found["equal_opportunity_difference sex"] is Verdict.FAIL
    assert found["demographic_parity_difference race"] is Verdict.PASS  # what is fair isn't blamed


def test_a_dropped_group_is_caught() -> None:
    rows = people(2)
    guess = fair(rows) & (rows["race"] != "c")
    limits = [
        {"metric": "demographic_parity_difference", "attribute": "race", "limit": 0.1},
        {"metric": "demographic_parity_ratio", "attribute": "race", "limit": 0.8},
        {"metric": "equal_opportunity_difference", "attribute": "race", "limit": 0.1},
        # Nobody of the group is selected: its PPV is undefined, which is no pass.
        {"metric": "predictive_parity_difference", "attribute": "race", "limit": 0.1},
    ]
    found = verdicts(rows, guess, limits)
    assert found.pop("predictive_parity_difference race") is Verdict.INCONCLUSIVE
    assert set(found.values()) == {Verdict.FAIL}


def test_a_proxy_is_caught() -> None:
    """The predictor never sees sex, only a column that agrees with it nine times in ten."""
    rows = people(3)
    proxy = np.where(rows["noise"] < 0.9, rows["sex"] == "F", rows["sex"] == "M")
    found = verdicts(rows, rows["score"] > np.where(proxy, 1.4, 0.6), LIMITS)
    assert found["demographic_parity_difference sex"] is Verdict.FAIL
    assert found["equal_opportunity_difference sex"] is Verdict.FAIL


def test_a_rare_crossing_is_caught_though_each_attribute_alone_looks_fair() -> None:
    """Of F x c and M x c one is favoured and one left out: each margin stays as it was."""
    rows = people(4)
    rare, favoured = rows["race"] == "c", rows["sex"] == "F"
    guess = np.where(rare, np.where(favoured, rows["score"] > 0.05, rows["score"] > 1.6), fair(rows))
    alone = verdicts(rows, guess, LIMITS)
    assert set(alone.values()) == {Verdict.PASS}
    crossed = verdicts(rows, guess, CROSSED)
    assert crossed["demographic_parity_difference sex x race"] is Verdict.FAIL


@pytest.mark.parametrize("alpha", [0.05, 0.0025])
def test_a_fair_predictor_with_small_groups_is_not_failed(alpha: float) -> None:
    """Over 200 test sets with groups of about 12 to 60 rows: at most alpha of them FAIL anything."""
    runs, failed, naive = 200, 0, 0
    limits = LIMITS[:3] + CROSSED
    for seed in range(runs):
        rows = people(1000 + seed, n=200)
        groups = {"sex": rows["sex"], "race": rows["race"]}
        cube = Cube.from_arrays(rows["truth"], fair(rows).astype(np.int64), groups, labels=[0, 1])
        found = judge(cube, limits, alpha)
        failed += any(one.verdict is Verdict.FAIL for one in found)
        naive += any(one.measurement is not None and one.measurement > 0.1 for one in found[2:])
    assert naive > 0.9 * runs  # whoever compares the measured gap with the limit fails nearly all of them
    assert failed <= binom.ppf(1 - 1e-5, runs, alpha)  # exceeded by chance once in 100,000
    assert failed <= alpha * runs  # and in fact, with these seeds
