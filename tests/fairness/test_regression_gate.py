"""The gate of a regression: each limit passes, fails and stays open where it must, and errs no oftener."""

from typing import Any

import numpy as np
import pytest

from tasks.fairness import Cube, Judged, Verdict, judge
from tasks.fairness.regression_cube import RegressionCube
from tasks.fairness.regression_gate import judge_regression
from tasks.fairness.table import NUMBERS
from tasks.plan.judgement import TooSmall

PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
RANGE = (0.0, 100.0)
EDGES = np.linspace(0, 100, 101)[1:-1].tolist()


def cube_of(
    rows: dict[str, int], offset: float = 0.0, spread: float = 1.0, shift: float = 0.0, seed: int = 0
) -> RegressionCube:
    """Truth about 50, errors about 5; group b is predicted ``offset`` too high, off ``spread`` times as far.

    Its true numbers lie ``shift`` above the others'.
    """
    rng = np.random.default_rng(seed)
    group = np.repeat(list(rows), list(rows.values()))
    other = group == "b"
    truth = np.clip(rng.normal(50, 8, len(group)) + shift * other, *RANGE)
    error = rng.normal(0, 5, len(group)) * np.where(other, spread, 1) + offset * other
    guess = np.clip(truth + error, *RANGE)
    return RegressionCube.from_arrays(truth, guess, {"g": group}, ["g"], EDGES, RANGE)


def one(cube: RegressionCube, metric: str, limit: float, alpha: float = 0.05, **more: Any) -> Judged:
    (judged,) = judge_regression(cube, [{"metric": metric, "attribute": "g", "limit": limit}], alpha, **more)
    return judged


MANY, FEW = {"a": 6_000, "b": 6_000}, {"a": 6_000, "b": 40}
CASES = {
    "mean_prediction_difference": ({"shift": 0.2}, {"shift": 6.0}, 3.0),
    "residual_difference": ({"offset": 0.2}, {"offset": 4.0}, 2.0),
    "mae_difference": ({"spread": 1.02}, {"spread": 2.0}, 2.0),
    "mae_ratio": ({"spread": 1.02}, {"spread": 2.0}, 0.8),
    "mae_maximum": ({}, {"spread": 2.0}, 6.0),
    "rmse_difference": ({"spread": 1.02}, {"spread": 2.0}, 2.0),
    "rmse_maximum": ({}, {"spread": 2.0}, 7.0),
    "mse_ratio": ({"spread": 1.02}, {"spread": 2.0}, 0.5),
    "parity_maximum": ({}, {"shift": 12.0}, 0.1),
}


def test_every_metric_of_numbers_has_a_case() -> None:
    assert set(CASES) == set(NUMBERS)


@pytest.mark.parametrize("metric", CASES)
@pytest.mark.parametrize("alpha", [0.05, 0.0025])
def test_each_limit_passes_fails_and_stays_open(metric: str, alpha: float) -> None:
    fair, unfair, limit = CASES[metric]
    passed = one(cube_of(MANY, **fair), metric, limit, alpha)
    assert (passed.verdict, passed.settles) == (PASS, "")
    failed = one(cube_of(MANY, **unfair), metric, limit, alpha)
    assert failed.verdict is FAIL
    assert "b" in (failed.worst or ())
    undecided = one(cube_of(FEW, **fair), metric, limit, alpha)
    assert undecided.verdict is INCONCLUSIVE
    assert undecided.settles
    for judged in (passed, failed, undecided):
        sign = NUMBERS[metric].scale.sign
        low, high = (judged.low, judged.high) if sign > 0 else (judged.high, judged.low)
        assert judged.measurement is not None
        assert low is None or sign * low <= sign * judged.measurement + 1e-9
        assert high is None or sign * judged.measurement <= sign * high + 1e-9
        assert (judged.verdict is FAIL) == (low is not None and sign * (low - limit) > 0)
        assert (judged.verdict is PASS) == (high is not None and sign * (high - limit) < 0)


def test_where_all_rows_are_of_one_group_nothing_is_known_of_its_distance_from_others() -> None:
    training = Cube.from_labels(["low", "low", "high", "high"], {"g": ["a", "b", "a", "b"]}, positive="high")
    judged = one(cube_of({"a": 500}), "parity_maximum", 0.2, training_counts=training)
    found = {rate.group: (rate.rate, rate.low, rate.high) for rate in judged.groups}
    assert judged.verdict is INCONCLUSIVE
    assert found["a"] == (0.0, 0.0, 1.0)
    assert found["b"] == (None, None, None)


def test_measurements_are_those_of_the_rows() -> None:
    rng = np.random.default_rng(5)
    group, truth = rng.choice(["a", "b", "c"], 900), rng.uniform(0, 100, 900)
    guess = np.clip(truth + rng.normal(2, 9, 900), *RANGE)
    cube = RegressionCube.from_arrays(truth, guess, {"g": group}, ["g"], EDGES, RANGE)
    error = guess - truth
    by = {
        name: [own(error[group == g], guess[group == g]) for g in "abc"]
        for name, own in {
            "mean_prediction": lambda _, f: f.mean(),
            "residual": lambda r, _: r.mean(),
            "mae": lambda r, _: np.abs(r).mean(),
            "rmse": lambda r, _: np.sqrt((r**2).mean()),
            "mse": lambda r, _: (r**2).mean(),
        }.items()
    }
    aggregate = {"difference": lambda v: max(v) - min(v), "ratio": lambda v: min(v) / max(v), "maximum": max}
    for metric in set(CASES) - {"parity_maximum"}:
        stem, _, kind = metric.rpartition("_")
        assert one(cube, metric, 0.5).measurement == pytest.approx(aggregate[kind](by[stem]), rel=1e-9)
    every = {g: max(abs((guess[group == g] >= z).mean() - (guess >= z).mean()) for z in EDGES) for g in "abc"}
    assert one(cube, "parity_maximum", 0.5).measurement == pytest.approx(max(every.values()))


@pytest.mark.parametrize(
    ("metric", "settings"),
    [
        ("residual_difference", {"offset": 2.0}),
        ("mae_difference", {"spread": 1.5}),
        ("mse_ratio", {"spread": np.sqrt(2)}),
        ("mean_prediction_difference", {"shift": 2.0}),
    ],
)
def test_a_metric_at_its_limit_passes_and_fails_no_oftener_than_the_level(
    metric: str, settings: dict[str, float]
) -> None:
    """Alpha .05 and 100 runs of 150 against 80 rows: at most 5 errors are expected, 12 at 3 sigma."""
    limit = {"mae_difference": 0.5 * 5 * np.sqrt(2 / np.pi), "mse_ratio": 0.5}.get(metric, 2.0)
    found = [one(cube_of({"a": 150, "b": 80}, seed=i, **settings), metric, limit).verdict for i in range(100)]
    assert found.count(PASS) <= 12
    assert found.count(FAIL) <= 12


def test_a_distribution_at_its_limit_passes_no_oftener_than_the_level() -> None:
    """Half of all rows are b, shifted so that P(f >= z) of either is .1 from the whole at the middle."""
    rng, passed = np.random.default_rng(0), 0
    for _ in range(200):
        group = np.repeat(["a", "b"], 1500)
        guess = np.where(rng.random(3000) < np.where(group == "a", 0.4, 0.6), 75.0, 25.0)
        cube = RegressionCube.from_arrays(guess, guess, {"g": group}, ["g"], [50.0], RANGE)
        passed += one(cube, "parity_maximum", 0.1).verdict is PASS
    assert passed <= 10


def test_bonferroni_counts_the_pairs_of_all_limits() -> None:
    limits = [
        {"metric": "residual_difference", "attribute": "g", "limit": 2.0},
        {"metric": "mae_maximum", "attribute": "g", "limit": 6.0},
    ]
    judged = judge_regression(cube_of(MANY), limits)
    assert {one.comparisons for one in judged} == {2 + 2}


def test_groups_of_the_training_part_alone_and_small_ones() -> None:
    cube = cube_of({"a": 3_000, "b": 3_000, "c": 100})
    label = ["low"] * 30_000 + ["high"] * 30_000 + ["low"] * 30_000
    groups = {"g": ["a"] * 44_000 + ["b"] * 44_900 + ["c"] * 1_000 + ["d"] * 100}
    training = Cube.from_labels(label, groups, positive="low")
    open_ = one(cube, "residual_difference", 2.0, training_counts=training)
    assert open_.verdict is INCONCLUSIVE  # nobody of d is there to be compared
    assert "undefined in d" in open_.settles
    report = TooSmall(policy="report", smallest_denominator=200)
    judged = one(cube, "residual_difference", 2.0, training_counts=training, too_small=report)
    assert (judged.verdict, set(judged.not_judged)) == (PASS, {"c", "d"})
    assert {group.group: group.n for group in judged.groups} == {"a": 3_000, "b": 3_000, "c": 100, "d": 0}


def test_a_group_that_must_be_judged_is_not_left_out() -> None:
    cube = cube_of({"a": 3_000, "b": 3_000, "c": 250})
    training = Cube.from_labels(
        ["x"] * 6_250, {"g": ["a"] * 3_100 + ["b"] * 3_100 + ["c"] * 50}, labels=["x", "y", "z"]
    )
    report = TooSmall(policy="report", smallest_denominator=200)
    judged = one(cube, "residual_difference", 2.0, training_counts=training, too_small=report)
    assert judged.verdict is INCONCLUSIVE
    assert "groups of 200 or more must be judged" in judged.settles


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ({"metric": "tpr_difference", "attribute": "g", "limit": 0.1}, "tpr_difference: of classes"),
        ({"metric": "mae_maximum", "attribute": "h", "limit": 5}, "none by h"),
    ],
)
def test_other_limits_are_refused(limit: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        judge_regression(cube_of(MANY), [limit])


def test_classes_are_not_judged_by_metrics_of_numbers() -> None:
    cube = Cube.from_arrays([0, 1] * 20, [0, 1] * 20, {"g": ["a", "b"] * 20})
    with pytest.raises(ValueError, match="mae_maximum: of a predicted number"):
        judge(cube, [{"metric": "mae_maximum", "attribute": "g", "limit": 5}])


def test_cubes_add_up_and_read_back_as_the_same_bytes() -> None:
    one_, two = cube_of({"a": 50, "b": 20}), cube_of({"b": 30, "c": 10}, seed=1)
    merged = one_.merge(two)
    assert merged.rows == 110
    assert merged.tables["g"].levels == ("a", "b", "c")
    content = merged.to_json()
    assert RegressionCube.from_json(content).to_json() == content
    with pytest.raises(ValueError, match="of kind 'regression'"):
        RegressionCube.from_json(b'{"schema": 2}')


def test_crossings_are_groups_of_their_own() -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 100, 400)
    groups = {"sex": rng.choice(["F", "M"], 400), "race": rng.choice(["x", "y", None], 400)}
    cube = RegressionCube.from_arrays(truth, truth, groups, ["sex", "sex x race"], EDGES, RANGE)
    assert cube.tables["sex x race"].levels[:2] == ("F x unknown", "F x x")
    assert cube.tables["sex x race"].rows.sum() == 400
