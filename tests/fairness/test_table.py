"""The metric table: whole, of one mind with the plan's names, and right where it can be worked by hand."""

from pathlib import Path

import numpy as np
import pytest

from tasks.fairness import Cube, Judged, judge
from tasks.fairness.table import EVERY
from tasks.plan.judgement import Limit
from tasks.plan.metrics import METRICS as NAMES

PAGE = Path(__file__).parents[2] / "docs/evidence_format.md"


def test_plans_name_the_metrics_of_the_table_and_no_others() -> None:
    assert EVERY
    assert set(EVERY) == set(NAMES)
    for name, metric in EVERY.items():
        assert (metric.name, metric.kind) == (name, NAMES[name].kind)
        assert (metric.direction == "low") == (metric.kind in ("difference", "maximum"))


@pytest.mark.parametrize("metric", EVERY.values(), ids=EVERY)
def test_every_row_says_what_it_measures(metric: object) -> None:
    texts = {
        field: getattr(metric, field) for field in ("formula", "aggregation", "undefined", "method", "source")
    }
    assert all(texts.values()), texts


def test_limits_outside_a_metrics_range_are_refused_with_it() -> None:
    for metric, limit in (
        ("tpr_difference", 1.0),
        ("tpr_difference", 0.0),
        ("equalized_odds_sum", 2.0),
        ("f1_ratio", 1.2),
    ):
        with pytest.raises(ValueError, match=f"a limit on {metric} lies between 0 and"):
            Limit(metric=metric, attribute="g", limit=limit)
    assert Limit(metric="equalized_odds_sum", attribute="g", limit=1.2).limit == 1.2
    assert Limit(metric="treatment_equality_maximum", attribute="g", limit=3).limit == 3


def test_a_misspelt_metric_gets_a_guess_and_nonsense_the_list() -> None:
    with pytest.raises(ValueError, match="did you mean 'conditional_use_accuracy_difference'"):
        Limit(metric="conditional_use_acuracy_difference", attribute="g", limit=0.1)
    with pytest.raises(ValueError, match=r"known: demographic_parity_difference, .*abroca"):
        Limit(metric="xyzzy", attribute="g", limit=0.1)


def measured(cube: Cube, metric: str, attribute: str = "g", limit: float = 0.5) -> Judged:
    (judged,) = judge(cube, [{"metric": metric, "attribute": attribute, "limit": limit}])
    return judged


# TN, FP, FN, TP
A, B, C = (70, 10, 5, 15), (40, 20, 10, 30), (50, 25, 5, 20)


@pytest.fixture
def three() -> Cube:
    counts = np.array([A, B, C], np.int64).reshape(-1, 2, 2)
    return Cube({"g": ("a", "b", "c")}, ("0", "1"), "1", counts)


WORKED = {
    "predictive_equality_difference": 25 / 75 - 10 / 80,
    "conditional_use_accuracy_difference": max(30 / 50 - 20 / 45, 70 / 75 - 40 / 50),
    "conditional_use_accuracy_ratio": min((20 / 45) / (30 / 50), (40 / 50) / (70 / 75)),
    "disparate_impact_ratio": 0.25 / 0.5,
    "selection_rate_minimum": 0.25,
    "selection_rate_maximum": 0.5,
    "fnr_maximum": 0.25,
    "base_rate_difference": 0.4 - 0.2,
    "f1_difference": 60 / 90 - 40 / 70,
    "f1_minimum": 40 / 70,
    "f1_ratio": (40 / 70) / (60 / 90),
    "treatment_equality_difference": 0.5 - 0.2,
    "treatment_equality_ratio": 0.4,
    "treatment_equality_maximum": 0.5,
    "equalized_odds_sum": 0.05 + 25 / 75 - 10 / 80,
    "equalized_odds_mean": (0.05 + 25 / 75 - 10 / 80) / 2,
    "average_absolute_odds_difference": (0.05 + 25 / 75 - 10 / 80) / 2,
    "equalized_odds_difference": 25 / 75 - 10 / 80,
    "macro_tpr_minimum": min((tn / (tn + fp) + tp / (tp + fn)) / 2 for tn, fp, fn, tp in (A, B, C)),
    "differential_fairness_epsilon": np.log(50.5 / 25.5),  # smoothed by half a row of either outcome
}


@pytest.mark.parametrize(("metric", "value"), WORKED.items())
def test_measurements_worked_by_hand(three: Cube, metric: str, value: float) -> None:
    assert measured(three, metric).measurement == pytest.approx(value, rel=1e-12)


def test_recall_per_class_is_accuracy_by_the_label() -> None:
    truth, guess = ["a"] * 4 + ["b"] * 4 + ["c"] * 2, ["a", "a", "a", "b", "b", "b", "c", "c", "c", "a"]
    cube = Cube.from_arrays(truth, guess, {"g": ["x", "y"] * 5})
    judged = measured(cube, "accuracy_minimum", "label")
    assert {rate.group: rate.rate for rate in judged.groups} == {"a": 0.75, "b": 0.5, "c": 0.5}
    assert judged.measurement == 0.5
    crossed = measured(cube, "accuracy_difference", "g x label")
    assert [rate.group for rate in crossed.groups] == [f"{g} x {k}" for g in "xy" for k in "abc"]


def test_several_classes_are_held_each_against_the_rest_and_the_worst_counts() -> None:
    rng = np.random.default_rng(1)
    truth, group = rng.integers(0, 3, 3000), rng.choice(["x", "y"], 3000)
    wrong = rng.random(3000) < np.where((group == "y") & (truth == 2), 0.5, 0.1)
    guess = np.where(wrong, (truth + 1) % 3, truth)
    cube = Cube.from_arrays(truth, guess, {"g": group})
    judged = measured(cube, "equal_opportunity_difference", limit=0.1)
    assert judged.verdict == "FAIL"
    assert judged.worst == ("tpr (2)", "x", "y")
    recall = {(g, k): (guess == truth)[(group == g) & (truth == k)].mean() for g in "xy" for k in range(3)}
    assert judged.measurement == pytest.approx(recall["x", 2] - recall["y", 2])
    means = {g: np.mean([recall[g, k] for k in range(3)]) for g in "xy"}
    macro = measured(cube, "macro_tpr_difference", limit=0.3)
    assert macro.measurement == pytest.approx(means["x"] - means["y"])
    assert macro.verdict == "PASS"
    assert judged.comparisons == 6


def test_an_infinite_ratio_of_errors_is_undefined() -> None:
    counts = np.array([(80, 0, 5, 15), (40, 20, 10, 30)], np.int64).reshape(-1, 2, 2)
    judged = measured(Cube({"g": ("a", "b")}, ("0", "1"), "1", counts), "treatment_equality_difference")
    assert (judged.verdict, judged.measurement) == ("INCONCLUSIVE", None)
    assert "false negatives per false positive is undefined in a" in judged.settles
