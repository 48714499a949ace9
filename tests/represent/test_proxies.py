"""Proxies: information and AUC against scikit-learn, on Adult, and columns that must (not) count."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import mutual_info_score, roc_auc_score

from tasks.plan.judgement import Proxies
from tasks.plan.plan import Plan
from tasks.represent.proxies import (
    FEWEST,
    ROWS,
    _area,
    _coded,
    _table,
    find_proxies,
    mutual_information,
    proxy_warnings,
)
from tasks.represent.records import Proxy
from tests.represent.judgements import tiny


def measured(frame: pl.DataFrame, **changes: Any) -> Proxy:
    columns = {
        name: {"type": "category" if dtype == pl.String else "number", "unique": name == "ticket"}
        for name, dtype in frame.schema.items()
    }
    return find_proxies(
        frame, frame.select("sex"), tiny(columns, "sex", protected={"sex": {"column": "sex"}}, **changes)
    )[0]


def people(rows: int = 3000, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    sex = rng.choice(["F", "M"], rows)
    return pl.DataFrame(
        {
            "sex": sex,
            "copy": np.where(sex == "F", "x", "z"),
            "height": np.where(sex == "F", 165.0, 178.0) + rng.normal(0, 7, rows),
            "noise": rng.normal(size=rows),
            "serial": [f"n{i}" for i in range(rows)],
            "ticket": rng.permutation(rows).astype(float),
        }
    )


def test_a_copy_tells_everything_and_noise_nothing() -> None:
    found = measured(people())
    assert found.auc == 1.0
    assert next(iter(found.information)) == "copy"
    assert found.information["copy"] == pytest.approx(1, abs=0.01)
    assert found.information["noise"] < 0.01
    assert found.information["serial"] == 0  # as many levels as rows tell nothing of another row
    assert set(found.information) == {
        "copy",
        "height",
        "noise",
        "serial",
    }  # neither itself nor what is unique


def test_columns_that_tell_nothing_have_an_auc_of_a_half() -> None:
    found = measured(people().select("sex", "noise", "serial"))
    assert found.auc == pytest.approx(0.5, abs=0.04)
    assert not found.beyond


def test_a_number_is_worth_what_theory_says() -> None:
    # Heights of two normal groups 13 apart with deviation 7: AUC = Phi(13 / (7 sqrt 2)).
    found = measured(people(20_000).select("sex", "height"))
    assert found.auc == pytest.approx(0.9054, abs=0.01)


def test_the_information_is_scikit_learns_less_its_bias() -> None:
    frame = people().with_columns(copy=pl.Series(np.random.default_rng(1).choice(list("abcd"), 3000)))
    column, target = _coded(frame["copy"]), _coded(frame["sex"])
    expected = mutual_info_score(frame["copy"], frame["sex"])
    plug_in = mutual_information(_table(column, target)) or 0.0
    assert plug_in == pytest.approx(max(0.0, expected - 3 / (2 * 3000)), abs=1e-12)
    table = np.array([[30.0, 10], [10, 50]])
    rows = [(i, j) for i in range(2) for j in range(2) for _ in range(int(table[i, j]))]
    assert mutual_information(table) == pytest.approx(
        mutual_info_score([i for i, _ in rows], [j for _, j in rows]) - 1 / 200
    )


def test_the_area_is_scikit_learns() -> None:
    rng = np.random.default_rng(2)
    score, inside = rng.integers(0, 20, 500) / 20, rng.random(500) < 0.3
    assert _area(inside, score) == pytest.approx(roc_auc_score(inside, score), abs=1e-6)
    few = np.arange(500) < FEWEST - 1
    assert _area(few, score) is None


def test_missing_values_may_be_the_proxy() -> None:
    frame = people().with_columns(
        height=pl.when(pl.col("sex") == "F").then(pl.col("noise")),
        copy=pl.when(pl.col("sex") == "M").then(pl.lit("known")),
    )
    found = measured(frame.select("sex", "height", "copy"))
    assert found.information["height"] > 0.95
    assert found.information["copy"] > 0.95
    assert found.auc == 1.0


def test_beyond_the_limit_is_a_warning_that_names_the_columns() -> None:
    frame = people().select("sex", "height", "noise")
    within, beyond = (measured(frame, proxies={"maximum_auc": auc}) for auc in (0.95, 0.8))
    assert (within.beyond, proxy_warnings((within,))) == (False, [])
    assert beyond.beyond
    assert "tell sex with an AUC of 0.89" in proxy_warnings((beyond,))[0]
    assert "> proxies.maximum_auc 0.8; most by itself: height (" in proxy_warnings((beyond,))[0]


def test_a_sample_is_taken_of_many_rows_the_same_each_time() -> None:
    frame = people(ROWS + 5000).select("sex", "height")
    assert measured(frame).rows == ROWS
    assert measured(frame) == measured(frame)


def test_nothing_to_compare_with_is_an_auc_of_a_half() -> None:
    found = measured(people().select("sex", "ticket"))
    assert (found.auc, found.information) == (0.5, {})


def test_adult_tells_sex_by_the_relationship(
    adult: Callable[[str], pl.DataFrame], described: pl.DataFrame, adult_plan: Callable[..., Plan]
) -> None:
    plan = adult_plan(raking={"margins": ["sex"]}).judgement
    strict = plan.model_copy(update={"proxies": Proxies(maximum_auc=0.9)})
    sex, race, age = find_proxies(adult("train"), described, strict)
    # scikit-learn's HistGradientBoostingClassifier on the same rows, three folds: 0.934, 0.72, 0.774.
    assert sex.auc == pytest.approx(0.934, abs=0.01)
    assert race.auc == pytest.approx(0.78, abs=0.02)
    assert age.auc == pytest.approx(0.774, abs=0.015)
    assert next(iter(sex.information)) == "relationship"
    assert next(iter(race.information)) == "native-country"
    assert "age" not in age.information
    assert (sex.beyond, race.beyond) == (True, False)
