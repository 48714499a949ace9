"""Clients that train, each in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from tasks.model.device import deterministic
from tasks.plan.plan import Plan
from tasks.privacy.carriers import Loopback
from tasks.privacy.federated import Arrays, Client, Told
from tasks.privacy.processes import processes
from tasks.privacy.secure import Numbers
from tasks.train.client import LocalClient

ROWS, DESCRIBED, JOB = "rows.arrow", "described.arrow", "job.json"


def training_processes(
    parts: Sequence[tuple[pl.DataFrame, pl.DataFrame]], plan: Plan
) -> AbstractContextManager[Loopback]:
    """A process for each client, typed rows and what describes them.

    Raises:
        AssayError: one did not start.
    """

    def lay(place: int, folder: Path) -> None:
        frame, described = parts[place - 1]
        frame.write_ipc(folder / ROWS)
        described.write_ipc(folder / DESCRIBED)
        (folder / JOB).write_text(json.dumps({"plan": plan.model_dump(mode="json"), "place": place}))

    return processes(len(parts), lay, client_in)


@dataclass
class Alone:
    """A client in a process of its own, which computes as exactly as one process for all would."""

    client: Client
    threads: int

    def compute(self, task: str, arrays: Arrays, told: Told) -> Numbers:
        """As the client."""
        with deterministic(self.threads):
            return self.client.compute(task, arrays, told)


def client_in(folder: Path) -> Client:
    """The client whose rows lie in the folder."""
    job = json.loads((folder / JOB).read_text())
    plan = Plan.model_validate(job["plan"])
    rows = pl.read_ipc(folder / ROWS), pl.read_ipc(folder / DESCRIBED)
    return Alone(LocalClient(*rows, plan, job["place"]), plan.operations.compute.threads)
