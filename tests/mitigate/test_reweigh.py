"""Reweighing, against figures worked out by hand."""

import numpy as np
import polars as pl
import pytest

from tasks.mitigate.reweigh import reweigh, reweighed
from tasks.plan.mitigation import Reweighing


def table(counts: dict[tuple[str, str], int]) -> pl.DataFrame:
    rows = [cell for cell, count in counts.items() for _ in range(count)]
    return pl.DataFrame(rows, schema=["sex", "label"], orient="row")


# Kamiran and Calders 2012, table 1 and section 5.3: ten applicants, five of each sex; four men and two
# women get "+". Their weights: men + 0.75, men - 2, women + 1.5, women - 0.67 (AIF360's Reweighing likewise).
APPLICANTS = table({("M", "+"): 4, ("M", "-"): 1, ("F", "+"): 2, ("F", "-"): 3})
WEIGHTS = {("M", "+"): 0.75, ("M", "-"): 2.0, ("F", "+"): 1.5, ("F", "-"): 2 / 3}


def test_the_published_example() -> None:
    weights = reweigh(APPLICANTS, np.ones(10), ["sex"])
    assert dict(zip(APPLICANTS.rows(), weights.tolist(), strict=True)) == pytest.approx(WEIGHTS)


def test_full_strength_makes_group_and_label_independent() -> None:
    raked = np.where(APPLICANTS["sex"].to_numpy() == "F", 1.4, 0.8)
    weights = reweighed(APPLICANTS, raked, Reweighing(kind="reweighing", attribute="sex", strength=1))
    shares = (
        APPLICANTS.with_columns(w=pl.Series(weights))
        .group_by("sex")
        .agg(
            positive=pl.col("w").filter(pl.col("label") == "+").sum() / pl.col("w").sum(),
            total=pl.col("w").sum(),
        )
    )
    positive = shares["positive"].to_list()
    assert positive[0] == pytest.approx(positive[1])
    # The raked margins stay: 5 x 1.4 to 5 x 0.8.
    totals = dict(shares.select("sex", "total").iter_rows())
    assert totals["F"] / totals["M"] == pytest.approx(1.4 / 0.8)


def test_strength_lies_between_no_weights_and_all_of_them() -> None:
    half = reweighed(APPLICANTS, np.ones(10), Reweighing(kind="reweighing", attribute="sex", strength=0.5))
    expected = [(1 + WEIGHTS[cell]) / 2 for cell in APPLICANTS.rows()]
    assert half == pytest.approx(np.array(expected))
    none = reweighed(APPLICANTS, np.ones(10), Reweighing(kind="reweighing", attribute="sex", strength=0))
    assert none == pytest.approx(np.ones(10))


def test_a_crossing_is_a_group_of_its_own() -> None:
    crossed = APPLICANTS.with_columns(race=pl.Series(["A", "B"] * 5))
    step = Reweighing(kind="reweighing", attribute="sex x race", strength=1)
    weights = reweighed(crossed, np.ones(10), step)
    rates = (
        crossed.with_columns(w=pl.Series(weights))
        .group_by("sex", "race")
        .agg(
            positive=pl.col("w").filter(pl.col("label") == "+").sum() / pl.col("w").sum(),
            classes=pl.col("label").n_unique(),
        )
    )
    both = rates.filter(pl.col("classes") == 2)["positive"].to_list()
    assert len(both) > 1
    assert both == pytest.approx([both[0]] * len(both))
