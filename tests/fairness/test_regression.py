"""Regression's sufficient statistics against numpy on the rows, and the bounds of parity."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.fairness.regression import RegressionTable

EDGES = (-1.0, 0.0, 0.5, 2.0)
RANGE = (-4.0, 4.0)
Row = tuple[str | None, float, float]
number = st.floats(-4, 4, width=32)
rows_of = st.lists(st.tuples(st.sampled_from(["a", "b", None]), number, number), min_size=1, max_size=40)
quick = settings(max_examples=60, deadline=None)


def table_of(rows: list[Row]) -> RegressionTable:
    group, truth, guess = zip(*rows, strict=True)
    return RegressionTable.from_arrays(list(truth), list(guess), "g", list(group), EDGES, RANGE)


@quick
@given(rows_of)
def test_metrics_are_those_of_the_rows(rows: list[Row]) -> None:
    for found in table_of(rows).metrics().iter_rows(named=True):
        mine = [(y, f) for g, y, f in rows if (g or "unknown") == found["g"]]
        truth, guess = (np.array(column) for column in zip(*mine, strict=True))
        assert found["n"] == len(mine)
        assert found["mean_prediction"] == pytest.approx(guess.mean(), abs=1e-9)
        assert found["mae"] == pytest.approx(np.abs(guess - truth).mean())
        assert found["mse"] == pytest.approx(((guess - truth) ** 2).mean())
        assert found["rmse"] == pytest.approx(np.sqrt(((guess - truth) ** 2).mean()))
        assert found["residual"] == pytest.approx((guess - truth).mean(), abs=1e-9)


@quick
@given(rows_of)
def test_parity_over_every_threshold_lies_within_its_bounds(rows: list[Row]) -> None:
    every = np.array([f for _, _, f in rows])
    for found in table_of(rows).metrics().iter_rows(named=True):
        mine = np.array([f for g, _, f in rows if (g or "unknown") == found["g"]])
        exact = max(abs((mine >= z).mean() - (every >= z).mean()) for z in every)
        at_edges = max(abs((mine >= z).mean() - (every >= z).mean()) for z in EDGES)
        assert found["parity_low"] == pytest.approx(at_edges)
        assert found["parity_low"] - 1e-12 <= exact <= found["parity_high"] + 1e-12


def test_finer_edges_close_the_bounds() -> None:
    rng = np.random.default_rng(0)
    group, guess = rng.integers(0, 2, 5_000), rng.normal(size=5_000)
    guess += group * 0.5
    widths = []
    for bins in (10, 100, 1_000):
        edges = np.linspace(-4, 4, bins)
        found = RegressionTable.from_arrays(guess, guess, "g", group, edges.tolist(), (-6, 6)).metrics()
        widths.append((found["parity_high"] - found["parity_low"]).max())
    assert widths[0] > widths[1] > widths[2]
    assert widths[2] < 0.01


@quick
@given(rows_of, rows_of)
def test_merging_is_summing_both_parts_together(one: list[Row], other: list[Row]) -> None:
    merged, whole = table_of(one).merge(table_of(other)), table_of([*one, *other])
    assert merged.levels == whole.levels
    assert (merged.counts == whole.counts).all()
    np.testing.assert_allclose(merged.sums, whole.sums, rtol=1e-12, atol=1e-9)


@quick
@given(rows_of)
def test_json_reads_back_as_the_same_bytes(rows: list[Row]) -> None:
    content = table_of(rows).to_json()
    assert RegressionTable.from_json(content).to_json() == content


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"y_true": [1.0]}, "one length"),
        ({"y_true": [1.0, float("nan")]}, "finite"),
        ({"y_pred": [1.0, float("inf")]}, "finite"),
        ({"y_pred": ["1", "2"]}, "one number a row"),
        ({"group": [1.0, float("nan")]}, "NaN"),
        ({"edges": [1.0, 1.0]}, "rising"),
        ({"edges": []}, "at least one"),
        ({"y_true": [1, 20]}, "y_true: numbers from 0 to 9 are expected, 1 of 2 are others"),
        ({"y_pred": [-1, 2]}, "y_pred: numbers from 0 to 9"),
    ],
)
def test_bad_input_is_refused_with_its_reason(change: dict[str, object], words: str) -> None:
    good: dict[str, object] = {"y_true": [1, 2], "y_pred": [1, 3], "group": ["a", "b"], "edges": [2.0]}
    good["label_range"] = (0, 9)
    RegressionTable.from_arrays(attribute="g", **good)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=words):
        RegressionTable.from_arrays(attribute="g", **(good | change))  # type: ignore[arg-type]


def test_other_tables_are_neither_merged_nor_read() -> None:
    table = RegressionTable.from_arrays([1.0], [1.0], "g", ["a"], [0.5], (0, 2))
    for edges, label_range in (([0.6], (0, 2)), ([0.5], (0, 3))):
        with pytest.raises(ValueError, match="same edges"):
            table.merge(RegressionTable.from_arrays([1.0], [1.0], "g", ["a"], edges, label_range))
    for old, new in ((b'"schema":2', b'"schema":1'), (b"[[0,1]]", b"[[0,-1]]"), (b'["a"]', b'["a","b"]')):
        with pytest.raises(ValueError, match="expected"):
            RegressionTable.from_json(table.to_json().replace(old, new))
