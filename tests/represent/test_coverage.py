"""Coverage: rows needed against the gate itself, and what is expected of the test part."""

from collections.abc import Callable

import numpy as np
import pytest

from tasks.fairness import Cube, judge
from tasks.fairness.verdict import Verdict
from tasks.plan import judgement as plans
from tasks.plan.judgement import Judgement, Limit, TooSmall
from tasks.represent.coverage import coverage, coverage_warnings, rows_needed
from tasks.represent.records import Coverage

PLANNED = plans.TestSet(max_judgements=1)


def training(counts: dict[tuple[str, str], int]) -> Cube:
    rows = [cell for cell, n in counts.items() for _ in range(n)]
    sex, labels = (np.array(column) for column in zip(*rows, strict=True))
    return Cube.from_labels(labels, {"sex": sex}, labels=["0", "1"], positive="1")


COUNTS = training({("F", "0"): 900, ("F", "1"): 100, ("M", "0"): 2000, ("M", "1"): 1000})


def covered(town: Callable[..., Judgement], *limits: tuple[str, float], **changes: object) -> list[Coverage]:
    wanted = [Limit(metric=metric, attribute="sex", limit=limit) for metric, limit in limits]
    judgement = town().model_copy(update={"limits": wanted, "test_set": PLANNED, **changes})
    return list(coverage(COUNTS, 2000, judgement))


def test_the_expected_rows_are_the_training_parts_in_proportion(town: Callable[..., Judgement]) -> None:
    found = covered(town, ("demographic_parity_difference", 0.1), ("equalized_odds_difference", 0.1))
    expected = {(one.rate, one.group): one.expected for one in found}
    assert expected == {
        ("selection_rate", "F"): 500,
        ("selection_rate", "M"): 1500,
        ("tpr", "F"): 50,
        ("tpr", "M"): 500,
        ("fpr", "F"): 450,
        ("fpr", "M"): 1000,
    }
    assumed = {one.rate: one.assumed for one in found}
    assert assumed["selection_rate"] == pytest.approx(1100 / 4000, abs=1e-3)
    assert (assumed["tpr"], assumed["fpr"]) == (0.5, 0.5)


def test_the_rows_needed_by_hand() -> None:
    # (1.645 + 1.282)^2 = 8.564; 2 x 8.564 x 0.25 / 0.01 = 428.2.
    assert rows_needed(0.1, 0.5, 0.05, ratio=False) == 429
    assert rows_needed(0.8, 0.5, 0.05, ratio=True) == pytest.approx(2 * 8.564 / np.log(0.8) ** 2, abs=1)
    assert rows_needed(0.1, 0.5, 0.05 / 20, ratio=False) > 1.8 * 429


@pytest.mark.parametrize(("metric", "limit", "rate"), [("difference", 0.1, 0.3), ("ratio", 0.8, 0.4)])
def test_the_gate_passes_equal_rates_that_often(metric: str, limit: float, rate: float) -> None:
    n = rows_needed(limit, rate, 0.05, ratio=metric == "ratio")
    wanted = [{"metric": f"demographic_parity_{metric}", "attribute": "g", "limit": limit}]
    shares = []
    for size in (n, n // 2):
        rng, passed = np.random.default_rng(6), 0
        for _ in range(60):
            guess = np.concatenate([np.arange(size) < rng.binomial(size, rate) for _ in range(2)]).astype(int)
            cube = Cube.from_arrays(guess, guess, {"g": np.repeat(["a", "b"], size)})
            passed += judge(cube, wanted)[0].verdict is Verdict.PASS
        shares.append(passed / 60)
    enough, half = shares
    assert 0.6 < enough < 0.95  # 80%, less what exactness costs
    assert half < 0.5


def test_short_groups_are_named_and_listed_groups_are_not(town: Callable[..., Judgement]) -> None:
    limits = (("demographic_parity_difference", 0.1), ("equalized_odds_difference", 0.1))
    found = covered(town, *limits)
    assert [(one.rate, one.group) for one in found if not one.enough] == [("tpr", "F")]
    only = (
        "coverage: equalized odds difference by sex, limit 0.1: even equal rates may not be shown, tpr needs "
        "429 rows a group and the test part is expected to have 50 of F"
    )
    assert coverage_warnings(found) == [only]
    reported = covered(town, *limits, too_small=TooSmall(policy="report", smallest_denominator=60))
    assert [(one.rate, one.group) for one in reported if not one.judged] == [("tpr", "F")]
    assert coverage_warnings(reported) == []


def test_the_level_in_force_is_what_each_judgement_may_spend(town: Callable[..., Judgement]) -> None:
    limit = ("demographic_parity_difference", 0.1)
    once, often = (
        covered(town, limit, test_set=plans.TestSet(max_judgements=times))[0].needed for times in (1, 20)
    )
    assert often == pytest.approx(once * 1.94, rel=0.05)


def test_accuracy_is_what_the_plan_requires(town: Callable[..., Judgement]) -> None:
    assert covered(town, ("accuracy_difference", 0.1))[0].assumed == 0.5


def test_groups_by_the_label_are_the_gates(town: Callable[..., Judgement]) -> None:
    limits = [
        Limit(metric="accuracy_difference", attribute=name, limit=0.1) for name in ("label", "sex x label")
    ]
    judgement = town().model_copy(update={"limits": limits, "test_set": PLANNED})
    found = {one.group: one.training for one in coverage(COUNTS, 2000, judgement)}
    assert found == {
        "0": 2900,
        "1": 1100,
        "F x 0": 900,
        "F x 1": 100,
        "M x 0": 2000,
        "M x 1": 1000,
    }
