"""`assay ui`: MLflow and Prefect on loopback, in one command, for as long as it runs."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.table import Table

from infra.processes import ServerError, port_is_free, running, wait_until_healthy
from infra.settings import Settings, prepare_environment
from tasks.errors import PlanError


@dataclass(frozen=True)
class Server:
    """One of the two servers.

    Attributes:
        name: what the person calls it.
        shows: what is to be seen there.
        setting: the environment variable that moves its port.
        port: the port it listens on.
        command: program and arguments.
        env: variables added for it.
        health: path that answers 200 once it serves.
    """

    name: str
    shows: str
    setting: str
    port: int
    command: tuple[str, ...]
    env: dict[str, str]
    health: str


def run_ui(settings: Settings, console: Console | None = None) -> None:
    """Serve both UIs until Ctrl-C or SIGTERM, and leave no process behind.

    Raises:
        PlanError: a port is in use (names every such port and the setting that moves it), or the runs are
            on a server of their own.
        ServerError: a server did not start, or ended by itself.
    """
    console = console or Console()
    prepare_environment(settings)
    servers = (mlflow_server(settings), prefect_ui_server(settings))
    _require_local_runs(settings)
    require_free_ports("assay ui", settings.ui_host, servers)
    with stopped_by_signals(), ExitStack() as stack:
        try:
            started = [(server, stack.enter_context(serving(server, settings))) for server in servers]
            with console.status("Starting MLflow and Prefect"):
                for server, process in started:
                    url = address(settings.ui_host, server.port) + server.health
                    wait_until_healthy(
                        server.name, url, process, _log(settings, server), settings.start_seconds
                    )
            stack.enter_context(noted(settings))
            console.print(_addresses(settings, servers))
            _watch(settings, started)
        except KeyboardInterrupt:
            console.print("Stopping.")


def mlflow_server(settings: Settings) -> Server:
    """Describe MLflow's server on the runs and models of this working directory.

    One worker and no job execution: 0.55 GB and 7 s instead of 2.9 GB and 23 s.
    """
    root = settings.artifact_root
    store = ("--backend-store-uri", settings.mlflow_uri)
    files = ("--default-artifact-root", root, "--artifacts-destination", root)
    place = ("--host", settings.ui_host, "--port", str(settings.mlflow_port), "--workers", "1")
    return Server(
        name="MLflow",
        shows="runs, verdicts, models",
        setting="ASSAY_MLFLOW_PORT",
        port=settings.mlflow_port,
        command=(
            sys.executable,
            "-m",
            "mlflow",
            "server",
            *store,
            *files,
            *place,
        ),
        env={"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        health="/health",
    )


def prefect_ui_server(settings: Settings) -> Server:
    """Describe Prefect's server on the flow runs of this working directory."""
    place = ("--host", settings.ui_host, "--port", str(settings.prefect_port))
    return Server(
        name="Prefect",
        shows="flows, schedules, forms to start one",
        setting="ASSAY_PREFECT_PORT",
        port=settings.prefect_port,
        command=(sys.executable, "-m", "prefect", "server", "start", *place),
        # The page in the browser asks this address, not one that the person's profile may name.
        env={"PREFECT_SERVER_UI_API_URL": f"{address(settings.ui_host, settings.prefect_port)}/api"},
        health="/api/health",
    )


def _require_local_runs(settings: Settings) -> None:
    if settings.mlflow_uri.startswith(("http://", "https://")):
        problem = (
            "ASSAY_TRACKING_URI names a server, which shows the runs by itself: open that address; "
            "or unset it to see this folder's runs"
        )
        raise PlanError("assay ui", [problem])


def require_free_ports(command: str, host: str, servers: tuple[Server, ...]) -> None:
    """Refuse to start while another program listens on a server's port.

    Raises:
        PlanError: names every such port, and the setting that moves it.
    """
    ports = [server.port for server in servers]
    problems = [
        f"port {server.port} on {host} is in use: {server.name} can't listen there; "
        f"end what uses it, or set {server.setting} to a free port"
        for server in servers
        if not port_is_free(host, server.port)
    ]
    if len(set(ports)) < len(ports):
        settings = " and ".join(server.setting for server in servers)
        problems.append(f"{settings} are both {ports[0]}: give each a port of its own")
    if problems:
        raise PlanError(command, problems)


@contextmanager
def serving(server: Server, settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server for as long as the context lasts; it may not answer yet."""
    with running(server.command, log=_log(settings, server), env=server.env) as process:
        yield process


def wait_for(server: Server, process: subprocess.Popen[bytes], settings: Settings) -> None:
    """Wait until a server answers.

    Raises:
        ServerError: it ended, or did not answer within ``ASSAY_START_SECONDS``.
    """
    url = address(settings.ui_host, server.port) + server.health
    wait_until_healthy(server.name, url, process, _log(settings, server), settings.start_seconds)


@contextmanager
def noted(settings: Settings) -> Iterator[None]:
    """Leave Prefect's address for other commands, which then start no server of their own."""
    url = f"{address(settings.ui_host, settings.prefect_port)}/api"
    settings.prefect_address.write_text(url, encoding="utf-8")
    try:
        yield
    finally:
        settings.prefect_address.unlink(missing_ok=True)


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the command as Ctrl-C does, through every `finally`."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _watch(settings: Settings, started: list[tuple[Server, subprocess.Popen[bytes]]]) -> None:
    while True:
        for server, process in started:
            if process.poll() is not None:
                raise ServerError(
                    f"{server.name} ended with code {process.returncode}; its log is {_log(settings, server)}"
                )
        time.sleep(0.5)


def _addresses(settings: Settings, servers: tuple[Server, ...]) -> Table:
    table = Table(title="Ctrl-C ends both", title_justify="left", box=None)
    for heading in ("server", "address", "shows"):
        table.add_column(heading)
    for server in servers:
        table.add_row(server.name, address(settings.ui_host, server.port), server.shows)
    return table


def address(host: str, port: int) -> str:
    """Return the http address of a server here."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _log(settings: Settings, server: Server) -> Path:
    return settings.var.absolute() / "logs" / f"{server.name.lower()}.log"
