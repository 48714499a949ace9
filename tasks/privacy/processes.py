"""Clients as processes over loopback, each with a folder that holds its own rows and no others."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

from tasks.errors import AssayError
from tasks.privacy.carriers import Loopback, connected, serve
from tasks.privacy.federated import Client, client_app

STARTED_WITHIN, ENDED_WITHIN = 120, 10  # seconds; a client imports torch, beside all others
# What every client would import: torch's optimisers import its compiler at the first step.
IMPORTED_ONCE = ["torch._dynamo", "flwr.common.secure_aggregation.crypto.shamir"]


@contextmanager
def processes(
    count: int, lay: Callable[[int, Path], None], client_of: Callable[[Path], Client]
) -> Iterator[Loopback]:
    """Start a process for each client, and end it afterwards.

    Args:
        count: clients; they are numbered from 1.
        lay: puts what a client holds into its folder.
        client_of: makes the client of its folder, in the process; a function of a module.

    Raises:
        AssayError: one did not start, or not in time.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload([client_of.__module__, *IMPORTED_ONCE])
    with ExitStack() as stack:
        top = Path(stack.enter_context(TemporaryDirectory(prefix="assay-clients-")))
        ours = []
        for place in range(1, count + 1):
            folder = top / str(place)
            folder.mkdir()
            lay(place, folder)
            mine, theirs = context.Pipe()
            process = context.Process(target=answer, args=(client_of, folder, theirs), daemon=True)
            process.start()
            theirs.close()
            stack.callback(process.join, ENDED_WITHIN)
            stack.callback(process.terminate)
            stack.enter_context(mine)
            ours.append(mine)
        yield stack.enter_context(connected([_port(place, mine) for place, mine in enumerate(ours, start=1)]))


def _port(place: int, connection: Connection) -> int:
    try:
        if not connection.poll(STARTED_WITHIN):
            raise AssayError(
                f"federated learning: the process of client {place} did not answer within {STARTED_WITHIN} s "
                "of its start, so nothing was trained; see what it waits for, or how busy this machine is"
            )
        return int(connection.recv())
    except EOFError as error:
        raise AssayError(
            f"federated learning: the process of client {place} did not start; what it failed of is on "
            "standard error"
        ) from error


def answer(client_of: Callable[[Path], Client], folder: Path, connection: Connection) -> None:
    """Be the client of the folder, until whoever started this closes the connection, or ends; then remove it.

    Args:
        client_of: makes the client.
        folder: what it holds.
        connection: gets the port.
    """
    try:
        server, port = serve(client_app(client_of(folder)))
        connection.send(port)
        connection.poll(None)
        server.stop(None)
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # whoever laid it out may have been killed
