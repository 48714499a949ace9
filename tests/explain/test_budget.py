"""The budget: counted evaluations decide how much, measured time only whether a part is begun."""

from __future__ import annotations

from tasks.explain.budget import LEAST_FLOPS, LEAST_SECONDS, Budget


def test_a_fifth_of_the_whole_is_a_quarter_of_what_was_done() -> None:
    budget = Budget.of(4000, parameters=10**9, seconds=400, share=0.2)
    assert (budget.allowed, budget.seconds) == (1000, 100)


def test_a_short_run_has_the_least_whatever_its_clock_says() -> None:
    quick, slow = (Budget.of(40, parameters=1000, seconds=s, share=0.2) for s in (1, 60))
    assert quick.allowed == slow.allowed == LEAST_FLOPS // 2000
    assert quick.seconds == slow.seconds == LEAST_SECONDS


def test_rows_follow_from_what_is_left_and_not_from_the_clock() -> None:
    budget = Budget(1000, seconds=0)
    assert budget.affordable(wanted=50, each=10, least=5) == 50
    assert budget.affordable(wanted=200, each=10, least=5, of_left=0.5, besides=100) == 40
    budget.spend(960)
    assert budget.affordable(wanted=50, each=10, least=5) == 0
    assert budget.left == 40


def test_a_part_is_left_out_for_want_of_evaluations_or_of_time() -> None:
    now = iter([0.0, 5.0, 11.0])
    budget = Budget(100, seconds=10, clock=lambda: next(now))
    assert budget.lacking(101) == "evaluations"
    assert budget.lacking(100) == ""
    assert budget.lacking(100) == "time"
