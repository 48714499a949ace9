"""Generated rows: of their cell, between its rows, never of what is not there."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import polars as pl
import pytest

from tasks.errors import PlanError, Refusal
from tasks.mitigate.sample import Sample
from tasks.mitigate.synthesis import synthesised
from tasks.plan.judgement import Judgement
from tasks.plan.mitigation import Synthesis
from tests.mitigate.samples import same, sample_of, sizes, table_of
from tests.train.conftest import Sample as Training
from tests.train.conftest import sample as adult  # noqa: F401 - a fixture

NUMBER, CATEGORY = {"type": "number", "nullable": True}, {"type": "category", "nullable": True}
JUDGEMENT = table_of(
    {
        "sex": {"type": "category"},
        "age": {"type": "integer"},
        "pay": NUMBER,
        "job": CATEGORY,
        "sector": {
            **CATEGORY,
            "looked_up": {"column": "job", "values": {"baker": "trade", "judge": "state"}},
        },
        "person": {"type": "category", "unique": True},
        "flat": {"type": "number"},
    },
    {"sex": {"column": "sex"}, "band": {"column": "age", "bins": [17, 40, 65]}},
)


def people(few: int = 8) -> Sample:
    """Four cells of 30 rows, but that of F x high of a few."""
    rng = np.random.default_rng(4)
    counts = {("F", "high"): few, ("F", "low"): 30, ("M", "high"): 30, ("M", "low"): 30}
    cells = [cell for cell, count in counts.items() for _ in range(count)]
    n = len(cells)
    job = rng.choice(["baker", "judge"], n)
    frame = pl.DataFrame(cells, schema=["sex", "label"], orient="row").with_columns(
        age=pl.Series(rng.integers(20, 39, n)),
        pay=pl.Series(rng.normal(1000, 300, n)),
        job=pl.Series(job),
        sector=pl.Series(job).replace({"baker": "trade", "judge": "state"}),
        person=pl.Series([f"p{i}" for i in range(n)]),
        flat=pl.lit(0.1),
    )
    return sample_of(frame, JUDGEMENT)


def grown(sample: Sample, judgement: Judgement = JUDGEMENT, seed: int = 1, **wanted: Any) -> Sample:
    step = Synthesis(kind="synthesis", **{"attribute": "sex", "minimum": 25, **wanted})
    return synthesised(sample, step, judgement, np.random.default_rng(seed))


def test_thin_cells_grow_to_the_minimum_and_others_stay() -> None:
    before = people()
    after = grown(before)
    assert sizes(after, "sex", "label") == {
        ("F", "high"): 25, ("F", "low"): 30, ("M", "high"): 30, ("M", "low"): 30
    }  # fmt: skip
    assert same(after.at(np.arange(98)), before)
    assert after.made.tolist() == [False] * 98 + [True] * 17
    assert after.weights[98:].tolist() == pytest.approx([before.weights[:8].mean()] * 17)


def test_a_generated_row_lies_within_its_cell() -> None:
    before = people()
    after = grown(before)
    own, made = before.frame[:8], after.frame.filter(after.made)
    assert made["age"].dtype == pl.Int64
    for name in ("age", "pay"):
        assert made[name].is_between(own[name].min(), own[name].max()).all()
    assert not made["pay"].is_in(own["pay"].implode()).any()  # between rows, and none of them
    assert set(made["job"]) <= set(own["job"])
    assert set(made["flat"]) == {0.1}
    assert set(made["sex"]) == {"F"}
    assert set(made["label"]) == {"high"}
    # What follows from a column follows; who it is stays open.
    assert (made["sector"] == made["job"].replace({"baker": "trade", "judge": "state"})).all()
    assert made["person"].is_null().all()


def test_a_number_is_between_two_rows_of_the_cell() -> None:
    frame = people(2).frame.with_columns(age=pl.lit(30, pl.Int64))
    made = grown(sample_of(frame, JUDGEMENT), neighbours=1).frame[92:]
    # With two rows every row lies on the way from one to the other.
    (low, high) = sorted(frame["pay"][:2])
    assert made.height == 23
    assert made["pay"].is_between(low, high).all()
    assert made["pay"].n_unique() == 23


def test_categories_alone_and_numbers_alone() -> None:
    kinds = {"sex": {"type": "category"}, "job": CATEGORY}
    categories = table_of(kinds, {"sex": {"column": "sex"}})
    sample = sample_of(people().frame.select("sex", "job", "label"), categories)
    assert sizes(grown(sample, categories), "sex", "label")["F", "high"] == 25
    numbers = table_of(
        {"age": {"type": "integer"}, "pay": NUMBER}, {"band": {"column": "age", "bins": [17, 40]}}
    )
    aged = people().frame.with_columns(age=pl.when(sex="F").then(pl.col("age")).otherwise(50))
    sample = sample_of(aged.select("age", "pay", "label"), numbers)
    after = grown(sample, numbers, attribute="band")
    assert sizes(after, "band", "label")["17-39", "high"] == 25
    assert after.frame.filter(after.made)["age"].n_unique() > 3


def test_a_missing_category_is_a_category_and_a_missing_number_is_no_neighbour() -> None:
    lacking = pl.int_range(pl.len())
    frame = people(20).frame.with_columns(
        job=pl.when(lacking < 20).then(None).otherwise("job"),
        pay=pl.when(lacking < 10).then(None).when(lacking == 10).then(float("nan")).otherwise("pay"),
    )
    after = grown(sample_of(frame, JUDGEMENT))
    made = after.frame.filter(after.made)
    assert made.height == 5
    assert made["job"].is_null().all()
    assert made["pay"].is_between(frame["pay"][11:20].min(), frame["pay"][11:20].max()).all()
    alone = frame.with_columns(pay=pl.when(lacking < 20).then(1.0 * lacking).otherwise(None))
    after = grown(sample_of(alone, JUDGEMENT))
    assert after.frame.filter(after.made)["pay"].is_between(0, 19).all()
    told = r"6 fit rows without a missing number are needed .* found F, label 'high': 5\."
    fewer = frame.with_columns(pay=pl.when(pl.int_range(pl.len()) < 15).then(None).otherwise("pay"))
    with pytest.raises(Refusal, match=told):
        grown(sample_of(fewer, JUDGEMENT))


def test_too_few_rows_for_the_neighbours_are_refused_with_the_number_needed() -> None:
    with pytest.raises(Refusal, match=r"needed in a cell for 5 neighbours, found F, label 'high': 5\. Give"):
        grown(people(5))
    assert grown(people(5), neighbours=4).made.sum() == 20
    with pytest.raises(Refusal, match=r"2 fit rows .* for 1 neighbours, found F, label 'high': 1"):
        grown(people(1), neighbours=1)


def test_a_cell_with_no_rows_is_refused_by_name() -> None:
    with pytest.raises(Refusal, match=r"synthesis by sex: .* found none of F, label 'high'"):
        grown(people(0))


def test_the_seed_decides_and_a_cell_may_outgrow_the_rest() -> None:
    sample = people()
    assert same(grown(sample, minimum=200), grown(sample, minimum=200))
    assert not same(grown(sample), grown(sample, seed=2))
    assert set(sizes(grown(sample, minimum=200), "sex", "label").values()) == {200}


def test_no_thin_cell_needs_no_rows() -> None:
    sample = people(30)
    assert same(grown(sample), sample)


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imblearn.over_sampling", None)
    with pytest.raises(
        PlanError, match=r"imbalanced-learn, which is not installed: pip install '.\[mitigation\]'"
    ):
        grown(people())


def test_rows_of_a_real_table(adult: Training) -> None:  # noqa: F811 - the fixture
    judgement = adult.plan.judgement
    frame = adult.frame.drop("row_digest")
    enough = frame.filter(pl.col("race").is_in(["White", "Black"]))
    before = sample_of(enough, judgement)
    after = grown(before, judgement, attribute="sex x race", minimum=60, neighbours=2)
    assert min(sizes(after, "sex", "race", "label").values()) == 60
    made = after.frame.filter(after.made)
    for name, column in adult.plan.judgement.data.described().items():
        if column.type == "category":
            assert set(made[name]) <= set(enough[name])
        else:
            assert made[name].is_between(enough[name].min(), enough[name].max()).all()
    assert made.schema == enough.schema
