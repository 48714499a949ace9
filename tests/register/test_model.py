"""The registered model: loaded with the project off the path, nothing pickled, same predictions."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import polars as pl
import pytest

from tasks.errors import RegistryError
from tasks.model.grouped import Adjustment, Attribute, Grouped
from tasks.model.predictor import Predictor
from tasks.plan import load_plan
from tasks.plan.source import Column
from tasks.register.client import Connection
from tasks.register.model import input_schema, log_model, requirements
from tasks.register.registry import create_version
from tasks.register.runs import start
from tasks.register.verify import check_served, download_dossier, predict
from tests.register.conftest import COLUMNS

ADULT = load_plan("adult", Path(__file__).parents[2] / "data").judgement


@pytest.fixture
def logged(connection: Connection, tmp_path: Path, model_folder: Path, rows: pd.DataFrame) -> str:
    run_id = start(connection, "adult", tmp_path, {})
    return log_model(connection, run_id, model_folder, rows, COLUMNS, {"assay.freeze": "abc"}).uri


STRANGER = """
import json, sys
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder)]  # our own install
try:
    import tasks
    sys.exit("the project is still on the path")
except ImportError:
    pass
import pandas as pd
import mlflow
mlflow.set_tracking_uri(sys.argv[1])
answer = mlflow.pyfunc.load_model("models:/adult@champion").predict(pd.read_csv(sys.argv[2]))
assert not any(name == "tasks" or name.startswith("tasks.") for name in sys.modules), "ours was imported"
print(json.dumps({name: answer[name].tolist() for name in answer}))
"""


def test_stranger_loads_it_without_the_project(
    connection: Connection, logged: str, rows: pd.DataFrame, predictor: Predictor, tmp_path: Path
) -> None:
    made = create_version(connection, "adult", "a" * 32, logged, {}, "")
    connection.client.set_registered_model_alias("adult", "champion", made.version)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    alone = tmp_path / "alone"
    alone.mkdir()
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    }
    answer = subprocess.run(
        [sys.executable, "-c", STRANGER, connection.uri, str(tmp_path / "rows.csv")],
        cwd=alone,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout.splitlines()[-1])
    expected = predictor.predict(rows)
    assert found["prediction"] == expected["prediction"].tolist()
    assert found["probability"] == [float(p) for p in expected["probability"]]


def test_nothing_is_pickled(connection: Connection, logged: str, tmp_path: Path, model_folder: Path) -> None:
    folder = Path(mlflow.artifacts.download_artifacts(logged, dst_path=str(tmp_path / "model")))
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {
        "served.py",
        "MLmodel",
        "artifacts/model/weights.safetensors",
        "artifacts/model/model.json",
    } <= names
    assert "artifacts/source/predictor.py" in names
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".pt", ".pth", ".pyc"))]
    text = (folder / "requirements.txt").read_text().split()
    assert text == requirements(model_folder)
    assert f"torch=={version('torch').split('+')[0]}" in text
    assert not any("+" in line for line in text)
    assert not any(line.startswith("tokenizers") for line in text)


def test_a_model_of_texts_needs_its_tokenizer_besides(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(json.dumps({"features": {"kind": "text"}}))
    assert f"tokenizers=={version('tokenizers')}" in requirements(tmp_path)


def test_two_versions_live_in_one_process(
    connection: Connection, logged: str, rows: pd.DataFrame, predictor: Predictor
) -> None:
    first, second = (mlflow.pyfunc.load_model(logged) for _ in range(2))
    assert first.predict(rows).equals(second.predict(rows))
    assert first.predict(rows)["prediction"].equals(predictor.predict(rows)["prediction"])


def test_types_change_with_the_rows_read(
    connection: Connection, logged: str, rows: pd.DataFrame, predictor: Predictor
) -> None:
    """A column with a gap is float64, without one int64; an extra column, as the label, is left aside."""
    whole = rows[rows["gain"].notna()].astype({"gain": "int64"}).assign(income=">50K")
    assert predict(connection, logged, whole)["probability"].tolist() == pytest.approx(
        predictor.predict(whole)["probability"].tolist()
    )
    text = rows.astype({"code": str})
    assert predict(connection, logged, text)["prediction"].equals(predictor.predict(rows)["prediction"])


def test_missing_column_and_unknown_category_are_told(
    connection: Connection, logged: str, rows: pd.DataFrame
) -> None:
    with pytest.raises(RegistryError, match=r"missing inputs \['age'\]") as caught:
        predict(connection, logged, rows.drop(columns="age"))
    assert "Private" not in str(caught.value), "MLflow's own message prints the rows"
    with pytest.raises(RegistryError, match=r"'work', row 0: 'Circus' never seen in training"):
        predict(connection, logged, rows.assign(work=["Circus", *rows["work"][1:]]))
    with pytest.raises(RegistryError, match="a finite number is expected"):
        predict(connection, logged, rows.assign(gain=np.inf))


def test_a_model_that_decides_by_group_is_served_with_the_group_and_refuses_rows_without_it(
    connection: Connection, tmp_path: Path, rows: pd.DataFrame, predictor: Predictor
) -> None:
    """The group's columns, a category and a number in bands, are no inputs of the network."""
    people = rows.assign(sex=["Female", " Male", "X", None] * 10, years=np.linspace(15, 90, 40))
    attributes = (Attribute("sex", "sex"), Attribute("age", "years", (17, 40), ("17-39", "40+")))
    score = float(np.median(predictor.scores(rows)[:, 1]))
    levels = {
        "Female x 17-39": Adjustment(0.0),
        "Male x 40+": Adjustment(score, 0.9, 0.1),
        "unknown x 40+": Adjustment(1.0000001),
    }
    by = Grouped(attributes, ("", "?"), "equalized_odds", levels, Adjustment(score))
    model = replace(predictor, rule=replace(predictor.rule, by=by))
    (tmp_path / "model").mkdir()
    for name, content in model.contents().items():
        (tmp_path / "model" / name).write_bytes(content)
    columns = {**COLUMNS, "sex": Column(type="category", nullable=True), "years": Column(type="number")}
    run_id = start(connection, "adult", tmp_path, {})
    logged = log_model(connection, run_id, tmp_path / "model", people, columns, {}).uri
    served, expected = predict(connection, logged, people), model.predict(people)
    assert served["prediction"].tolist() == expected["prediction"].tolist()
    assert served["probability"].tolist() == expected["probability"].tolist()
    groups = by.positions(people)
    assert set(groups.tolist()) == {-1, 0, 1, 2}
    assert set(served["prediction"][groups == 0]) == {">50K"}
    assert set(served["prediction"][groups == 2]) == {"<=50K"}
    for column in ("sex", "years"):
        with pytest.raises(RegistryError, match=f"{column}.*(missing|expected)|missing.*{column}"):
            predict(connection, logged, people.drop(columns=column))


def test_schema_says_what_a_csv_may_hold(rows: pd.DataFrame) -> None:
    kinds = {spec.name: str(spec.type) for spec in input_schema(COLUMNS, rows)}
    assert kinds["age"] == "DataType.long"
    assert kinds["work"] == "DataType.string"
    assert {kinds["gain"], kinds["code"]} == {"Any"}
    with pytest.raises(RegistryError, match="'hours'"):
        input_schema({**COLUMNS, "hours": Column(type="integer")}, rows)


def test_judged_predictions_are_what_is_served(
    connection: Connection, logged: str, rows: pd.DataFrame, predictor: Predictor
) -> None:
    found = predictor.predict(rows)
    predictions, scores = found["prediction"].tolist(), found["probability"].to_numpy(np.float32)
    digests = [f"{row:016x}" for row in range(len(rows))]
    judged = pl.DataFrame({"row_digest": digests, "prediction": predictions, "score": scores})
    check_served(connection, logged, rows, judged, ADULT)

    other = [*predictions]
    other[7] = "<=50K" if predictions[7] == ">50K" else ">50K"
    with pytest.raises(RegistryError, match=r"1 of 40 rows have another prediction; first row 7: judged"):
        check_served(connection, logged, rows, judged.with_columns(prediction=pl.Series(other)), ADULT)
    moved = scores.copy()
    moved[3] = np.nextafter(moved[3], np.float32(1))
    with pytest.raises(RegistryError, match=r"another score; first row 3"):
        check_served(connection, logged, rows, judged.with_columns(score=pl.Series(moved)), ADULT)
    with pytest.raises(RegistryError, match="39 rows were judged"):
        check_served(connection, logged, rows, judged[:-1], ADULT)


def test_flipped_weights_are_not_served(connection: Connection, logged: str, rows: pd.DataFrame) -> None:
    found = connection.client.get_logged_model(logged.removeprefix("models:/"))
    weights = Path(found.artifact_location.removeprefix("file://")) / "artifacts/model/weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(RegistryError, match=r"weights.safetensors: SHA-256 .* expected"):
        predict(connection, logged, rows)


def test_dossier_comes_back(connection: Connection, tmp_path: Path) -> None:
    run_id = start(connection, "adult", tmp_path, {})
    with pytest.raises(RegistryError, match="holds no dossier"):
        download_dossier(connection, run_id, tmp_path / "fetched")
    records = tmp_path / "dossier" / "records"
    records.mkdir(parents=True)
    (records / "00-plan.json").write_text("{}")
    connection.client.log_artifacts(run_id, str(tmp_path / "dossier"), "dossier")
    folder = download_dossier(connection, run_id, tmp_path / "fetched")
    assert (folder / "records" / "00-plan.json").read_text() == "{}"
