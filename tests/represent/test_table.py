"""Counting over the crossing, and what rows of one unit are worth."""

import numpy as np
import polars as pl
import pytest

from tasks.represent.table import effective_rows, tabulate

FRAME = pl.DataFrame(
    {"sex": ["F", "F", "M", "F"], "area": ["s", "n", "s", "s"], "weight": [1.5, 2.0, 3.0, 4.5]}
)
LEVELS = {"sex": ("F", "M"), "area": ("n", "s")}


def test_counts_and_margins_follow_the_levels() -> None:
    table = tabulate(FRAME, LEVELS)
    assert table.counts.tolist() == [[1, 2], [0, 1]]
    assert table.margin(("sex",)).tolist() == [3, 1]
    assert table.margin(("area", "sex")).tolist() == [[1, 0], [2, 1]]
    assert table.names(("area", "sex")) == ["n x F", "n x M", "s x F", "s x M"]


def test_a_weight_is_added_up() -> None:
    assert tabulate(FRAME, LEVELS, weight="weight").counts.tolist() == [[2, 6], [0, 3]]


def test_a_level_outside_the_table_is_an_error_not_a_row_less() -> None:
    with pytest.raises(pl.exceptions.InvalidOperationError):
        tabulate(FRAME, {"sex": ("F",), "area": ("n", "s")})


def test_widening_keeps_the_counts_and_adds_empty_levels() -> None:
    wide = tabulate(FRAME, LEVELS).widened({"sex": ["F", "X"], "area": ["n"]})
    assert wide.levels == {"sex": ("F", "M", "X"), "area": ("n", "s")}
    assert np.array_equal(wide.margin(("sex",)), [3, 1, 0])


def test_rows_of_one_unit_are_worth_less() -> None:
    assert effective_rows(FRAME) == 4
    assert effective_rows(FRAME.with_columns(unit=pl.Series(["a", "b", "c", "d"]))) == 4
    assert effective_rows(FRAME.with_columns(unit=pl.Series(["a", "a", "b", "b"]))) == 2
    assert effective_rows(FRAME.with_columns(unit=pl.Series(["a", "a", "a", "b"]))) == pytest.approx(16 / 10)
