"""Resampling, against sizes worked out by hand."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import Refusal
from tasks.mitigate.resampling import resampled
from tasks.mitigate.sample import Sample
from tasks.plan.mitigation import Resampling
from tests.mitigate.samples import same, sample_of, sizes, table_of

JUDGEMENT = table_of({"sex": {"type": "category"}, "row": {"type": "integer"}}, {"sex": {"column": "sex"}})
CELLS = (("F", "high"), ("F", "low"), ("M", "high"), ("M", "low"))


def people(*counts: int) -> Sample:
    rows = [cell for cell, count in zip(CELLS, counts, strict=True) for _ in range(count)]
    frame = pl.DataFrame(rows, schema=["sex", "label"], orient="row").with_row_index("row")
    return sample_of(frame.sample(fraction=1, shuffle=True, seed=0), JUDGEMENT)


def changed(sample: Sample, seed: int = 1, **wanted: Any) -> Sample:
    step = Resampling(kind="resampling", attribute="sex", **wanted)
    return resampled(sample, step, JUDGEMENT, np.random.default_rng(seed))


# 80 rows: the largest cell has 40, the smallest 6, the mean is 20.
@pytest.mark.parametrize(
    ("way", "strength", "expected"),
    [
        ("over", 1, (40, 40, 40, 40)),
        ("under", 1, (6, 6, 6, 6)),
        ("both", 1, (20, 20, 20, 20)),
        ("both", 0.5, (13, 22, 30, 15)),
        ("over", 0.25, (14, 28, 40, 18)),  # 6 + 34 / 4 = 14.5, to the even whole; 10 + 30 / 4 = 17.5
        ("both", 0, (6, 24, 40, 10)),
    ],
)
def test_cells_go_to_the_size_that_is_asked_for(way: str, strength: float, expected: tuple[int, ...]) -> None:
    after = changed(people(6, 24, 40, 10), way=way, strength=strength)
    assert sizes(after, "sex", "label") == dict(zip(CELLS, expected, strict=True))


@settings(max_examples=30, deadline=None)
@given(
    counts=st.tuples(*[st.integers(1, 30)] * 4),
    way=st.sampled_from(["over", "under", "both"]),
    strength=st.floats(0, 1),
)
def test_rows_are_drawn_evenly_and_copies_are_marked(
    counts: tuple[int, ...], way: str, strength: float
) -> None:
    before = people(*counts)
    after = changed(before, way=way, strength=strength)
    kept, copied = after.frame.filter(~after.made), after.frame.filter(after.made)
    assert kept["row"].is_unique().all()
    times = Counter(copied["row"].to_list())
    for cell in CELLS:
        own = before.frame.filter(sex=cell[0], label=cell[1])
        shares = [times[row] for row in own["row"]]
        assert max(shares) - min(shares) <= 1  # whole copies, and a draw without replacement
        assert not sum(shares) or own["row"].is_in(kept["row"].implode()).all()
    # What stays, stays in its order; a row brings its own weight, label and group.
    assert kept.equals(before.frame.join(kept, on="row", how="semi", maintain_order="left"))
    weight = dict(zip(before.frame["row"], before.weights, strict=True))
    assert [weight[row] for row in after.frame["row"]] == after.weights.tolist()
    assert after.described.equals(after.frame.select("sex", "label"))


def test_the_seed_decides() -> None:
    sample = people(6, 24, 40, 10)
    assert same(changed(sample, way="both"), changed(sample, way="both"))
    assert not same(changed(sample, way="both"), changed(sample, seed=2, way="both"))


@pytest.mark.parametrize("way", ["over", "under", "both"])
def test_a_cell_with_no_rows_is_refused_by_name(way: str) -> None:
    told = r"resampling by sex: .* found none of F, label 'high'\. Join the level .* `reweighing`"
    with pytest.raises(Refusal, match=told):
        changed(people(0, 24, 40, 10), way=way)
    with pytest.raises(Refusal, match="F, label 'high'; M, label 'high'"):
        changed(people(0, 24, 0, 10), way=way)


def test_groups_of_a_crossing_that_nobody_is_in_are_not_asked_for() -> None:
    frame = people(6, 24, 40, 10).frame.with_columns(
        race=pl.when(pl.col("sex") == "F").then(pl.lit("A")).otherwise(pl.lit("B"))
    )
    judgement = table_of(
        {name: {"type": "category"} for name in ("sex", "race")},
        {name: {"column": name} for name in ("sex", "race")},
    )
    step = Resampling(kind="resampling", attribute="sex x race", way="under")
    after = resampled(sample_of(frame, judgement), step, judgement, np.random.default_rng(0))
    assert set(sizes(after, "sex", "race", "label").values()) == {6}
