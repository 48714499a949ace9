"""What a plan whose model answers with noise may hold, and the limits that its answers are held against."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from tasks.errors import PlanError
from tasks.fairness import Cube, judge
from tasks.fairness.verdict import Verdict
from tasks.model.noise import RandomisedResponse
from tasks.plan.answers import Answers
from tasks.plan.judgement import Limit
from tasks.plan.load import load_plan, parse_plan
from tasks.plan.plan import Plan

NOISY = {"epsilon": 1, "budget": 20}


def document(answers: dict[str, Any] | None, **judgement: Any) -> dict[str, Any]:
    found = load_plan("adult", Path("data")).model_dump(mode="json")
    found["judgement"] |= {"performance": [{"metric": "accuracy", "minimum": 0.6}], **judgement}
    if answers is not None:
        found["recipe"]["answers"] = answers
    return found


def problems(found: dict[str, Any]) -> str:
    with pytest.raises(PlanError) as caught:
        parse_plan("test", found, "test")
    return str(caught.value)


def test_limits_are_held_against_answers_and_nothing_else_changes() -> None:
    plan, noisy = (parse_plan("test", document(answers), "test") for answers in (None, NOISY))
    assert plan.gate is plan.judgement
    assert "answers" not in plan.model_dump()["recipe"]
    assert noisy.digests["judgement"] == plan.digests["judgement"]
    assert noisy.digests["recipe"] != plan.digests["recipe"]
    assert Plan.model_validate(noisy.model_dump(mode="json")) == noisy
    contrast = RandomisedResponse(1.0, 20.0, 2, "test").contrast
    assert contrast == pytest.approx((np.e - 1) / (np.e + 1))
    assert Answers(epsilon=1, budget=2).contrast(5) == pytest.approx(
        RandomisedResponse(1.0, 2.0, 5, "").contrast
    )
    for one, other in zip(plan.judgement.limits, noisy.gate.limits, strict=True):
        assert (one.metric, one.attribute) == (other.metric, other.attribute)
        assert other.limit == pytest.approx(one.limit * contrast)


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"epsilon": 0, "budget": 1}, "greater than 0"),
        ({"epsilon": -1, "budget": 1}, "greater than 0"),
        ({"epsilon": 21, "budget": 30}, "less than or equal to 20"),
        ({"epsilon": 2, "budget": 1}, "at least `epsilon` (2) is expected, found 1"),
        ({"epsilon": 2}, "recipe.answers.budget"),
    ],
)
def test_noise_that_is_none_is_refused(answers: dict[str, float], words: str) -> None:
    assert words in problems(document(answers))


def test_what_noise_leaves_no_room_for_is_refused() -> None:
    limits = [{"metric": "ppv_difference", "attribute": "sex", "limit": 0.1}]
    told = problems(document(NOISY, limits=limits, performance=[{"metric": "auc", "minimum": 0.8}]))
    assert "noise moves ppv_difference by no known factor" in told
    assert "answers with noise have no scores" in told


def test_accuracy_is_no_limit_where_classes_are_told_right_by_chance_unevenly() -> None:
    """Each decision is right, in both groups, yet the answers' accuracies lie .17 apart, and not 0."""
    noise, n = RandomisedResponse(1.0, 20.0, 3, ""), 2000
    hateful = np.concatenate([np.arange(n) % 10 < 9, np.arange(n) % 10 < 1])
    told = noise.judged(np.where(hateful, 0, 1), [str(row) for row in range(2 * n)], "model")
    cube = Cube.from_arrays(hateful, told == 0, {"g": ["a"] * n + ["b"] * n})
    limit = Limit(metric="accuracy_difference", attribute="g", limit=0.3 * noise.contrast)
    (judged,) = judge(cube, [limit])
    assert judged.verdict is Verdict.FAIL  # which would be wrong of these decisions
    found = load_plan("hate-speech", Path("data")).model_dump(mode="json")
    found["recipe"]["answers"] = NOISY
    told_of = problems(found)
    for name, sizes in (("hatecheck", "2 hateful, 1 non-hateful"), ("templates", "2 toxic, 1 nontoxic")):
        assert f"judgement.audits.{name}.limits[0].metric: noise tells the right class by chance" in told_of
        assert f"({sizes})" in told_of
    assert "judgement.limits" not in told_of  # on the plan's own classes it is one
    for audit in found["judgement"]["audits"].values():
        audit["limits"][0]["metric"] = "tpr_difference"
    parse_plan("test", found, "test")


def test_a_number_is_refused_and_says_why() -> None:
    found = load_plan("adult-hours", Path("data")).model_dump(mode="json")
    found["recipe"]["answers"] = NOISY
    assert "recipe.answers: classes are expected; noise that hides a number is as wide" in problems(found)


def test_a_flag_changes_no_budget() -> None:
    with pytest.raises(PlanError, match="a budget that a setting can raise protects nobody"):
        load_plan("adult", Path("data"), ["recipe.answers.budget=1000"])


def test_noise_claims_nothing_more_often_than_alpha() -> None:
    """Decisions are apart by exactly the limit: either claim about them is wrong at most alpha often."""
    noise, runs, n, gap = RandomisedResponse(1.0, 20.0, 2, ""), 80, 500, 0.2
    draw, groups = np.random.default_rng(3), {"g": ["a"] * n + ["b"] * n}
    limit = Limit(metric="demographic_parity_difference", attribute="g", limit=gap * noise.contrast)
    claims, near = Counter[Verdict](), 0
    for run in range(runs):
        decided = np.concatenate([draw.random(n) < 0.3, draw.random(n) < 0.3 + gap]).astype(np.int64)
        told = noise.told(decided, run.to_bytes(2), (row.to_bytes(2) for row in range(2 * n)))
        (judged,) = judge(Cube.from_arrays(decided, told, groups), [limit])
        claims[judged.verdict] += 1
        near += abs(float(told[n:].mean() - told[:n].mean()) - gap * noise.contrast) < 0.09
    assert max(claims[Verdict.PASS], claims[Verdict.FAIL]) <= binom.ppf(0.999, runs, 0.05)
    assert near > 0.95 * runs  # .09 is three deviations: the gap of answers is that of decisions times it


def test_noise_hides_no_unfair_decision() -> None:
    """Of a gap of .5 the answers show .23: within a limit of .3, but not within what it becomes."""
    noise, n = RandomisedResponse(1.0, 20.0, 2, ""), 2000
    decided = np.concatenate([np.arange(n) % 10 < 2, np.arange(n) % 10 < 7]).astype(np.int64)
    told = noise.judged(decided, [str(row) for row in range(2 * n)], "model")
    cube = Cube.from_arrays(decided, told, {"g": ["a"] * n + ["b"] * n})
    limits = [
        Limit(metric="demographic_parity_difference", attribute="g", limit=0.3 * factor)
        for factor in (1, noise.contrast)
    ]
    assert [judged.verdict for judged in judge(cube, limits)] == [Verdict.PASS, Verdict.FAIL]
