"""The Prefect server inside a command: started first, ready while the command is still importing.

Prefect can start a server by itself, but only when the first flow begins, and after importing its whole
server into the command as well. Here a child starts at once on a socket that already listens: requests
wait in its queue, and with a second core the start overlaps the command's own imports. The child ends when
its standard input does, so it never outlives the command, not even one that is killed.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import Request, urlopen

from infra.garbage import collect_seldom
from infra.processes import answers, end_group, wait_until_healthy
from infra.settings import Settings, prepare_environment

LOCAL_API = "ASSAY_LOCAL_PREFECT"  # the address of a server that only this working directory uses
TEMPORARY = "ASSAY_TEMPORARY_PREFECT"  # the address of a server that ends with the command that started it
SETTLE_SECONDS = 10.0  # it ends as soon as all is written; a busy machine took over three
STOP_SECONDS = 10.0


@dataclass(frozen=True)
class PrefectApi:
    """A Prefect API that flows of this process talk to.

    Attributes:
        url: its address, ending in ``/api``.
        child: the process, when this command started it.
        log: the file that the child writes to.
        seconds: how long ``ready`` may wait.
    """

    url: str
    child: subprocess.Popen[bytes] | None
    log: Path
    seconds: float

    def ready(self) -> float:
        """Wait until a server of our own answers; a server that was there before is not waited for.

        Returns:
            The seconds waited.

        Raises:
            ServerError: it ended, or did not answer in time.
        """
        begun = time.monotonic()
        if self.child is not None:
            wait_until_healthy("Prefect's server", f"{self.url}/health", self.child, self.log, self.seconds)
        return time.monotonic() - begun


@contextmanager
def prefect_server(settings: Settings) -> Iterator[PrefectApi]:
    """Make sure that flows started in this context find a Prefect API.

    In this order: the server that ``PREFECT_API_URL`` names; the one that `assay ui` runs in this working
    directory; a child process that ends with the context. Enter before importing ``prefect``, which reads
    its settings once, at import; import the rest of the command inside; then call ``ready()``.

    Yields:
        The API. Inside the context ``PREFECT_API_URL`` is its address.
    """
    prepare_environment(settings)
    log = settings.prefect_home / "server.log"
    known = known_server(settings)
    if known is not None:
        local = known if "PREFECT_API_URL" not in os.environ else os.environ.get(LOCAL_API, "")
        with _environment("PREFECT_API_URL", known), _environment(LOCAL_API, local):
            yield PrefectApi(known, None, log, settings.start_seconds)
            _drain()
        return
    url, child = _start(log)
    begun = datetime.now(UTC)
    names = ("PREFECT_API_URL", LOCAL_API, TEMPORARY)
    with child, ExitStack() as stack:
        for name in names:
            stack.enter_context(_environment(name, url))
        try:
            try:
                yield PrefectApi(url, child, log, settings.start_seconds)
            finally:
                _drain()  # a crash's log too
            _settle(url, begun)
        finally:
            _stop(child)


def known_server(settings: Settings) -> str | None:
    """Return the API that ``PREFECT_API_URL`` names, or that `assay ui` runs here; None without either."""
    if named := os.environ.get("PREFECT_API_URL"):
        return named
    if not settings.prefect_address.is_file():
        return None
    url = settings.prefect_address.read_text(encoding="utf-8").strip()
    return url if answers(f"{url}/health", timeout=1.0) else None


def is_shared() -> bool:
    """Whether the Prefect API of this process may serve runs of other working directories and machines."""
    named = os.environ.get("PREFECT_API_URL")
    return named is not None and named != os.environ.get(LOCAL_API)


def is_temporary() -> bool:
    """Whether the Prefect API of this process ends with its command: nobody can be waited for there."""
    return "PREFECT_API_URL" not in os.environ or os.environ["PREFECT_API_URL"] == os.environ.get(TEMPORARY)


@contextmanager
def without_heartbeats() -> Iterator[None]:
    """Run flows without Prefect's heartbeat thread, whose end costs each flow a second.

    For runs inside a command, whose end is seen by the person or by the next start. Runs of a worker keep
    their heartbeat.
    """
    from prefect.settings import temporary_settings  # noqa: PLC0415 - prefect comes after its server's start

    with temporary_settings({"flows.heartbeat_frequency": None}):
        yield


def _start(log: Path) -> tuple[str, subprocess.Popen[bytes]]:
    own = {"PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1", "PREFECT_SERVER_UI_ENABLED": "0"}
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener, log.open("ab") as output:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
        child = subprocess.Popen(
            [sys.executable, "-m", "infra.embedded", str(listener.fileno())],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[listener.fileno()],
            env={**os.environ, **own},
            start_new_session=True,  # Ctrl-C is for the flow, which still has to file its ending here
        )
    return url, child


def _stop(child: subprocess.Popen[bytes]) -> None:
    try:
        child.communicate(timeout=STOP_SECONDS)  # closes its standard input, then waits
    except subprocess.TimeoutExpired:
        end_group(child)


def _drain() -> None:
    """Send the server what this process still holds back: states of tasks and lines of log."""
    if "prefect" not in sys.modules:
        return
    from prefect.events.worker import EventsWorker  # noqa: PLC0415 - only where a flow could have run
    from prefect.logging.handlers import APILogWorker  # noqa: PLC0415

    logging.getLogger("EventsWorker").setLevel(logging.ERROR)  # it warns of what it is about to send
    EventsWorker.drain_all(timeout=SETTLE_SECONDS, at_exit=False)
    APILogWorker.drain_all(timeout=SETTLE_SECONDS, at_exit=False)


def _settle(url: str, since: datetime) -> None:
    """Wait until our own server has written the states that it has received; it drops them at its end."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while "prefect" in sys.modules and _unfinished_tasks(url, since) and time.monotonic() < deadline:
        time.sleep(0.05)


def _unfinished_tasks(url: str, since: datetime) -> int:
    """Count this command's tasks whose last written state is not their end."""
    unfinished = {
        "state": {"type": {"any_": ["PENDING", "RUNNING"]}},
        "expected_start_time": {"after_": since.isoformat()},
    }
    body = json.dumps({"task_runs": unfinished}).encode()
    request = Request(f"{url}/task_runs/count", body, {"Content-Type": "application/json"})  # noqa: S310
    with urlopen(request, timeout=SETTLE_SECONDS) as response:  # noqa: S310 - our own child
        return int(json.load(response))


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def main() -> None:
    """Serve on the inherited socket until standard input ends."""
    collect_seldom()
    import uvicorn  # noqa: PLC0415 - the parent imports this module too, and must not import a server
    from prefect.server.api.server import create_app  # noqa: PLC0415

    listener = socket.socket(fileno=int(sys.argv[1]))
    server = uvicorn.Server(
        uvicorn.Config(create_app(), log_level="error", lifespan="on", timeout_graceful_shutdown=2)
    )

    def watch() -> None:
        while os.read(0, 1024):  # not sys.stdin: its lock, held here, would abort the interpreter's end
            pass
        server.should_exit = True

    threading.Thread(target=watch, daemon=True).start()
    server.run(sockets=[listener])
    os._exit(0)  # all is closed and committed; taking the interpreter apart would hold the command up for 2 s


if __name__ == "__main__":
    main()
