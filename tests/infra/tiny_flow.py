"""A stand-in for the flow `retrain`: same parameters, two tasks, one MLflow run, nothing trained."""

from __future__ import annotations

import os

from mlflow import MlflowClient
from prefect import flow, task

from infra.settings import settings


@task
def train(plan: str) -> str:
    """Pretend to train."""
    return f"weights of {plan}"


@task
def register(plan: str, weights: str) -> str:
    """File a run with one parameter and one artifact; return its id."""
    client = MlflowClient(settings().mlflow_uri)
    experiment = client.create_experiment(plan, artifact_location=settings().artifact_root)
    run = client.create_run(experiment)
    client.log_param(run.info.run_id, "plan", plan)
    client.log_text(run.info.run_id, weights, "weights.txt")
    client.set_terminated(run.info.run_id)
    return str(run.info.run_id)


@flow
def retrain(plan: str, force: bool = False) -> str:  # noqa: FBT001, FBT002 - the real flow's parameters
    """Train and register ``plan``; the cluster's credentials for S3 are no business of a run."""
    assert "AWS_SECRET_ACCESS_KEY" not in os.environ
    return register(plan, train(plan))
