"""Levelling down: a gap that closes because somebody is worse off, and nobody better."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from tasks.evaluate.compare import levelling_down
from tasks.evaluate.compared import Change, GroupChange
from tests.evaluate.test_compare import WORKED, compared, judgement_of, table

LEVELLED = table(
    {
        ("F", "1"): (50, 0, 0, 50),
        ("M", "1"): (60, 100, 0, 40),  # TPR 0.8 -> 0.3, below the women's 0.5
        ("F", "0"): (10, 0, 0, 90),
        ("M", "0"): (20, 0, 0, 180),
    }
)
HELPED = table(
    {
        ("F", "1"): (50, 0, 20, 30),  # 0.5 -> 0.7
        ("M", "1"): (150, 10, 0, 40),  # 0.8 -> 0.75
        ("F", "0"): (10, 0, 0, 90),
        ("M", "0"): (20, 0, 0, 180),
    }
)
ACCUSED = table(
    {
        ("F", "1"): (50, 0, 0, 50),
        ("M", "1"): (100, 0, 0, 100),
        ("F", "0"): (40, 0, 0, 60),
        ("M", "0"): (20, 0, 50, 130),  # FPR 0.1 -> 0.35, towards the women's 0.4
    }
)
CLEARED = table(
    {
        ("F", "1"): (50, 0, 0, 50),
        ("M", "1"): (100, 0, 0, 100),
        ("F", "0"): (20, 20, 0, 60),  # 0.4 -> 0.2
        ("M", "0"): (20, 0, 10, 170),  # 0.1 -> 0.15
    }
)
OF_FPR = ("fpr_difference", "tnr_difference", "predictive_equality_difference", "macro_fpr_difference")


@pytest.mark.parametrize(
    ("rows", "metric", "levelled"),
    [
        (LEVELLED, "equal_opportunity_difference", False),  # 0.3 apart became 0.2: not shown with so few
        (pl.concat([LEVELLED] * 9), "equal_opportunity_difference", True),
        (pl.concat([LEVELLED] * 9), "equal_opportunity_ratio", False),  # 0.5/0.8 became 0.3/0.5: no better
        (pl.concat([LEVELLED] * 9), "tpr_minimum", None),
        (pl.concat([LEVELLED] * 9), "ppv_difference", None),
        (pl.concat([HELPED] * 9), "equal_opportunity_difference", False),
        (pl.concat([WORKED] * 9), "equalized_odds_difference", False),
        *((pl.concat([ACCUSED] * 9), metric, True) for metric in OF_FPR),
        *((pl.concat([CLEARED] * 9), metric, False) for metric in OF_FPR),
        (pl.concat([ACCUSED] * 9), "predictive_equality_ratio", True),  # 0.1/0.4 became 0.35/0.4
        (pl.concat([LEVELLED] * 9), "macro_tpr_difference", True),
        (pl.concat([LEVELLED] * 9), "fpr_difference", False),
    ],
)
def test_levelling_down(rows: pl.DataFrame, metric: str, levelled: bool | None) -> None:  # noqa: FBT001
    """A gap that closes because men lose and nobody gains; not where women gain, nor where none is shown.

    Men lose who are found more seldom, and who are accused more often.
    """
    (limit,) = compared(rows, judgement_of((metric,))).limits
    assert limit.levelling_down is levelled


@pytest.mark.parametrize("positive", [None, "a"])
def test_a_mean_of_true_positive_rates_is_held_against_every_class(positive: str | None) -> None:
    """Men of class a are found less often: that fewer are mistaken for a helps nobody, of three classes.

    The men of b who were mistaken for a now are for c.
    """
    wrong = {"a": "b", "b": "c", "c": "b"}
    rows = [("F", true, told, told) for true in "abc" for told in (true, wrong[true])] * 500
    rows += [("M", "c", "c", "c"), ("M", "c", "b", "b"), ("M", "b", "b", "b"), ("M", "b", "a", "c")] * 300
    rows += [("M", "a", "a", "a")] * 300 + [("M", "a", "a", "c")] * 240 + [("M", "a", "b", "b")] * 60
    frame = pl.DataFrame(rows, schema=["sex", "label", "before", "after"], orient="row")
    (limit,) = compared(frame, judgement_of(("macro_tpr_difference",), ("a", "b", "c"), positive)).limits
    assert (limit.shown, limit.levelling_down) == ("fell", True)


def test_a_ratio_is_levelled_down_where_it_rises() -> None:
    rose = Change(before=0.5, after=0.9, change=0.4, low=0.3, high=0.5)
    fell: dict[str, Any] = {"before": 0.4, "after": 0.2, "change": -0.2, "low": -0.3, "high": -0.1}
    men = GroupChange(attribute="sex", group="M", rate="selection_rate", n=9, gained=0, lost=2, **fell)
    assert levelling_down("demographic_parity_ratio", rose, [men])
    assert not levelling_down("demographic_parity_difference", rose, [men])


def test_no_levelling_down_is_told_of_a_change_without_an_interval() -> None:
    """Neither yes nor no: a metric of the score, or a group of one unit."""
    rows = pl.concat([LEVELLED] * 9).with_columns(unit=pl.col("sex"))
    (limit,) = compared(rows, judgement_of(("equal_opportunity_difference",), unit="age")).limits
    assert limit.change is not None
    assert limit.levelling_down is None
