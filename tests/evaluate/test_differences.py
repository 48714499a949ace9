"""Differences are named to the row, the cell and the key, and equal things are equal."""

from __future__ import annotations

import polars as pl
import pytest

from tasks.evaluate.differences import SHOWN, changed_rows, changed_values

ROWS = pl.DataFrame(
    {
        "row_id": [0, 1, 2],
        "row_digest": ["a", "b", "c"],
        "score": [0.1, 0.5, 0.9],
        "prediction": ["no", "no", "yes"],
    }
)


def test_equal_rows_and_last_bits_of_a_score_are_no_difference() -> None:
    assert changed_rows(ROWS, ROWS, 0.0) == []
    assert changed_rows(ROWS, ROWS.with_columns(pl.col("score") + 1e-7), 1e-6) == []


@pytest.mark.parametrize(
    ("column", "values", "sentence"),
    [
        ("row_digest", ["a", "x", "c"], "row 1: the row's values are not the ones that were judged"),
        ("prediction", ["no", "yes", "yes"], "row 1: 'no' on record, 'yes' predicted again"),
        ("score", [0.1, 0.6, 0.9], "row 1: score 0.5 on record, 0.6 predicted again"),
    ],
)
def test_the_row_that_differs_is_named(column: str, values: list[object], sentence: str) -> None:
    assert changed_rows(ROWS, ROWS.with_columns(pl.Series(column, values)), 1e-6) == [sentence]


def test_numbers_may_differ_by_their_last_bits_alone() -> None:
    told = ROWS.select("row_id", "row_digest", prediction=pl.Series([40.0, 1.0, 0.0], dtype=pl.Float32))
    near, far = (told.with_columns(pl.col("prediction") * by) for by in (1 + 3e-7, 1.001))
    assert changed_rows(told, near, 1e-6) == []
    assert changed_rows(told, far, 1e-6) == [
        "row 0: 40 on record, 40.0400009 predicted again",
        "row 1: 1 on record, 1.00100005 predicted again",
    ]
    missing = told.with_columns(prediction=pl.Series([40.0, float("nan"), 0.0], dtype=pl.Float32))
    assert len(changed_rows(told, missing, 1e-6)) == 1


def test_a_score_that_is_no_number_differs() -> None:
    found = changed_rows(ROWS, ROWS.with_columns(score=pl.Series([0.1, float("nan"), 0.9])), 1e-6)
    assert len(found) == 1
    assert found[0].startswith("row 1: score")


def test_another_number_of_rows_is_told() -> None:
    assert changed_rows(ROWS, ROWS.head(2), 0.0) == ["3 rows on record, 2 rebuilt"]


def test_values_are_named_by_their_path() -> None:
    recorded = {"judged": [{"low": 0.1, "worst": ["tpr", "F", "M"]}], "n": 3}
    assert (
        changed_values(recorded, {"judged": [{"low": 0.1 + 1e-12, "worst": ["tpr", "F", "M"]}], "n": 3}) == []
    )
    assert changed_values(recorded, {"judged": [{"low": 0.2, "worst": ["tpr", "F", "X"]}]}) == [
        "judged[0].low: 0.1 on record, 0.2 rebuilt",
        "judged[0].worst[2]: 'M' on record, 'X' rebuilt",
        "n: 3 on record, None rebuilt",
    ]


def test_many_differences_are_counted() -> None:
    found = changed_values(list(range(50)), list(range(1, 51)))
    assert len(found) == SHOWN + 1
    assert found[-1] == f"and {50 - SHOWN} more"
