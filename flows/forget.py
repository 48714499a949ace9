"""Forget a person: later versions of the data leave their rows out, and the copies at hand are deleted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flows.outcome import Outcome
from infra.settings import settings
from tasks.errors import PlanError
from tasks.ingest.forget import forget
from tasks.plan import load_plan
from tasks.privacy.tombstones import By

SHOWN = 10


def run_forget(name: str, unit: str | None, row: str | None) -> Outcome:
    """Forget a unit, or one row.

    Args:
        name: of the plan.
        unit: the sampling unit's value; case, width and blanks may differ from the raw file's.
        row: a row's digest, as prepared parts and predictions have it.

    Raises:
        PlanError: unless exactly one is given; and as :func:`tasks.ingest.forget.forget`.
    """
    if (unit is None) == (row is None):
        raise PlanError("forget", ["either --unit VALUE or --row DIGEST is expected"])
    here = settings()
    plan = load_plan(name, here.data)
    by: By = "unit" if row is None else "row"
    done = forget(plan, Path.cwd(), here.var, by, unit or row or "")
    lines = [
        f"{done.rows} rows of the pinned version; later versions leave them out",
        f"Tombstone   {done.file} (keyed hashes alone: commit it, with dvc.lock after the next run)",
        f"Purged      {len(done.purged)} copies in data/{name}, DVC's cache and {here.var}",
        "Elsewhere   the source's origin, DVC remotes of others (`dvc gc --cloud`), backups,",
        "            predictions logs of served models: not reached",
    ]
    if done.named:
        lines.append(f"Still named (by token or digest) in evidence: {_some(done.named)}")
    if done.unseen:
        lines.append(f"Not looked into, for they can't be opened: {_some(done.unseen)}")
    return Outcome(title="Forgotten", exit_code=0, lines=tuple(lines))


def _some(paths: Sequence[str]) -> str:
    more = "" if len(paths) <= SHOWN else f", and {len(paths) - SHOWN} more"
    return f"{', '.join(paths[:SHOWN])}{more}"
