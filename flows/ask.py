"""Asking a deployment for a run: where a Prefect server has it, nobody need type its command."""

from __future__ import annotations

from dataclasses import dataclass

from httpx import HTTPError
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import DeploymentStatus
from prefect.exceptions import ObjectNotFound, PrefectException

NOT_STARTED = (HTTPError, PrefectException, RuntimeError, ValueError, OSError)
"""What Prefect's client raises where a server is away, refuses, or answers what can't be read."""


@dataclass(frozen=True)
class Asked:
    """What came of it.

    Attributes:
        run: id of the flow run; "" where none was started.
        told: in words, with what to do where nobody takes it up.
    """

    run: str
    told: str


def ask(deployment: str, command: str, once: str, name: str | None = None, **parameters: str) -> Asked:
    """Ask a deployment for a run, once.

    Whoever serves the deployment takes the run up; where nobody does now, it waits for the next who does.

    Args:
        deployment: FLOW/NAME.
        command: that does the same, for whoever reads that nothing was started.
        once: who asks with this again gets the first run, whether it waits, runs or is done.
        name: of the flow run until it begins; Prefect makes one up when absent.
        parameters: of the flow.

    Returns:
        The run, or why there is none: a server that is away or refuses raises nothing.
    """
    try:
        with get_client(sync_client=True) as client:
            found = client.read_deployment_by_name(deployment)
            run = client.create_flow_run_from_deployment(
                found.id, parameters=parameters, name=name, idempotency_key=once
            )
    except ObjectNotFound:
        return Asked("", f"no deployment {deployment} is there to start: {command}")
    except NOT_STARTED as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return Asked("", f"{deployment} could not be started ({reason}): {command}")
    served = found.status is DeploymentStatus.READY
    later = "" if served else "; nobody serves it now: it waits for `assay serve` or a worker"
    return Asked(str(run.id), f"asked of {deployment}: flow run {run.name}{later}")
