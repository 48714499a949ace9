"""Several processes predict and count what one does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from tasks.errors import EvidenceError, Refusal
from tasks.evaluate.together import Crew, count_together, crew, divide, predict_together
from tasks.fairness.counts import Counts
from tasks.ingest.described import describe
from tasks.model import network
from tasks.model.predictor import Predictor
from tasks.plan.judgement import TEST, Judgement
from tests.train.conftest import Sample
from tests.train.test_train import recipe, run

ALONE = Crew(1, map)


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


@pytest.fixture(scope="module")
def three() -> Iterator[Crew]:
    with crew(3) as by:
        yield by


def by_unit(own: Judgement, column: str) -> Judgement:
    return own.model_copy(update={"unit": column})


def cube(by: Crew, model: Path, rows: pl.DataFrame, own: Judgement) -> Counts:
    told = predict_together(ALONE, model, rows, own, TEST)
    return count_together(by, told, describe(rows, own), own, (0.5,))


def test_three_processes_say_what_one_does(
    sample: Sample, model: Path, rows: pl.DataFrame, three: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "ROWS_AT_ONCE", 100)  # here; so there is something to divide
    own = sample.plan.judgement
    one = predict_together(ALONE, model, rows, own, TEST)
    assert predict_together(three, model, rows, own, TEST).equals(one)


def test_parts_hold_whole_batches_in_order(rows: pl.DataFrame) -> None:
    parts = divide(rows, 100, 3)
    assert len(parts) == 3
    assert {len(part) % 100 for part in parts[:-1]} == {0}
    assert pl.concat(parts).equals(rows)
    assert [len(part) for part in divide(rows.head(150), 100, 3)] == [100, 50]
    assert [len(part) for part in divide(rows.head(0), 100, 3)] == [0]


def test_the_cubes_of_three_processes_add_up_to_that_of_one(
    sample: Sample, model: Path, rows: pl.DataFrame, three: Crew
) -> None:
    own = sample.plan.judgement
    one = cube(ALONE, model, rows, own)
    assert one.rows == len(rows)
    assert cube(three, model, rows, own).to_json() == one.to_json()
    assert cube(three, model, rows.head(-1), own).to_json() != one.to_json()


def test_rows_in_units_are_counted_alike(
    sample: Sample, model: Path, rows: pl.DataFrame, three: Crew
) -> None:
    own = by_unit(sample.plan.judgement, "native-country")
    named = rows.drop_nulls("native-country")
    assert cube(three, model, named, own).to_json() == cube(ALONE, model, named, own).to_json()
    with pytest.raises(EvidenceError, match=r"unit: .* rows have none"):
        cube(three, model, rows, own)


def test_what_one_part_is_refused_for_is_refused(
    sample: Sample, model: Path, rows: pl.DataFrame, three: Crew
) -> None:
    strange = pl.when(pl.col("row_id") == len(rows) - 1).then(pl.lit("Elsewhere")).otherwise("workclass")
    with pytest.raises(Refusal, match="workclass"):
        predict_together(three, model, rows.with_columns(workclass=strange), sample.plan.judgement, TEST)
