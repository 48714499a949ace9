"""Trials of a search as nested runs, so that MLflow shows and compares them below the run that tuned."""

from __future__ import annotations

import time

from mlflow.entities import Metric, Param
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from tasks.register.client import Connection
from tasks.register.keys import key
from tasks.train.records import Trial


def log_trial(connection: Connection, run_id: str, trial: Trial) -> None:
    """File one trial below its run.

    Args:
        connection: MLflow.
        run_id: of the run that tunes.
        trial: finished.

    Raises:
        RegistryError: when MLflow can't.
    """
    now = int(time.time() * 1000)
    values = {"validation/performance": trial.performance, "validation/excess": trial.excess}
    values |= {key("validation", name): gap for name, gap in trial.gaps.items()}
    metrics = [Metric(name, value, now, 0) for name, value in values.items() if value is not None]
    params = [Param(name, str(value)) for name, value in trial.settings.items()]
    with connection.doing(f"file trial {trial.number} of run {run_id}") as client:
        parent = client.get_run(run_id)
        tags = {MLFLOW_PARENT_RUN_ID: run_id, "assay.trial": str(trial.number)}
        child = client.create_run(
            parent.info.experiment_id, run_name=f"trial {trial.number}", tags=tags
        ).info.run_id
        client.log_batch(child, metrics=metrics, params=params)
        if trial.because:
            client.set_tag(child, "assay.refused", trial.because)
        client.set_terminated(child, "FAILED" if trial.because else "FINISHED")
