"""Ingest as a Prefect task; the only file of this room that knows Prefect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import task
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from tasks.errors import SourceUnreachable
from tasks.evidence.records import Dataset
from tasks.plan.plan import Plan


def _worth_trying_again(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001 - Prefect's signature
    """Only the network gets better by itself; wrong bytes and bad data do not."""
    return isinstance(state.data, SourceUnreachable)


@task(name="pin", retries=2, retry_delay_seconds=[2, 10], retry_condition_fn=_worth_trying_again)
def pin(plan: Plan, workspace: Path) -> Dataset:
    """See :func:`tasks.ingest.pin.pin`."""
    # DVC, and the clients of the sources' origins: only a run that pins data pays for their import.
    from tasks.ingest import pin as room  # noqa: PLC0415

    return room.pin(plan, workspace)
