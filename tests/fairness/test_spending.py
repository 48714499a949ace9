"""The budget of a test set: what a judgement may spend, and when nothing is left."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tasks.fairness import Cube, Verdict, judge
from tasks.fairness.allowance import Allowance
from tasks.fairness.spending import Ledger, withheld

ROWS = np.arange(100, dtype=np.uint64)


def spend(
    ledger: Ledger, weights: str, *, rows: np.ndarray = ROWS, maximum: int = 2
) -> tuple[Ledger, Allowance]:
    return ledger.spend(rows, weights, "judgement", alpha=0.05, maximum=maximum, run="run", at="now")


def test_a_judgement_gets_its_share_of_alpha() -> None:
    ledger, first = spend(Ledger(), "a")
    assert (first.alpha, first.number, first.problem) == (0.025, 1, "")
    _, second = spend(ledger, "b")
    assert (second.number, second.rows) == (2, 100)


def test_nothing_is_left_after_the_last() -> None:
    ledger = spend(spend(Ledger(), "a")[0], "b")[0]
    same, third = spend(ledger, "c")
    assert "test set used up: 2 judgements" in third.problem
    assert same is ledger, "what may not be spent is not written"


def test_the_same_weights_and_judgement_spend_nothing() -> None:
    ledger = spend(spend(Ledger(), "a")[0], "b")[0]
    same, again = spend(ledger, "a")
    assert same is ledger
    assert (again.problem, again.number) == ("", 1)


def test_new_rows_open_a_new_budget_half_of_the_old_do_not() -> None:
    ledger = spend(spend(Ledger(), "a")[0], "b")[0]
    half_new = np.arange(50, 150, dtype=np.uint64)
    assert "used up" in spend(ledger, "c", rows=half_new)[1].problem
    fewer = np.arange(51, 151, dtype=np.uint64)
    grown, fresh = spend(ledger, "c", rows=fewer)
    assert (fresh.problem, fresh.number) == ("", 1)
    assert len(grown.budgets) == 2


def test_rows_join_the_budget_that_they_were_judged_under() -> None:
    ledger, _ = spend(Ledger(), "a", maximum=20)
    ledger, _ = spend(ledger, "b", rows=np.arange(50, 150, dtype=np.uint64), maximum=20)
    assert len(ledger.budgets) == 1
    ledger, third = spend(ledger, "c", rows=np.arange(100, 200, dtype=np.uint64), maximum=20)
    assert third.number == 3


def test_shares_of_another_maximum_count_as_they_were_spent() -> None:
    ledger, _ = spend(Ledger(), "a", maximum=2)
    ledger, _ = spend(ledger, "b", maximum=4)
    ledger, last = spend(ledger, "c", maximum=4)
    assert last.problem == ""
    assert "used up" in spend(ledger, "d", maximum=100)[1].problem


@given(st.integers(1, 40))
def test_exactly_max_judgements_are_made(maximum: int) -> None:
    ledger, made = Ledger(), 0
    while True:
        ledger, allowance = spend(ledger, str(made), maximum=maximum)
        if allowance.problem:
            break
        made += 1
    assert made == maximum
    assert sum(line.share for line in ledger.lines) <= 1 + 1e-9


def test_a_used_up_set_never_passes_and_never_fails() -> None:
    y = np.array([0, 1] * 5000)
    groups = {"sex": np.repeat(["F", "M"], 5000)}
    limits = [{"metric": "demographic_parity_difference", "attribute": "sex", "limit": 0.1}]
    fair = judge(Cube.from_arrays(y, y, groups), limits)
    unfair = judge(Cube.from_arrays(y, np.repeat([0, 1], 5000), groups), limits)
    assert [fair[0].verdict, unfair[0].verdict] == [Verdict.PASS, Verdict.FAIL]
    for one in (*withheld(fair, "used up"), *withheld(unfair, "used up")):
        assert one.verdict is Verdict.INCONCLUSIVE
        assert "used up" in one.settles
        assert "used up" in one.sentence


def test_one_judgement_draws_on_every_set_or_on_none() -> None:
    sets, draw = {"test": ROWS, "audit": ROWS + 1000}, {"alpha": 0.05, "run": "run", "at": "now"}
    ledger, first = Ledger().spend_all(sets, "a", "judgement", maximum=2, **draw)
    assert (first.number, len(ledger.lines), len(ledger.budgets)) == (1, 2, 2)
    same, _ = ledger.spend_all(sets, "a", "judgement", maximum=2, **draw)
    assert same is ledger, "the same judgement of the same weights spends nothing"
    # A test part of fresh rows does not make the audit set fresh.
    renewed = {"test": ROWS + 5000, "audit": ROWS + 1000}
    ledger, second = ledger.spend_all(renewed, "b", "judgement", maximum=2, **draw)
    assert second.number == 2
    again = {"test": ROWS + 9000, "audit": ROWS + 1000}
    same, third = ledger.spend_all(again, "c", "judgement", maximum=2, **draw)
    assert same is ledger
    assert third.problem.startswith("audit set audit: test set used up: 2 judgements")


def test_a_large_audit_set_opens_no_new_budget_of_the_test_part() -> None:
    draw = {"alpha": 0.05, "maximum": 1, "run": "run", "at": "now"}
    ledger, _ = Ledger().spend_all({"test": ROWS}, "a", "judgement", **draw)
    large = {"test": ROWS, "audit": np.arange(1000, 9000, dtype=np.uint64)}
    assert "test set used up" in ledger.spend_all(large, "b", "judgement", **draw)[1].problem
