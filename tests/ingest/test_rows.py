"""Rows as a user of the registered model has them: its inputs, and the columns that a decision may read."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tasks.evidence.records import Dataset, FileRef, Part
from tasks.ingest.rows import source_rows
from tasks.plan.judgement import Judgement

FRAME = pl.DataFrame(
    {
        "text": ["a, b", "c"],
        "age": [39, None],
        "sex": ["Male", None],
        "town": ["Oslo", "Rome"],
        "y": ["no", "yes"],
        "row_id": [0, 1],
    }
)
COLUMNS = {"age": {"type": "integer"}, "sex": {"type": "category"}, "town": {"type": "category"}}


def judgement(kind: dict[str, Any]) -> Judgement:
    return Judgement.model_validate(
        {
            "data": {
                "sources": [{"name": "a.csv", "sha256": "0" * 64, "origins": ["file:a.csv"]}],
                "format": {"type": "csv", "null_values": ["?"]},
                "columns": COLUMNS,
                "label": {"column": "y", "values": ["no", "yes"], "positive": "yes"},
                **kind,
            },
            "protected": {"sex": {"column": "sex"}, "age_band": {"column": "age", "bins": [17, 40]}},
            "expectations": {"minimum_rows": {"train": 1}},
            "limits": [{"metric": "tpr_difference", "attribute": "sex", "limit": 0.1}],
            "performance": [{"metric": "accuracy", "minimum": 0.5}],
        }
    )


@pytest.mark.parametrize(
    ("kind", "expected"),
    [({"kind": "tabular"}, ["age", "sex", "town"]), ({"kind": "text"}, ["text", "sex", "age"])],
)
def test_inputs_and_protected_columns_without_the_label(
    tmp_path: Path, kind: dict[str, Any], expected: list[str]
) -> None:
    FRAME.write_parquet(tmp_path / "test.parquet")
    part = Part(file=FileRef.of(tmp_path / "test.parquet"), rows=2)
    dataset = Dataset(name="x", sources=(), train=part, test=part, digest="0" * 64)
    rows = source_rows(dataset, "test", judgement(kind))
    assert list(rows.columns) == expected
    assert rows["sex"].isna().tolist() == [False, kind["kind"] == "text"], "a table's nulls are spelled"
    assert rows["sex"][0] == "Male"
