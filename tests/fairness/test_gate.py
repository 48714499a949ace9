"""The gate's verdicts: each rule, and each way in which it must not pass."""

from typing import Any

import numpy as np
import pytest

from tasks import fairness
from tasks.fairness import Cube, Judged, Verdict, judge, shares
from tasks.fairness.table import METRICS
from tasks.plan.judgement import Limit, TooSmall

PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
SELECTION = {"metric": "demographic_parity_difference", "attribute": "g"}


def selecting(groups: dict[str, tuple[int, int]]) -> Cube:
    """Groups that select (events, n); everyone is positive, so TPR is the selection rate."""
    counts = np.zeros((len(groups), 2, 2), np.int64)
    for i, (events, n) in enumerate(groups.values()):
        counts[i, 1] = n - events, events
    return Cube({"g": tuple(groups)}, ("0", "1"), "1", counts)


def confusion(groups: dict[str, tuple[int, int, int, int]]) -> Cube:
    """Groups as TN, FP, FN, TP."""
    counts = np.array(list(groups.values()), np.int64).reshape(-1, 2, 2)
    return Cube({"g": tuple(groups)}, ("0", "1"), "1", counts)


def one(cube: Cube, limit: float = 0.1, metric: str = SELECTION["metric"], **more: Any) -> Judged:
    (judged,) = judge(cube, [{"metric": metric, "attribute": "g", "limit": limit}], **more)
    return judged


def test_equal_rates_on_many_rows_pass() -> None:
    judged = one(selecting({"a": (2000, 10_000), "b": (2010, 10_000)}), 0.05)
    assert judged.verdict is PASS
    assert judged.high is not None
    assert judged.measurement == pytest.approx(0.001)
    assert judged.measurement < judged.high < 0.05
    assert judged.worst == ("selection_rate", "b", "a")
    assert judged.n == 20_000
    assert judged.sentence.startswith("demographic parity difference 0.001 <= limit 0.05 (b vs a, n=20000)")
    assert judged.settles == ""


def test_a_gap_beyond_the_limit_fails() -> None:
    judged = one(selecting({"F": (2000, 10_000), "M": (3500, 10_000)}), 0.05)
    assert judged.verdict is FAIL
    assert judged.low is not None
    assert judged.low > 0.05
    assert judged.sentence.startswith(
        "demographic parity difference 0.150 > limit 0.05 (M vs F, n=20000): at least"
    )


def test_a_ratio_below_four_fifths_fails_and_one_above_passes() -> None:
    metric = "demographic_parity_ratio"
    low = one(selecting({"F": (2000, 10_000), "M": (3500, 10_000)}), 0.8, metric)
    assert (low.verdict, low.measurement) == (FAIL, pytest.approx(2000 / 3500))
    assert low.high is not None
    assert low.high < 0.8
    assert low.sentence.startswith("demographic parity ratio 0.571 < limit 0.8 (M vs F")
    high = one(selecting({"F": (3400, 10_000), "M": (3500, 10_000)}), 0.8, metric)
    assert high.verdict is PASS
    assert high.low is not None
    assert 0.8 < high.low < 3400 / 3500


def test_one_bad_pair_among_many_groups_fails_and_is_named() -> None:
    groups = {f"g{i}": (2000, 10_000) for i in range(6)} | {"rare": (150, 300)}
    judged = one(selecting(groups))
    assert judged.verdict is FAIL
    assert judged.worst is not None
    assert judged.worst[1] == "rare"


@pytest.mark.parametrize("metric", ["demographic_parity_difference", "demographic_parity_ratio"])
def test_a_gap_at_the_limit_neither_passes_nor_fails(metric: str) -> None:
    limit = 0.1 if metric.endswith("difference") else 0.8
    low = 3000 if metric.endswith("difference") else 3200
    judged = one(selecting({"a": (low, 10_000), "b": (4000, 10_000)}), limit, metric)
    assert judged.verdict is INCONCLUSIVE
    assert judged.measurement == pytest.approx(limit)
    assert "no practical number of rows" in judged.settles


def test_too_few_rows_are_inconclusive_and_say_how_many_would_do() -> None:
    judged = one(selecting({"a": (12, 60), "b": (2000, 10_000)}))
    assert judged.verdict is INCONCLUSIVE
    assert "rows of a (now 60) would settle it" in judged.settles
    assert judged.detectable is not None
    assert 0.1 < judged.detectable < 0.15
    assert f"keep {judged.detectable:.3f} (minimum detectable disparity, 80% power)" in judged.settles
    rows = int(judged.settles.split("about ")[1].split(" ")[0].replace(",", ""))
    passed = one(selecting({"a": (round(rows * 0.2), rows), "b": (2000, 10_000)}))
    assert passed.verdict is PASS


def test_an_undefined_rate_is_inconclusive_never_zero_or_one() -> None:
    cube = confusion({"a": (500, 100, 100, 500), "b": (600, 0, 0, 0)})  # b has no positives
    for kind, limit in (("difference", 0.9), ("ratio", 0.1)):
        judged = one(cube, limit, f"equal_opportunity_{kind}")
        assert judged.verdict is INCONCLUSIVE
        assert judged.measurement is None
        assert judged.worst is None
        assert "true positive rate is undefined in b" in judged.settles
        assert {rate.group: rate.rate for rate in judged.groups} == {"a": pytest.approx(5 / 6), "b": None}
    assert one(cube, 0.9, "equal_opportunity_difference").high is None
    assert one(cube, 0.1, "equal_opportunity_ratio").low is None


def test_an_undefined_rate_does_not_hide_a_gap() -> None:
    cube = confusion({"a": (5, 5, 100, 900), "b": (5, 5, 900, 100), "c": (9, 9, 0, 0)})
    assert one(cube, 0.1, "equal_opportunity_difference").verdict is FAIL


def test_two_groups_that_are_never_selected_have_no_ratio() -> None:
    judged = one(selecting({"a": (0, 5000), "b": (0, 5000)}), 0.8, "demographic_parity_ratio")
    assert (judged.verdict, judged.measurement) == (INCONCLUSIVE, None)


def test_equalized_odds_is_the_larger_gap_and_needs_both() -> None:
    fair_tpr = {"a": (900, 100, 200, 800), "b": (600, 400, 200, 800)}
    judged = one(
        confusion({k: tuple(10 * v for v in c) for k, c in fair_tpr.items()}),
        0.1,
        "equalized_odds_difference",
    )  # type: ignore[misc]
    assert judged.verdict is FAIL
    assert judged.measurement == pytest.approx(0.3)
    assert judged.worst == ("fpr", "b", "a")
    assert "(false positive rate of b vs a" in judged.sentence
    assert judged.comparisons == 4


@pytest.mark.parametrize("groups", [{"all": (2000, 10_000)}, {}])
def test_one_group_or_none_is_refused(groups: dict[str, tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="g: at least two groups are needed to compare, found"):
        one(selecting(groups))


def test_no_limits_pass_nothing() -> None:
    assert Verdict.worst([j.verdict for j in judge(selecting({"a": (1, 2)}), [])]) is INCONCLUSIVE


def test_limits_are_read_as_the_plan_writes_them_and_refused_otherwise() -> None:
    cube = selecting({"a": (2000, 10_000), "b": (2000, 10_000)})
    (typed,) = judge(cube, [Limit(metric="demographic_parity_difference", attribute="g", limit=0.1)])
    assert typed == one(cube)
    wrong = (
        {**SELECTION},
        {**SELECTION, "limit": 0.1, "metric": "niceness"},
        {**SELECTION, "limit": 1.5},
        {**SELECTION, "limit": 0.1, "attribute": "g x g"},
    )
    with pytest.raises(ValueError, match=r"limits\[0\]: limit: is required") as refused:
        judge(cube, wrong)
    told = str(refused.value)
    assert "limits[1]: metric: 'niceness' is none of" in told
    assert "limits[2]: a limit on demographic_parity_difference lies between 0 and 1" in told
    assert "limits[3]: the crossing 'g x g' names g more than once" in told
    assert "pydantic" not in told
    for alpha in (0.0, 1.0, -0.1, float("nan")):
        with pytest.raises(ValueError, match="alpha: a level above 0 and below 1"):
            one(cube, alpha=alpha)
    with pytest.raises(ValueError, match="no attribute"):
        judge(cube, [{**SELECTION, "attribute": "age", "limit": 0.1}])


def test_crossings_are_judged_cell_by_cell() -> None:
    rng = np.random.default_rng(3)
    n = 20_000
    sex, race = rng.choice(["F", "M"], n), rng.choice(["A", "B"], n)
    selected = rng.random(n) < np.where((sex == "F") == (race == "A"), 0.5, 0.2)  # fair in each margin
    cube = Cube.from_arrays(selected, selected, {"sex": sex, "race": race})
    limits = [{**SELECTION, "attribute": name, "limit": 0.05} for name in ("sex", "race", "sex x race")]
    by_sex, by_race, crossed = judge(cube, limits)
    assert (by_sex.verdict, by_race.verdict, crossed.verdict) == (PASS, PASS, FAIL)
    assert {rate.group for rate in crossed.groups} == {"F x A", "F x B", "M x A", "M x B"}


def test_more_limits_make_a_failure_harder_to_show_but_not_a_pass() -> None:
    border = selecting({"a": (2000, 10_000), "b": (3150, 10_000)})
    assert one(border).verdict is FAIL
    many = [{**SELECTION, "limit": 0.1}] * 20
    assert {judged.verdict for judged in judge(border, many)} == {INCONCLUSIVE}
    fair = selecting({"a": (2000, 10_000), "b": (2050, 10_000)})
    assert judge(fair, many)[0].verdict is one(fair).verdict is PASS


def test_a_smaller_alpha_asks_for_more() -> None:
    cube = selecting({"a": (2000, 2 * 5000), "b": (2860, 2 * 5000)})
    assert one(cube).verdict is PASS
    assert one(cube, alpha=0.0025).verdict is INCONCLUSIVE


def test_a_pass_that_only_the_closed_form_proposes_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the exact test does not confirm, there is no verdict, and its bound is what is stated."""
    fair, gap = (
        selecting({"a": (2000, 10_000), "b": (2050, 10_000)}),
        selecting({"a": (20, 100), "b": (60, 100)}),
    )
    assert (one(fair).verdict, one(gap).verdict) == (PASS, FAIL)
    monkeypatch.setattr(shares, "rejects", lambda *_: False)
    kept, broken = one(fair), one(gap)
    assert (kept.verdict, broken.verdict) == (INCONCLUSIVE, INCONCLUSIVE)
    assert kept.high is not None
    assert broken.low is not None
    assert kept.high >= 0.1 >= broken.low


REPORT = TooSmall(policy="report", smallest_denominator=50)


def training(rows: dict[str, int]) -> Cube:
    return selecting({name: (n, n) for name, n in rows.items()})


def test_small_groups_are_listed_as_not_judged_by_training_counts() -> None:
    test = selecting({"a": (2000, 10_000), "b": (2000, 10_000), "tiny": (10, 20)})
    judged = one(test, too_small=REPORT, training_counts=training({"a": 20_000, "b": 20_000, "tiny": 45}))
    assert judged.verdict is PASS
    assert judged.not_judged == ("tiny",)
    assert {rate.group: rate.judged for rate in judged.groups} == {"a": True, "b": True, "tiny": False}
    listed = next(rate for rate in judged.groups if rate.group == "tiny")
    assert (listed.events, listed.n, listed.rate) == (10, 20, 0.5)
    assert judged.comparisons == 2


def test_by_default_a_small_group_is_judged() -> None:
    test = selecting({"a": (2000, 10_000), "b": (2000, 10_000), "tiny": (4, 20)})
    counts = training({"a": 20_000, "b": 20_000, "tiny": 45})
    assert one(test, training_counts=counts).verdict is INCONCLUSIVE
    assert one(test, too_small=REPORT).verdict is INCONCLUSIVE  # no training counts: nothing is left out


def test_test_outcomes_do_not_decide_who_is_judged() -> None:
    test = selecting({"a": (2000, 10_000), "b": (2000, 10_000), "c": (4, 20)})
    judged = one(test, too_small=REPORT, training_counts=training({"a": 20_000, "b": 20_000, "c": 200}))
    assert judged.not_judged == ()
    assert judged.verdict is INCONCLUSIVE


def test_never_more_than_a_twentieth_of_the_rows_goes_unjudged() -> None:
    small = {f"s{i}": (30, 150) for i in range(8)}
    test = selecting({"a": (2000, 10_000), "b": (2000, 10_000)} | small)
    counts = training({"a": 10_000, "b": 10_000} | dict.fromkeys(small, 20))
    judged = one(test, too_small=REPORT, training_counts=counts)
    assert judged.verdict is INCONCLUSIVE
    assert "5.7% of rows are in groups too small" in judged.settles
    assert len(judged.not_judged) == 8


def test_a_group_of_two_hundred_is_always_judged() -> None:
    test = selecting({"a": (2000, 10_000), "b": (2000, 10_000), "c": (40, 200)})
    judged = one(test, too_small=REPORT, training_counts=training({"a": 9_000, "b": 9_000, "c": 30}))
    assert judged.verdict is INCONCLUSIVE
    assert "c (n=200)" in judged.settles


def test_at_least_two_groups_are_judged() -> None:
    test = selecting({"a": (2000, 10_000), "b": (10, 40)})
    judged = one(test, too_small=REPORT, training_counts=training({"a": 10_000, "b": 30}))
    assert judged.verdict is INCONCLUSIVE
    assert "at least two groups must be judged by selection rate, found 1" in judged.settles


def test_broken_rules_do_not_hide_a_failure() -> None:
    test = selecting({"a": (2000, 10_000), "b": (5000, 10_000), "c": (40, 200)})
    judged = one(test, too_small=REPORT, training_counts=training({"a": 9_000, "b": 9_000, "c": 30}))
    assert judged.verdict is FAIL


def test_a_group_of_the_training_part_that_is_gone_is_undefined() -> None:
    test = selecting({"a": (2000, 10_000), "b": (2000, 10_000)})
    counts = training({"a": 10_000, "b": 10_000, "gone": 4_000})
    judged = one(test, too_small=REPORT, training_counts=counts)
    assert judged.verdict is INCONCLUSIVE
    assert "selection rate is undefined in gone" in judged.settles


def test_a_group_that_training_never_saw_is_listed_or_judged_but_never_dropped() -> None:
    test = selecting({"a": (2000, 10_000), "b": (2000, 10_000), "new": (5, 30)})
    counts = training({"a": 10_000, "b": 10_000})
    assert one(test, training_counts=counts).verdict is INCONCLUSIVE
    assert one(test, too_small=REPORT, training_counts=counts).not_judged == ("new",)


def test_denominators_of_a_rate_decide_who_is_judged_by_it() -> None:
    """Expected positives for TPR and PPV, negatives for FPR, rows for selection and accuracy."""
    test = confusion({"a": (4000, 900, 1000, 4000), "b": (4000, 900, 1000, 4000), "c": (120, 20, 2, 8)})
    counts = confusion({"a": (4900, 0, 0, 5000), "b": (4900, 0, 0, 5000), "c": (140, 0, 0, 10)})
    unjudged = {
        metric: one(test, 0.2, metric, too_small=REPORT, training_counts=counts).not_judged
        for metric in (
            "demographic_parity_difference",
            "accuracy_difference",
            "equal_opportunity_difference",
            "predictive_parity_difference",
        )
    }
    assert unjudged == {
        "demographic_parity_difference": (),
        "accuracy_difference": (),
        "equal_opportunity_difference": ("c",),
        "predictive_parity_difference": ("c",),
    }
    odds = one(test, 0.2, "equalized_odds_difference", too_small=REPORT, training_counts=counts)
    assert {(r.rate_name, r.group) for r in odds.groups if not r.judged} == {("tpr", "c")}


@pytest.mark.parametrize("seed", range(24))
def test_verdict_bounds_and_measurement_never_contradict_each_other(seed: int) -> None:
    """Random tables, from empty cells to 100,000 rows, at levels down to one in a million."""
    rng = np.random.default_rng(seed)
    groups = int(rng.integers(2, 6))
    counts = rng.poisson(10 ** rng.uniform(0, 5) * rng.dirichlet([0.3] * 4, groups)).reshape(groups, 2, 2)
    cube = Cube({"g": tuple(f"g{i}" for i in range(groups))}, ("0", "1"), "1", counts.astype(np.int64))
    limits = [
        {"metric": name, "attribute": "g", "limit": float(rng.choice([0.02, 0.1, 0.2, 0.5, 0.8, 0.95]))}
        for name, metric in METRICS.items()
        if metric.method in ("exact", "linear")
    ]
    for judged in judge(cube, limits, alpha=float(rng.choice([0.05, 0.0025, 1e-6]))):
        sign = METRICS[judged.metric].scale.sign
        low, high = (judged.high, judged.low) if sign < 0 else (judged.low, judged.high)
        best, worst = (None if bound is None else sign * (bound - judged.limit) for bound in (low, high))
        assert (judged.verdict is PASS) == (worst is not None and worst < 0)
        assert (judged.verdict is FAIL) == (best is not None and best > 0)
        assert bool(judged.settles) == (judged.verdict is INCONCLUSIVE)
        if judged.measurement is not None and best is not None and worst is not None:
            assert best - 1e-9 <= sign * (judged.measurement - judged.limit) <= worst + 1e-9


def test_the_rooms_names_are_imported_on_first_use() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = fairness.nonsense
    assert set(fairness.__all__) == {"Cube", "Judged", "Verdict", "judge"}
