"""k-anonymity and l-diversity, counted by hand."""

from __future__ import annotations

import polars as pl

from tasks.represent.anonymity import anonymity, anonymity_of, anonymity_warnings

from .judgements import tiny

ROWS = pl.DataFrame(
    [("F", "n", "1")] * 5
    + [("F", "s", "1"), ("F", "s", "0")]
    + [("M", "n", "0"), ("M", "n", "0"), (None, "n", "1")],
    schema=dict.fromkeys(("sex", "area", "label"), pl.String),
    orient="row",
)


def test_classes_by_hand() -> None:
    found = anonymity(ROWS, ["sex", "area"], "label")
    assert found is not None
    assert found.model_dump() == {
        "quasi_identifiers": ("sex", "area"),
        "rows": 10,
        "classes": 4,  # F n: 5, F s: 2, M n: 2, missing n: 1
        "smallest_k": 1,
        "small_share": 0.5,
        "smallest_l": 1,
    }
    by_area = anonymity(ROWS, ["area"], "label")
    assert by_area is not None
    assert (by_area.smallest_k, by_area.small_share, by_area.smallest_l) == (2, 0.2, 2)


def test_nothing_tells_a_row_without_quasi_identifiers() -> None:
    assert anonymity(ROWS, [], "label") is None
    assert anonymity(ROWS.clear(), ["sex"], "label") is None
    found = anonymity(ROWS, ["sex"], None)
    assert found is not None
    assert found.smallest_l is None


def test_the_described_table_with_the_plans_further_columns() -> None:
    columns = {"sex": {"type": "category"}, "age": {"type": "integer"}, "job": {"type": "category"}}
    protected = {"sex": {"column": "sex"}, "band": {"column": "age", "bins": [0, 40]}}
    parts = [
        pl.DataFrame(
            {"sex": ["F", "F", "M"], "age": [20, 39, 50], "job": ["a", "a", "b"], "y": ["0", "1", "1"]}
        ),
        pl.DataFrame({"sex": ["M"], "age": [60], "job": ["b"], "y": ["0"]}),
    ]
    plain = tiny(columns, "sex", protected=protected)
    found = anonymity_of(parts, plain)
    assert found is not None
    assert (found.quasi_identifiers, found.smallest_k, found.smallest_l) == (("sex", "band"), 2, 2)
    assert anonymity_warnings(found, plain) == []
    further = {"quasi_identifiers": ["age", "sex", "job"]}
    hidden = tiny(columns, "sex", protected=protected, privacy=further)
    found = anonymity_of(parts, hidden)
    assert found is not None
    assert found.quasi_identifiers == ("sex", "band", "column age", "column job")
    warned = anonymity_warnings(found, hidden)
    assert (
        "by sex, band, column age, column job the smallest class has 1 rows, and 100.00% of 4 rows"
        in warned[0]
    )
