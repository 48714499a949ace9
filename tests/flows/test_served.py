"""The registered model as its user loads it: by alias, with the project off the path."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import missing

from .conftest import Workspace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
SERVE = """
import importlib.util, json, os, sys
sys.path.append(sys.argv[1])
import mlflow, pandas as pd
mlflow.set_tracking_uri(sys.argv[2])
model = mlflow.pyfunc.load_model("models:/tiny@champion")
rows = pd.read_csv(sys.argv[3], names=json.loads(sys.argv[4]), skipinitialspace=True)
answer = model.predict(rows.drop(columns="income"))
strange = rows.drop(columns="income").head(3)
strange.loc[1, "occupation"] = "Influencer"
told = {}
for name, frame in {"category": strange, "column": strange.drop(columns="age")}.items():
    try:
        model.predict(frame)
    except Exception as error:
        told[name] = f"{type(error).__name__}: {error}"
print(json.dumps({
    "types": sorted({str(kind) for kind in rows.dtypes}),
    "missing": int((rows == "?").sum().sum()),
    "columns": list(answer.columns),
    "prediction": answer["prediction"].tolist(),
    "probability": answer["probability"].tolist(),
    "told": told,
    "project": [name for name in ("tasks", "flows", "infra") if importlib.util.find_spec(name)],
    "imported": [name for name in sys.modules if name.partition(".")[0] in ("tasks", "flows", "infra")],
}))
"""


@pytest.fixture(scope="module")
def answer(registered: Workspace, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the model says about the raw test file, and about rows that it can't take."""
    if not sys.platform.startswith("linux"):
        missing("the interpreter's own folders are those of Linux here")
    database = f"sqlite:///{registered.top / 'var' / 'mlflow.db'}"
    columns = json.dumps([*registered.document()["judgement"]["data"]["columns"], "income"])
    arguments = [sysconfig.get_paths()["purelib"], database, registered.top / "test.csv", columns]
    # -S leaves out site, and with it the .pth file by which an editable install finds the project.
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", SERVE, *arguments],
        cwd=tmp_path_factory.mktemp("elsewhere"),
        env={"PATH": "/usr/bin:/bin", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return loaded


def test_it_predicts_what_was_judged_with_the_project_off_the_path(
    registered: Workspace, answer: dict[str, Any]
) -> None:
    assert answer["project"] == []
    assert answer["imported"] == []
    assert answer["types"] == ["int64", "object"]
    assert answer["missing"] > 0
    assert answer["columns"] == ["prediction", "probability"]
    with (registered.dossiers()[0] / "predictions.csv").open(newline="") as file:
        judged = list(csv.DictReader(file))
    assert answer["prediction"] == [row["prediction"] for row in judged]
    assert answer["probability"] == pytest.approx([float(row["score"]) for row in judged], abs=1e-6)


def test_it_says_what_it_cannot_take(answer: dict[str, Any]) -> None:
    told = answer["told"]
    assert (
        "column 'occupation', row 1: 'Influencer' never seen in training (known: Adm-clerical"
        in told["category"]
    )
    assert "age" in told["column"]


def test_nothing_pickled_is_shipped(registered: Workspace) -> None:
    (model,) = (registered.top / "var" / "mlartifacts").rglob("MLmodel")
    kinds = {path.suffix for path in model.parent.rglob("*") if path.is_file()}
    assert not kinds & {".pkl", ".pickle", ".pt", ".pth", ".bin", ".joblib"}
    assert ".safetensors" in kinds
    assert isinstance(model, Path)
