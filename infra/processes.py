"""Child processes that serve: each in its own group, ended for certain, and waited for until healthy."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from tasks.errors import AssayError

STOP_SECONDS = 10.0


class ServerError(AssayError):
    """A server that could not be started, or that ended before it answered."""


def free_port() -> int:
    """Return a TCP port that nothing on 127.0.0.1 listens on at this moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_is_free(host: str, port: int) -> bool:
    """Say whether ``host:port`` can be listened on.

    ``SO_REUSEADDR`` as every server sets it: a port in TIME_WAIT counts as free.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def answers(url: str, timeout: float = 2.0) -> bool:
    """Say whether a GET of ``url`` is answered with status 200 within ``timeout`` seconds."""
    try:
        with urlopen(url, timeout=timeout) as response:  # noqa: S310 - http addresses of our own servers
            return bool(response.status == 200)
    except (HTTPError, URLError, ConnectionError, TimeoutError):
        return False


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: str | None = None,
    stop_seconds: float = STOP_SECONDS,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``command`` in a process group of its own for as long as the context lasts.

    Args:
        command: program and arguments; nothing is read by a shell.
        log: file that standard output and error are appended to.
        env: variables added to this process's own.
        cwd: working directory; this process's own when absent.
        user: system user to run as (needs root); this process's own when absent.
        stop_seconds: how long the process may take to end when asked.

    Yields:
        The process. When the context ends the whole group gets SIGTERM, and after
        ``stop_seconds`` SIGKILL: no grandchild is left behind.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            user=user,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        end_group(process, stop_seconds)


def end_group(process: subprocess.Popen[bytes], seconds: float = STOP_SECONDS) -> None:
    """End a process that leads its own group, and everything it started there."""
    _signal_group(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    _signal_group(process.pid, signal.SIGKILL)  # whatever of the group outlived its leader
    process.wait()


def _signal_group(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, number)


def wait_until_healthy(
    name: str, url: str, process: subprocess.Popen[bytes], log: Path, seconds: float
) -> None:
    """Wait until ``url`` answers 200.

    Raises:
        ServerError: the process ended, or did not answer within ``seconds``; ends with the log's last lines.
    """
    deadline = time.monotonic() + seconds
    while not answers(url):
        if process.poll() is not None:
            raise ServerError(
                f"{name} ended with code {process.returncode} before it answered.{last_lines(log)}"
            )
        if time.monotonic() > deadline:
            raise ServerError(f"{name} did not answer at {url} within {seconds:.0f} s.{last_lines(log)}")
        time.sleep(0.1)


def last_lines(log: Path, count: int = 15) -> str:
    """Return the last ``count`` lines of a server's log, as the end of a message."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]
    return f" The end of {log}:\n" + "\n".join(f"    {line}" for line in lines)
