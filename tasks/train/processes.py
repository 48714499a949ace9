"""Clients as processes over loopback, each with a folder that holds its own rows and no others."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from tasks.errors import AssayError
from tasks.model.device import deterministic
from tasks.plan.plan import Plan
from tasks.privacy.carriers import Loopback, connected, serve
from tasks.privacy.federated import Arrays, Client, Told, client_app
from tasks.privacy.secure import Numbers
from tasks.train.client import LocalClient

ROWS, DESCRIBED, JOB = "rows.arrow", "described.arrow", "job.json"
ENDED_WITHIN = 10  # seconds
# What every client would import: torch's optimisers import its compiler at the first step.
IMPORTED_ONCE = [__name__, "torch._dynamo", "flwr.common.secure_aggregation.crypto.shamir"]


@contextmanager
def processes(parts: Sequence[tuple[pl.DataFrame, pl.DataFrame]], plan: Plan) -> Iterator[Loopback]:
    """Start a process for each client, typed rows and what describes them, and end it afterwards.

    Raises:
        AssayError: one did not start.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload(IMPORTED_ONCE)
    with ExitStack() as stack:
        top = Path(stack.enter_context(TemporaryDirectory(prefix="assay-clients-")))
        ours = []
        for place, (frame, described) in enumerate(parts, start=1):
            folder = top / str(place)
            folder.mkdir()
            frame.write_ipc(folder / ROWS)
            described.write_ipc(folder / DESCRIBED)
            (folder / JOB).write_text(json.dumps({"plan": plan.model_dump(mode="json"), "place": place}))
            mine, theirs = context.Pipe()
            process = context.Process(target=answer, args=(folder, theirs), daemon=True)
            process.start()
            theirs.close()
            stack.callback(process.join, ENDED_WITHIN)
            stack.callback(process.terminate)
            stack.enter_context(mine)
            ours.append(mine)
        yield stack.enter_context(connected([_port(place, mine) for place, mine in enumerate(ours, start=1)]))


def _port(place: int, connection: Connection) -> int:
    try:
        return int(connection.recv())
    except EOFError as error:
        raise AssayError(
            f"federated training: the process of client {place} did not start; what it failed of is on "
            "standard error"
        ) from error


@dataclass
class Alone:
    """A client in a process of its own, which computes as exactly as one process for all would."""

    client: Client
    threads: int

    def compute(self, task: str, arrays: Arrays, told: Told) -> Numbers:
        """As the client."""
        with deterministic(self.threads):
            return self.client.compute(task, arrays, told)


def answer(folder: Path, connection: Connection) -> None:
    """Be the client whose rows lie in the folder, until whoever started this closes the connection, or ends.

    Args:
        folder: its rows and the plan.
        connection: gets the port.
    """
    job = json.loads((folder / JOB).read_text())
    plan = Plan.model_validate(job["plan"])
    rows = pl.read_ipc(folder / ROWS), pl.read_ipc(folder / DESCRIBED)
    client = LocalClient(*rows, plan, job["place"])
    server, port = serve(client_app(Alone(client, plan.operations.compute.threads)))
    connection.send(port)
    connection.poll(None)
    server.stop(None)
