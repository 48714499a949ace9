"""The drift distances against Evidently's own, and against scipy's."""

import json
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from scipy.spatial.distance import jensenshannon

from tasks.plan.judgement import Drift
from tasks.represent.distances import category_distance, jensen_shannon, number_distance, wasserstein
from tasks.represent.drift import _Feature, _snapshot


def columns(rows: int, seed: int, shift: float) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    words = pl.Series(rng.choice(["a", "b", "c", "d", "é x", ""], rows, p=[0.5, 0.2, 0.1, 0.1, 0.05, 0.05]))
    return pl.DataFrame(
        {
            "word": words if shift else words.replace("d", "only before"),
            "with gaps": pl.select(pl.when(words != "b").then(words)).to_series(),
            "normal": rng.normal(shift, 1, rows),
            "whole": rng.integers(17, 90, rows).astype(float) + round(10 * shift),
            "heavy": rng.pareto(1.5, rows) * 1e4,
            "mostly zero": np.where(rng.random(rows) < 0.95, 0.0, rng.integers(1, 9, rows) * 1000.0),
            "constant": np.full(rows, 3.0 + shift),
            "tiny": rng.normal(shift, 1, rows) * 1e-6,
        }
    )


@pytest.mark.parametrize("rows", [(800, 700), (5000, 5000)])
def test_the_values_are_evidentlys(rows: tuple[int, int]) -> None:
    # 800 rows and 5,000: Evidently's own choice of a statistic changes at 1,000, the pinned one does not.
    before, now = columns(rows[0], 1, 0.0), columns(rows[1], 2, 0.3)
    kinds = {name: "category" if before[name].dtype == pl.String else "number" for name in before.columns}
    features = [
        _Feature(name, kind, personal=False, before=before[name], now=now[name])
        for name, kind in kinds.items()
    ]
    theirs = by_evidently(features)
    functions = {"category": category_distance, "number": number_distance}
    ours = {name: functions[kind](before[name], now[name]) for name, kind in kinds.items()}
    assert set(theirs) == set(ours)
    for name, value in ours.items():
        assert value == pytest.approx(theirs[name], rel=1e-9, abs=1e-12), name
        assert value > 0


def by_evidently(features: list[_Feature]) -> dict[str, float]:
    metrics: list[dict[str, Any]] = json.loads(_snapshot(features, Drift()).json())["metrics"]
    each = [metric for metric in metrics if metric["config"]["type"].endswith(":ValueDrift")]
    return {metric["config"]["column"]: float(metric["value"]) for metric in each}


finite = st.floats(-1e6, 1e6, width=32)
samples = st.integers(1, 30).flatmap(lambda size: arrays(np.float64, size, elements=finite))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(old=samples, new=samples)
def test_wasserstein_is_scipys_for_any_two_samples(old: np.ndarray, new: np.ndarray) -> None:
    expected = stats.wasserstein_distance(old, new)
    assert wasserstein(np.sort(old), np.sort(new)) == pytest.approx(expected, rel=1e-9, abs=1e-6)


counts = st.integers(1, 8).flatmap(
    lambda size: st.tuples(*[arrays(np.int64, size, elements=st.integers(0, 1000)) for _ in range(2)])
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(pair=counts)
def test_jensen_shannon_is_scipys_for_any_two_tables(pair: tuple[np.ndarray, np.ndarray]) -> None:
    p, q = (side.astype(float) + np.eye(1, side.size).ravel() for side in pair)
    expected = jensenshannon(p, q)
    assert jensen_shannon(p, q) == pytest.approx(expected, abs=1e-7)
    assert 0 <= jensen_shannon(p, q) <= np.sqrt(np.log(2)) + 1e-12


def test_nothing_in_common_is_the_greatest_distance() -> None:
    assert category_distance(pl.Series(["a"]), pl.Series(["b"])) == pytest.approx(np.sqrt(np.log(2)))


def test_a_shift_by_a_tenth_of_a_deviation_is_a_tenth() -> None:
    old = pl.Series(np.random.default_rng(0).normal(50, 7, 1000))
    assert number_distance(old, old + 0.7) == pytest.approx(0.1, rel=0.05)
    assert number_distance(old, old) == 0
