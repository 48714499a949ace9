"""Limits on effect sizes: bounds, verdicts, and what may not be judged."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError
from scipy import optimize, stats

from tasks.fairness.verdict import Verdict
from tasks.plan.judgement import EffectLimits, Judgement
from tasks.represent.compare import compare
from tasks.represent.effects import _noncentrality, judge_effects
from tasks.represent.records import Effect
from tasks.represent.table import Table


def judged(sample: list[float], reference: list[float], alpha: float = 0.05, **limits: float) -> list[Effect]:
    levels = {"a": tuple(f"a{i}" for i in range(len(sample)))}
    tables = Table(levels, np.array(sample, float)), Table(levels, np.array(reference, float))
    return list(judge_effects(*tables, [("a",)], EffectLimits(**limits), alpha=alpha, rows=sum(sample)))


def test_a_noncentrality_as_published() -> None:
    # Smithson 2003, Confidence Intervals (Sage), on inverting the noncentral chi-square: the limit is the
    # noncentrality at which the value found is the upper quantile.
    limit = _noncentrality(30.0, 4, 0.025)
    assert stats.ncx2.sf(30.0, 4, limit) == pytest.approx(0.025, rel=1e-6)
    assert _noncentrality(3.0, 4, 0.025) == 0
    # The normal law that takes over for large values continues the exact one.
    exact = optimize.brentq(lambda c: stats.ncx2.sf(12_000, 4, c) - 0.01, 1, 12_000)
    assert _noncentrality(12_000, 4, 0.01) == pytest.approx(exact, rel=1e-3)


def test_two_levels_are_a_binomial_share() -> None:
    # With two levels w = |p - q| / sqrt(q (1 - q)), so the bound is the Wald limit of a share.
    one = judged([4700, 5300], [1, 1], cohen_w=0.1)[0]
    assert one.value == pytest.approx(0.06)
    assert one.high == pytest.approx(0.06 + 1.96 * np.sqrt(0.47 * 0.53 / 10_000) / 0.5, rel=0.01)
    assert one.verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("sample", "verdict"),
    [
        ([5000, 5000], Verdict.PASS),
        ([4000, 6000], Verdict.FAIL),  # w = .2
        ([50, 50], Verdict.INCONCLUSIVE),  # equal, but shown by a hundred rows alone
        ([4500, 5500], Verdict.INCONCLUSIVE),  # w = .1, at the limit
    ],
)
def test_three_verdicts_of_each_effect(sample: list[float], verdict: Verdict) -> None:
    # PSI is about w squared and the JS distance about w over root 8.
    found = judged(sample, [1, 1], cohen_w=0.1, psi=0.01, js_distance=0.1 / np.sqrt(8))
    assert [one.effect for one in found] == ["cohen_w", "psi", "js_distance"]
    assert {one.verdict for one in found} == {verdict}


DIRECTIONS = {
    "one level more": [1, -1, 0, 0, 0],
    "one level less": [-1, 0, 0, 0, 1],
    "all": [1, -2, 1, -1, 1],
}
SHARES = np.array([0.02, 0.08, 0.2, 0.3, 0.4])


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize(("effect", "limit"), [("cohen_w", 0.1), ("psi", 0.02), ("js_distance", 0.05)])
@pytest.mark.parametrize("rows", [1000, 20_000])
def test_errors_at_the_limit_are_at_most_alpha(direction: str, effect: str, limit: float, rows: int) -> None:
    draws, alpha = 200, 0.1
    truth = at_the_limit(effect, limit, np.array(DIRECTIONS[direction]) * np.sqrt(SHARES))
    if truth is None:
        return  # this level can't have so few rows that the effect is reached
    samples = np.random.default_rng(3).multinomial(rows, truth, draws)
    verdicts = [judged(s.tolist(), SHARES.tolist(), alpha, **{effect: limit})[0].verdict for s in samples]
    slack = 2.6 * np.sqrt(alpha * (1 - alpha) / draws)  # Monte Carlo error
    assert verdicts.count(Verdict.PASS) / draws <= alpha + slack
    assert verdicts.count(Verdict.FAIL) / draws <= alpha + slack


def at_the_limit(effect: str, limit: float, direction: np.ndarray) -> np.ndarray | None:
    direction = direction - SHARES * direction.sum()
    longest = 0.999 * min(-q / d for q, d in zip(SHARES, direction, strict=True) if d < 0)

    def beyond(step: float) -> float:
        sample = (SHARES + step * direction) * 1e9
        return judged(sample.tolist(), SHARES.tolist(), **{effect: limit})[0].value - limit

    if beyond(longest) < 0:
        return None
    return SHARES + optimize.brentq(beyond, 1e-6, longest) * direction


@pytest.mark.parametrize(("effect", "limit"), [("cohen_w", 0.1), ("psi", 0.02), ("js_distance", 0.05)])
def test_a_sample_from_the_population_passes(effect: str, limit: float) -> None:
    samples = np.random.default_rng(4).multinomial(20_000, SHARES, 100)
    verdicts = [judged(s.tolist(), SHARES.tolist(), **{effect: limit})[0].verdict for s in samples]
    assert verdicts.count(Verdict.PASS) >= 0.95 * len(verdicts)


@pytest.mark.parametrize(
    ("sample", "reference", "limits", "reason"),
    [
        ([9000, 9000, 1], [1, 1, 0], {"cohen_w": 9}, "a level that the population lacks"),
        ([900, 100, 19], [900, 100, 19], {"cohen_w": 9}, "19.0 rows are expected of its rarest level, 20"),
        ([9000, 9000, 0], [9000, 9000, 30], {"psi": 9}, "its rarest level has 0.0 rows, 5 are needed"),
    ],
)
def test_what_has_no_bound_is_never_a_pass(
    sample: list[float], reference: list[float], limits: dict[str, float], reason: str
) -> None:
    one = judged(sample, reference, **limits)[0]
    assert (one.verdict, one.low, one.high) == (Verdict.INCONCLUSIVE, None, None)
    assert reason in one.reason


def test_an_attribute_of_one_level_fits(town: Callable[..., Judgement]) -> None:
    assert judged([100], [7], cohen_w=0.1)[0].verdict is Verdict.PASS


def test_a_plan_with_effect_limits_refuses_what_is_not_shown(
    town: Callable[..., Judgement], rows: Callable[..., pl.DataFrame], tmp_path: Path
) -> None:
    cells = {("F", "north"): 600, ("F", "south"): 600, ("M", "north"): 400, ("M", "south"): 400}
    judgement = town(raking=None, effect_limits={"cohen_w": 0.1})
    fits = compare(rows(cells), judgement, tmp_path)
    assert fits.problems == ()
    assert [(one.attribute, one.verdict) for one in fits.judged_effects] == [
        ("sex", Verdict.PASS),
        ("area", Verdict.PASS),
    ]
    near = compare(rows({**cells, ("M", "south"): 600}), judgement, tmp_path)
    assert [problem.split(" [")[0] for problem in near.problems] == [
        "sex: cohen_w 0.111",
        "area: cohen_w 0.091",
    ]
    assert "is not shown to lie below effect_limits.cohen_w 0.1: INCONCLUSIVE" in near.problems[1]
    far = compare(rows({**cells, ("M", "south"): 900}), judgement, tmp_path)
    assert all("exceeds effect_limits.cohen_w 0.1: FAIL" in problem for problem in far.problems)


def test_limits_without_a_limit_are_no_plan(town: Callable[..., Judgement]) -> None:
    with pytest.raises(ValidationError, match="at least one of `cohen_w`"):
        town(raking=None, effect_limits={})
    with pytest.raises(ValidationError, match="else nothing is required"):
        town(raking=None)
