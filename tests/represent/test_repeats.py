"""Duplicates and leakage, counted by hand, on Adult, and beyond a limit."""

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from tasks.plan.judgement import Judgement
from tasks.plan.plan import Plan
from tasks.represent.repeats import find_repeats, repeat_problems, repeat_warnings

RAKING = {"margins": ["sex"]}


def part(*rows: tuple[str | None, str, str]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=dict.fromkeys(("sex", "area", "y"), pl.String), orient="row")


def limited(town: Callable[..., Judgement], share: float | None) -> Judgement:
    judgement = town()
    expectations = judgement.expectations.model_copy(update={"maximum_leakage_share": share})
    return judgement.model_copy(update={"expectations": expectations})


TRAIN = part(("F", "n", "1"), ("F", "n", "1"), ("F", "n", "0"), ("M", "s", "1"), (None, "n", "0"))
TEST = part(("F", "n", "1"), ("M", "s", "0"), (None, "n", "0"), ("M", "n", "0"), ("M", "n", "0"))


def test_every_count_by_hand(town: Callable[..., Judgement]) -> None:
    found = find_repeats(TRAIN, TEST, limited(town, None))
    assert found.model_dump() == {
        "train_rows": 5,
        "train_repeated": 2,
        "train_identical": 1,
        "train_conflicting": 3,
        "test_rows": 5,
        "test_repeated": 1,
        "test_identical": 1,
        "test_conflicting": 0,
        "leaked": 3,  # a missing value equals a missing value
        "leaked_identical": 2,
        "leaked_share": 0.6,
        "limit": None,
    }
    warnings = repeat_warnings(found)
    assert "3 of 5 test rows (60.00%) also stand in the training part, 2 with the same label" in warnings[0]
    assert "2 of 5 training rows (40.00%)" in warnings[1]
    assert "3 rows have the inputs of a row with another label" in warnings[1]
    assert repeat_problems(found) == []


@pytest.mark.parametrize(("limit", "problems"), [(0.5, 1), (0.6, 0), (0.0, 1)])
def test_leakage_beyond_the_limit_is_refused_with_both_sides(
    town: Callable[..., Judgement], limit: float, problems: int
) -> None:
    found = repeat_problems(find_repeats(TRAIN, TEST, limited(town, limit)))
    assert len(found) == problems
    rule = f"in the training part > expectations.maximum_leakage_share {limit:.2%}"
    assert all("3 of 5 test rows (60.00%)" in problem and rule in problem for problem in found)


def test_nothing_repeated_is_neither_warning_nor_problem(town: Callable[..., Judgement]) -> None:
    found = find_repeats(part(("F", "n", "1")), part(("M", "n", "1")), limited(town, 0.0))
    assert repeat_warnings(found) == []
    assert repeat_problems(found) == []


def test_adults_parts_share_a_few_rows(
    adult: Callable[[str], pl.DataFrame], adult_plan: Callable[..., Plan]
) -> None:
    judgement = adult_plan(raking=RAKING).judgement
    train, test = adult("train"), adult("test")
    found = find_repeats(train, test, judgement)
    # 24 exact duplicates in the training part and 5 in the test part, as often remarked of Adult.
    assert (found.train_identical, found.test_identical) == (24, 5)
    assert (found.leaked, found.leaked_identical) == (26, 23)
    same = find_repeats(train, train.head(100), judgement)
    assert same.leaked_share == 1.0


def test_labels_do_not_move_the_leakage(town: Callable[..., Any]) -> None:
    flipped = TEST.with_columns(y=pl.col("y").replace({"0": "1", "1": "0"}))
    found = find_repeats(TRAIN, flipped, limited(town, None))
    assert (found.leaked, found.leaked_identical) == (3, 2)
