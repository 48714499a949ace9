"""Validation as a Prefect task; the only file of this room that knows Prefect."""

from __future__ import annotations

from pathlib import Path

from prefect import task

from tasks.evidence.records import Dataset
from tasks.plan.plan import Plan
from tasks.validate.records import Validated


@task(name="validate")
def validate(dataset: Dataset, plan: Plan, folder: Path) -> Validated:
    """See :func:`tasks.validate.validate.validate`."""
    # Great Expectations takes four seconds to import: only a run that validates pays for it.
    from tasks.validate import validate as room  # noqa: PLC0415

    return room.validate(dataset, plan, folder)
