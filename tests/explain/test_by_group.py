"""What a feature carries by group, worked by hand, and how much of an attribute the attributions carry."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy.stats import ttest_ind

from tasks.explain.by_group import ALPHA, by_group, carried, weights
from tasks.explain.records import Weight
from tasks.plan import Plan
from tasks.represent.records import Proxy

RNG = np.random.default_rng(3)
GROUPS = pl.DataFrame({"sex": ["F"] * 30 + ["M"] * 50, "label": ["a"] * 80})


def test_weights_by_hand() -> None:
    """|2|, |-4| have mean 3 and standard error 1; t of one degree of freedom at 0.975 is 12.706."""
    (first, second) = weights(np.array([[1.0, 2.0], [1.0, -4.0]]), ("same", "far"))
    assert (first.feature, first.value, first.low) == ("far", 3.0, 0.0)
    assert first.high == pytest.approx(3 + 12.7062, abs=1e-4)
    assert (second.low, second.value, second.high) == (1, 1, 1)


def test_a_difference_is_found_where_there_is_one_and_only_there() -> None:
    planted = RNG.normal(1, 0.2, (80, 2))
    planted[:30, 1] += 1
    found, notes = by_group(planted, ("alike", "other"), GROUPS)
    assert {(one.group, one.feature) for one in found if one.differs} == {("F", "other"), ("M", "other")}
    assert notes == ()
    own = next(one for one in found if (one.group, one.feature) == ("F", "other"))
    assert own.n == 30
    assert own.difference == pytest.approx(1, abs=0.15)


def test_intervals_are_welchs_at_a_level_shared_by_all() -> None:
    """One attribute of two levels and one feature: two differences; against scipy's own test."""
    values = np.abs(RNG.normal(1, 0.3, (80, 1)))
    found, _ = by_group(values, ("x",), GROUPS)
    expected = ttest_ind(values[:30, 0], values[30:, 0], equal_var=False).confidence_interval(1 - ALPHA / 2)
    own = next(one for one in found if one.group == "F")
    assert (own.low, own.high) == (
        pytest.approx(expected.low, abs=1e-6),
        pytest.approx(expected.high, abs=1e-6),
    )


def test_a_small_group_is_named_and_not_compared() -> None:
    small = pl.DataFrame({"sex": ["F"] * 9 + ["M"] * 71})
    found, notes = by_group(RNG.normal(size=(80, 1)), ("x",), small)
    assert found == ()
    assert any("'F' has 9 of 80 rows" in note for note in notes)


def test_what_an_attribute_carries_by_itself_and_by_proxies(plan: Plan) -> None:
    """Shares 0.1 own, 0.5 on a column that tells 0.4 of it: 0.1 + 0.5 x 0.4; the rest tells nothing."""
    values = {"sex": 0.1, "relationship": 0.5, "education": 0.4}
    found = [Weight(feature=name, value=value, low=0, high=1) for name, value in values.items()]
    proxy = Proxy(
        attribute="sex",
        rows=1,
        auc=None,
        level_auc={},
        information={"relationship": 0.4, "education": 0.0, "unseen": 0.9},
        limit=None,
        beyond=False,
    )
    (told,) = carried(found, plan.judgement, [proxy])
    assert (told.own, told.weighted) == (pytest.approx(0.1), pytest.approx(0.3))
    assert told.proxies == {"relationship": pytest.approx(0.5)}


def test_a_decision_that_reads_the_group_counts_as_its_own_column(plan: Plan) -> None:
    found = [Weight(feature=name, value=1, low=0, high=1) for name in ("decision by sex x race", "age")]
    proxy = Proxy(
        attribute="sex", rows=1, auc=None, level_auc={}, information={"age": 0}, limit=None, beyond=False
    )
    assert carried(found, plan.judgement, [proxy])[0].own == 0.5
