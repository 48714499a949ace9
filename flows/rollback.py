"""Rollback: the champion before gets its alias back, with the reason on record."""

from __future__ import annotations

import getpass

from prefect import flow
from prefect.client.schemas.objects import State

from flows.outcome import Outcome
from flows.states import ended
from flows.turns import turn
from infra.settings import settings
from tasks.register import registry
from tasks.register.client import connect
from tasks.register.described import describe_standings


@flow(name="rollback", flow_run_name="rollback {model}")
def rollback(model: str, reason: str) -> State[Outcome]:
    """Give the alias `champion` back to the champion before.

    Args:
        model: a registered model's name.
        reason: why; it stays on record.
    """
    environment = settings()
    connection = connect(environment.mlflow_uri, environment.artifact_root)
    with turn(f"promote {model}"):
        restored = registry.rollback(connection, environment.var / "locks", model, reason, getpass.getuser())
        describe_standings(connection, model)
    return ended(
        Outcome(title="Rolled back", exit_code=0, lines=(f"{restored} is champion again: {reason}",))
    )
