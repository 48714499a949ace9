"""Several processes count the cube that one does."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tasks.errors import EvidenceError, Refusal
from tasks.fairness.cube import Cube
from tasks.model.predictor import Predictor
from tasks.plan.plan import Plan
from tasks.train.counting import count, count_together, divide
from tests.train.conftest import Sample
from tests.train.test_train import recipe, run


@pytest.fixture(scope="module")
def model(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("counted")
    run(sample, folder, plan=recipe(sample.plan, "training", epochs=1))
    return folder / "model"


@pytest.fixture(scope="module")
def rows(sample: Sample, model: Path) -> pl.DataFrame:
    """Those that the model can take."""
    known = ~Predictor.load(model).features.unknown_rows(sample.frame)
    return sample.frame.filter(pl.Series(known)).with_row_index("row_id")


def by_unit(plan: Plan, column: str) -> Plan:
    return plan.model_copy(update={"judgement": plan.judgement.model_copy(update={"unit": column})})


def test_the_cubes_of_three_processes_add_up_to_that_of_one(
    sample: Sample, model: Path, rows: pl.DataFrame
) -> None:
    own = sample.plan.judgement
    one = count(model, rows, own)
    assert one.rows == len(rows)
    assert count_together(model, rows, own, 3).to_json() == one.to_json()
    assert count(model, rows.head(-1), own).to_json() != one.to_json()


def test_parts_share_no_unit_and_hold_each_row_once(sample: Sample, rows: pl.DataFrame) -> None:
    plan = by_unit(sample.plan, "native-country")
    parts = divide(rows, plan.judgement, 4)
    assert len(parts) == 4
    assert sorted(row for part in parts for row in part["row_id"]) == rows["row_id"].to_list()
    units = [unit for part in parts for unit in part["native-country"].unique()]
    assert len(units) == len(set(units))
    assert [len(part) for part in divide(rows.head(2), sample.plan.judgement, 4)] == [1, 1]


def test_rows_in_units_are_counted_alike(sample: Sample, model: Path, rows: pl.DataFrame) -> None:
    own = by_unit(sample.plan, "native-country").judgement
    named = rows.drop_nulls("native-country")
    one, other = (count(model, part, own) for part in divide(named, own, 2))
    assert isinstance(one, Cube)
    assert isinstance(other, Cube)
    assert one.merge(other).to_json() == count(model, named, own).to_json()
    nameless = divide(rows, own, 2)[0]
    with pytest.raises(EvidenceError, match=r"unit: .* rows have none"):
        count(model, nameless, own)


def test_what_one_part_is_refused_for_is_refused(sample: Sample, model: Path, rows: pl.DataFrame) -> None:
    strange = pl.when(pl.col("row_id") == len(rows) - 1).then(pl.lit("Elsewhere")).otherwise("workclass")
    with pytest.raises(Refusal, match="workclass"):
        count_together(model, rows.with_columns(workclass=strange), sample.plan.judgement, 2)
