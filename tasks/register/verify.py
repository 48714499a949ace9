"""What was registered is what was judged: the registered model predicts the raw test rows again."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl

from tasks.errors import RegistryError
from tasks.evaluate.kinds import kind_of
from tasks.evidence.digest import digest_file
from tasks.model.prediction_log import SETTING
from tasks.plan.judgement import Judgement
from tasks.register.client import Connection
from tasks.register.registry import Version


def check_served(
    connection: Connection,
    model_uri: str,
    rows: pd.DataFrame,
    predictions: pl.DataFrame,
    judgement: Judgement,
) -> None:
    """Load the registered model as anyone would and compare every row with what was judged.

    Args:
        connection: MLflow.
        model_uri: ``models:/NAME/VERSION``, ``models:/NAME@ALIAS`` or ``models:/m-...``.
        rows: the test part's raw rows, the source's own columns.
        predictions: as judged, the columns of predictions.csv: classes and their scores, compared as float32,
            or numbers likewise.
        judgement: of the plan; its label says what a prediction is.

    Raises:
        RegistryError: naming the first row that differs, or that the model can't be loaded or fed.
    """
    served = predict(connection, model_uri, rows, predictions["row_digest"].to_list())
    if len(served) != len(predictions):
        raise RegistryError(f"{model_uri}: {len(predictions)} rows were judged, it predicts {len(served)}")
    told = kind_of(judgement).served(columns_of(served), judgement)
    for name in ("prediction", *(other for other in told.columns if other != "prediction")):
        _require_equal(model_uri, name, predictions[name].to_numpy(), told[name].to_numpy())


def predict(
    connection: Connection, model_uri: str, rows: pd.DataFrame, digests: Sequence[str] = ()
) -> pd.DataFrame:
    """Predictions of a registered model, loaded through ``mlflow.pyfunc``.

    Of a model that answers with noise they are what it was judged by, for which no caller is charged.

    Args:
        connection: MLflow.
        model_uri: as above.
        rows: raw rows; all of a set, where the model answers with noise.
        digests: of these rows; needed where the model answers with noise.

    Raises:
        RegistryError: when it can't be loaded, or refuses the rows.
    """
    with connection.doing(f"load {model_uri} and predict {len(rows)} rows"), _without_log():
        try:
            model = mlflow.pyfunc.load_model(model_uri)
            own = model.unwrap_python_model().predictor
            # Models that were registered before there was noise know nothing of it.
            noisy = getattr(own, "noise", None) is not None
            answer = own.judged(rows, digests) if noisy else model.predict(rows)
        except ValueError as error:  # the model's own message about its files or about the rows
            raise RegistryError(f"{model_uri}: {error}") from error
    if not isinstance(answer, pd.DataFrame) or "prediction" not in answer.columns:
        raise RegistryError(
            f"{model_uri}: a frame with `prediction` is expected, found {type(answer).__name__}"
        )
    return answer


@contextmanager
def _without_log() -> Iterator[None]:
    """Keep no predictions log: what is predicted here is a check and no decision on anyone."""
    named = os.environ.pop(SETTING, None)
    try:
        yield
    finally:
        if named is not None:
            os.environ[SETTING] = named


def columns_of(answer: pd.DataFrame) -> dict[str, npt.NDArray[Any]]:
    """The columns of a model's answer."""
    return {str(name): answer[name].to_numpy() for name in answer.columns}


def download_dossier(connection: Connection, run_id: str, destination: Path) -> Path:
    """Fetch a run's dossier into ``destination``; returns the folder that holds ``records``.

    Raises:
        RegistryError: when the run has none.
    """
    destination.mkdir(parents=True, exist_ok=True)
    with connection.doing(f"fetch the dossier of run {run_id}") as client:
        if not any(item.path == "dossier" for item in client.list_artifacts(run_id)):
            raise RegistryError(f"run {run_id} holds no dossier among its artifacts")
        return Path(client.download_artifacts(run_id, "dossier", str(destination)))


def _require_equal(model_uri: str, what: str, judged: npt.NDArray[np.generic], served: object) -> None:
    differing = np.flatnonzero(judged != served)
    if len(differing):
        first = int(differing[0])
        raise RegistryError(
            f"{model_uri}: it does not predict what was judged: {len(differing)} of {len(judged)} rows have "
            f"another {what}; first row {first}: judged {judged[first]}, served {np.asarray(served)[first]}"
        )


def registered_problems(connection: Connection, version: Version, dossier: Path, scratch: Path) -> list[str]:
    """Compare a version's files and its tag with the dossier of its run; one sentence per difference.

    Args:
        connection: MLflow.
        version: the registered version.
        dossier: its dossier, downloaded; the chain is checked already.
        scratch: gets the registered files.
    """
    last = max((dossier / "records").glob("*.json"))
    problems = []
    if version.tags.get("assay.dossier_head") != digest_file(last):
        problems.append(
            f"{version} names the head {version.tags.get('assay.dossier_head', 'nothing')[:12]}…, "
            f"the dossier's last record has {digest_file(last)[:12]}…"
        )
    scratch.mkdir(parents=True)
    with connection.doing(f"fetch the files of {version}"):
        files = Path(mlflow.artifacts.download_artifacts(version.model_uri, dst_path=str(scratch)))
    for path in sorted((dossier / "model").iterdir()):
        registered = files / "artifacts" / "model" / path.name
        if not registered.is_file():
            problems.append(f"{path.name}: the frozen model has it, the registered one has not")
        elif digest_file(registered) != digest_file(path):
            problems.append(
                f"{path.name}: the registered file has SHA-256 {digest_file(registered)[:12]}…, "
                f"the frozen one {digest_file(path)[:12]}…"
            )
    return problems
