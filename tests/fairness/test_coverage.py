"""What a plan's limits ask of its test set: known before training, and refused where it is hopeless."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.errors import Refusal
from tasks.fairness import Cube, Verdict, judge
from tasks.fairness.coverage import coverage
from tasks.fairness.showable import Showable, coverage_warnings
from tasks.plan import judgement as plans
from tasks.plan import load_plan
from tasks.plan.judgement import Judgement, Limit, Performance, TooSmall

PLAN = load_plan("adult", Path("data")).judgement


def training(counts: dict[tuple[str, str], int]) -> Cube:
    rows = [cell for cell, n in counts.items() for _ in range(n)]
    sex, labels = (np.array(column) for column in zip(*rows, strict=True))
    return Cube.from_labels(labels, {"sex": sex}, labels=["0", "1"], positive="1")


COUNTS = training({("F", "0"): 900, ("F", "1"): 100, ("M", "0"): 2000, ("M", "1"): 1000})


def judgement(*limits: tuple[str, float], by: str = "sex", most: int = 1, **changes: Any) -> Judgement:
    wanted = [Limit(metric=metric, attribute=by, limit=limit) for metric, limit in limits]
    plain = {"limits": wanted, "test_set": plans.TestSet(max_judgements=most), "too_small": TooSmall()}
    return PLAN.model_copy(update=plain | changes)


def shown(metric: str, limit: float, rows: int = 2000, **changes: Any) -> Showable:
    (one,) = coverage(COUNTS, rows, judgement((metric, limit), **changes))
    return one


def expected(one: Showable) -> dict[tuple[str, str], float]:
    return {(each.rate, each.group): each.expected for each in one.groups}


def test_the_expected_rows_are_the_training_parts_in_proportion() -> None:
    selection = shown("demographic_parity_difference", 0.1)
    assert expected(selection) == {("selection_rate", "F"): 500, ("selection_rate", "M"): 1500}
    assert {each.assumed for each in selection.groups} == {1100 / 4000}
    odds = shown("equalized_odds_difference", 0.1)
    assert expected(odds) == {
        ("tpr", "F"): 50,
        ("tpr", "M"): 500,
        ("fpr", "F"): 450,
        ("fpr", "M"): 1000,
    }
    assert {each.assumed for each in odds.groups} == {0.5}
    assert expected(shown("equalized_odds_sum", 0.1)) == expected(odds)


def test_a_limit_within_reach_has_power_and_no_problem() -> None:
    one = shown("demographic_parity_difference", 0.1, rows=10_000, most=20)
    assert one.alpha == 0.0025
    assert one.power is not None
    assert one.power > 0.95
    assert (one.problem, one.warning) == ("", "")
    assert "the tightest limit that could be shown at level 0.0025 is 0.0" in one.sentence
    assert f"the plan's takes about {one.needed:,} rows a group (80% power)" in one.sentence


def test_a_limit_out_of_reach_is_a_problem_that_says_what_could_be_shown() -> None:
    one = shown("demographic_parity_difference", 0.05, rows=500)
    assert one.smallest is not None
    assert one.smallest > 0.08
    assert "even groups of equal rates would pass only" in one.problem
    assert (
        f"50% is the least. The tightest limit that could be shown at level 0.05 is {one.smallest:.3f}"
        in (one.problem)
    )
    assert f"about {one.needed:,} rows" in one.problem


def test_short_groups_are_named_and_listed_groups_are_not() -> None:
    limits = (("demographic_parity_difference", 0.1), ("equalized_odds_difference", 0.1))
    found = coverage(COUNTS, 2000, judgement(*limits))
    short = [(one.rate, one.group) for each in found for one in each.groups if not one.enough]
    assert short == [("tpr", "F"), ("tpr", "M"), ("fpr", "F")]
    only = (
        "coverage: equalized odds difference by sex, limit 0.1: even equal rates may not be shown; the "
        f"plan's takes about {found[1].needed} rows in each denominator a group (80% power), expected are "
        "50 of F (true positive rate), 500 of M (true positive rate), 450 of F (false positive rate)"
    )
    assert coverage_warnings(found) == [only]
    reported = coverage(
        COUNTS, 2000, judgement(*limits, too_small=TooSmall(policy="report", smallest_denominator=60))
    )
    assert [(one.rate, one.group) for each in reported for one in each.groups if not one.judged] == [
        ("tpr", "F")
    ]
    assert "F (true positive rate)" not in reported[1].warning


def test_where_every_judged_group_has_enough_there_is_power_and_not_where_none_has() -> None:
    """The rows needed, the power and the refusal are one calculation."""
    for metric, limit in (
        ("demographic_parity_difference", 0.08),
        ("equalized_odds_difference", 0.12),
        ("f1_difference", 0.15),
    ):
        part = training({(sex, label): 100 for sex in "FM" for label in "01"})
        (any_rows,) = coverage(part, 400, judgement((metric, limit)))
        needed = any_rows.needed
        assert needed is not None
        rows = needed * (2 if metric.startswith("demographic") else 4)
        enough, few = (coverage(part, n, judgement((metric, limit)))[0] for n in (rows, rows // 3))
        assert enough.needed == few.needed == needed
        assert all(one.enough for one in enough.groups)
        assert (enough.power or 0) > 0.75
        assert (few.power or 1) < 0.5
        assert few.problem
        assert not any(one.enough for one in few.groups)


def test_fewer_judgements_leave_each_more() -> None:
    often, once = (shown("demographic_parity_difference", 0.1, rows=3000, most=most) for most in (20, 1))
    assert (once.smallest or 1) < (often.smallest or 0)
    assert often.needed == pytest.approx((once.needed or 0) * 1.94, rel=0.15)


def test_the_smallest_is_where_half_of_fair_models_pass() -> None:
    one = shown("demographic_parity_difference", 0.1, rows=4000, most=20)
    rng, passed = np.random.default_rng(1), 0
    for _ in range(60):
        sex = np.repeat(["F", "M"], [1000, 3000])
        cube = Cube.from_arrays(rng.random(4000) < 0.5, rng.random(4000) < 0.275, {"sex": sex})
        limit = {"metric": "demographic_parity_difference", "attribute": "sex", "limit": one.smallest}
        passed += judge(cube, [limit], one.alpha)[0].verdict is Verdict.PASS
    assert 15 <= passed <= 45


def test_accuracy_is_what_the_plan_requires() -> None:
    for required, assumed in ((0.83, 0.83), (0.3, 0.5)):
        performance = [Performance(metric="accuracy", minimum=required)]
        one = shown("accuracy_difference", 0.1, performance=performance)
        assert {each.assumed for each in one.groups} == {assumed}


def test_groups_by_the_label_are_the_gates() -> None:
    for by, rows in (
        ("label", {"0": 2900, "1": 1100}),
        ("sex x label", {"F x 0": 900, "F x 1": 100, "M x 0": 2000, "M x 1": 1000}),
    ):
        one = shown("accuracy_difference", 0.1, by=by)
        assert {each.group: each.training for each in one.groups} == rows


@pytest.mark.parametrize("metric", ["tpr_minimum", "treatment_equality_difference"])
def test_what_is_not_planned_for_is_said_and_refuses_nothing(metric: str) -> None:
    one = shown(metric, 0.05)
    assert (one.power, one.needed, one.problem, one.warning) == (None, None, "", "")
    assert "not worked out" in one.sentence


def test_scores_take_twenty_rows_of_either_class() -> None:
    one = shown("auc_difference", 0.05, rows=500)
    assert one.power is None
    assert one.problem == ""
    assert one.warning == (
        "AUC difference by sex, limit 0.05: even equal rates may not be shown; it takes 20 rows of either "
        "class a group, expected are 12 of F (rows of class (1))"
    )


def test_each_class_of_several_needs_its_rows_and_means_take_all_of_them() -> None:
    labels = ["a"] * 600 + ["b"] * 300 + ["c"] * 100
    part = Cube.from_labels(labels, {"sex": ["F", "M"] * 500}, labels=["a", "b", "c"])
    one, mean = coverage(part, 1000, judgement(("tpr_difference", 0.3), ("macro_tpr_difference", 0.3)))
    per_class = {
        (f"tpr ({label})", sex): n for label, n in zip("abc", (300, 150, 50), strict=True) for sex in "FM"
    }
    assert expected(one) == per_class
    assert expected(mean) == per_class
    assert (mean.smallest or 1) < (one.smallest or 0)


def test_a_group_without_rows_can_show_nothing_and_one_group_is_refused() -> None:
    part = training({("F", "0"): 100, ("M", "0"): 100, ("M", "1"): 100})
    (one,) = coverage(part, 300, judgement(("tpr_difference", 0.5)))
    assert (one.power, one.smallest) == (0, None)
    assert "No limit could be shown" in one.problem
    with pytest.raises(Refusal, match="sex: at least two groups are needed to compare, found only 'F'"):
        coverage(training({("F", "0"): 9, ("F", "1"): 9}), 9, judgement(("tpr_difference", 0.5)))
