"""What a plan's limits ask of its test set is known before training, and refused where it is hopeless."""

from pathlib import Path

import numpy as np
import pytest

from tasks.fairness import Cube, Verdict, judge
from tasks.fairness.showable import showable
from tasks.plan import load_plan
from tasks.plan.judgement import Judgement, Limit

RNG = np.random.default_rng(0)
SEX = RNG.choice(["F", "M"], 20_000, p=[0.3, 0.7])
TRAINING = Cube.from_labels(RNG.random(20_000) < 0.25, {"sex": SEX})


def judgement(limit: float, *, most: int = 20, metric: str = "demographic_parity_difference") -> Judgement:
    plan = load_plan("adult", Path("data")).judgement
    limits = [Limit(metric=metric, attribute="sex", limit=limit)]
    test_set = plan.test_set.model_copy(update={"max_judgements": most})
    changed = {"limits": limits, "test_set": test_set, "too_small": type(plan.too_small)()}
    return plan.model_copy(update=changed)


def test_a_limit_within_reach_has_power_and_no_problem() -> None:
    (one,) = showable(TRAINING, 10_000, judgement(0.1))
    assert one.alpha == 0.0025
    assert one.power is not None
    assert one.power > 0.95
    assert one.problem == ""
    assert "the tightest limit that could be shown at level 0.0025 is 0.0" in one.sentence


def test_a_limit_out_of_reach_is_a_problem_that_says_what_could_be_shown() -> None:
    (one,) = showable(TRAINING, 500, judgement(0.05))
    assert one.smallest is not None
    assert one.smallest > 0.1
    assert "even groups of equal rates would pass only" in one.problem
    assert f"is {one.smallest:.3f}" in one.problem


def test_fewer_judgements_leave_each_more() -> None:
    (often,) = showable(TRAINING, 3_000, judgement(0.1, most=20))
    (once,) = showable(TRAINING, 3_000, judgement(0.1, most=1))
    assert once.smallest is not None
    assert often.smallest is not None
    assert once.smallest < often.smallest


def test_the_smallest_is_where_half_of_fair_models_pass() -> None:
    (one,) = showable(TRAINING, 4_000, judgement(0.1))
    rng, passed = np.random.default_rng(1), 0
    for _ in range(60):
        sex = rng.choice(["F", "M"], 4_000, p=[0.3, 0.7])
        cube = Cube.from_arrays(rng.random(4_000) < 0.5, rng.random(4_000) < 0.25, {"sex": sex})
        limit = {"metric": "demographic_parity_difference", "attribute": "sex", "limit": one.smallest}
        passed += judge(cube, [limit], one.alpha)[0].verdict is Verdict.PASS
    assert 15 <= passed <= 45


@pytest.mark.parametrize("metric", ["auc_difference", "tpr_minimum"])
def test_what_is_not_planned_for_is_said_and_refuses_nothing(metric: str) -> None:
    (one,) = showable(TRAINING, 500, judgement(0.05, metric=metric))
    assert (one.power, one.problem) == (None, "")
    assert "not worked out" in one.sentence
