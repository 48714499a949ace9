"""A model that answers with noise: judged by them, served on a budget for each caller, replayed."""

from __future__ import annotations

import json
import subprocess
import sys

import mlflow
import pandas as pd
import polars as pl
import pytest
from mlflow.exceptions import MlflowException
from scipy.stats import binomtest

from tasks.model.noise import RandomisedResponse
from tasks.register.client import connect

from .conftest import ROOT, Assay, Workspace, body

NOISE = RandomisedResponse(3.0, 30.0, 2, "tiny")


def test_answers_with_noise_from_the_plan_to_the_caller(
    workspace: Workspace, assay: Assay, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = workspace.document()
    document["recipe"]["answers"] = {"epsilon": NOISE.epsilon, "budget": NOISE.budget}
    workspace.write(document)
    done = assay(workspace.top, "retrain", "tiny")
    assert done.code == 0, done
    dossier = workspace.dossiers()[-1]
    (judged,) = body(dossier, "verdicts")["judged"]
    assert judged["limit"] == pytest.approx(0.5 * NOISE.contrast)
    assert json.loads((dossier / "model" / "model.json").read_text())["noise"] == NOISE.to_json()
    told = pl.read_csv(dossier / "predictions.csv")
    assert set(told["score"]) == {0, 1}  # of the positive class: the answer, and nothing more
    verifier = ROOT / "tests" / "project" / "independent_verifier.py"
    verified = subprocess.run(
        [sys.executable, verifier, dossier], capture_output=True, text=True, check=False
    )
    assert verified.returncode == 0, verified.stdout
    assert "ok         predictions: decisions are alike where they were told" in verified.stdout

    connection = connect(f"sqlite:///{workspace.top / 'var' / 'mlflow.db'}", None)
    assert (
        "Answers with noise: each answer is" in connection.client.get_model_version("tiny", "2").description
    )
    names = [*document["judgement"]["data"]["columns"], "income"]
    rows = pd.read_csv(workspace.top / "test.csv", names=names, skipinitialspace=True).drop(columns="income")
    with connection.doing("serve"):
        model = mlflow.pyfunc.load_model("models:/tiny/2")
    decided = model.unwrap_python_model().predictor.predict(rows)["prediction"]
    flipped = int((decided.to_numpy() != told["prediction"].to_numpy()).sum())
    assert binomtest(flipped, len(rows), 1 - NOISE.keep).pvalue > 1e-4

    monkeypatch.delenv("ASSAY_CALLERS", raising=False)
    with pytest.raises(ValueError, match="set ASSAY_CALLERS"):
        model.predict(rows.head(1), params={"caller": "ann"})
    monkeypatch.setenv("ASSAY_CALLERS", str(workspace.top / "callers.db"))
    for nobody in (None, {"caller": ""}):
        with pytest.raises(ValueError, match="params="):
            model.predict(rows.head(1), params=nobody)
    with pytest.raises(MlflowException):
        model.predict(rows.head(1), params={"caller": 3})
    first = model.predict(rows.head(4), params={"caller": "ann"})
    assert list(first.columns) == ["prediction"]
    strange = rows.head(4).assign(occupation="Influencer")
    with pytest.raises(ValueError, match="Influencer"):  # and is not charged for
        model.predict(strange, params={"caller": "ann"})
    assert model.predict(rows.head(4), params={"caller": "ann"}).equals(first)
    with pytest.raises(ValueError, match="2 answers at 3 each; 4 were asked for"):
        model.predict(rows.head(4), params={"caller": "ann"})
    assert len(model.predict(rows.head(10), params={"caller": "bob"})) == 10

    again = assay(workspace.top, "replay", "tiny@2")
    assert again.code == 0, again
    assert "noise: each answer is randomised response over 2 classes at epsilon 3" in again.output
    assert f"{len(rows)} rows predicted again, each the same" in again.output
