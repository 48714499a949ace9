"""Turns: what must not happen twice at once, wherever the runs are that one Prefect server knows.

On one machine a file lock does: it ends with its process, whatever kills that. Runs of several machines,
or of several working directories, share no file; where they share a Prefect server, they take turns by a
global concurrency limit of that server, which a lease gives back when its holder is gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectAlreadyExists
from rich.console import Console

from infra.embedded import is_shared

LEASE_SECONDS = 60.0  # the shortest that Prefect gives; renewed while the holder lives


@contextmanager
def turn(what: str) -> Iterator[None]:
    """Hold a turn on the shared Prefect server, waiting for it first; nothing without such a server.

    A holder that was killed gives its turn back within a minute and a half. A holder that can't renew its
    lease goes on: a server that pauses must not end a training, and a promotion reads the champion again.

    Args:
        what: may happen once at a time; the name of the limit, made where there is none.
    """
    if not is_shared():
        yield
        return
    _make_limit(what)
    with concurrency(
        what, occupy=1, lease_duration=LEASE_SECONDS, strict=True, raise_on_lease_renewal_failure=False
    ):
        yield


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file lock, and say so if another process has to end first: that may take hours.

    Args:
        path: of the lock, in a folder that is there; it ends with its process, whatever kills that.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        told = f"Waiting for another run of this working directory, which holds {path.as_posix()}"
        Console(stderr=True).print(told, highlight=False, soft_wrap=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _make_limit(what: str) -> None:
    """Make sure of the limit, and say so if it is taken."""
    with get_client(sync_client=True) as client:
        try:
            client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=what, limit=1))
        except ObjectAlreadyExists:
            present = client.read_global_concurrency_limit_by_name(what)
            if present.active_slots >= present.limit:
                Console(stderr=True).print(
                    f"Waiting for another run that holds the turn {what!r}. If there is none (the server was "
                    f"started anew meanwhile), give it back: prefect gcl update '{what}' --active-slots 0",
                    highlight=False,
                    soft_wrap=True,
                )
