"""The server inside a command: its rows are kept, it ends with the command, and its failure is told."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infra.embedded import known_server, prefect_server
from infra.processes import ServerError
from infra.settings import QUIET, Settings

ROOT = Path(__file__).parents[2]
FLOW = """
import sys
from pathlib import Path
from infra.embedded import prefect_server, without_heartbeats
from infra.settings import Settings

with prefect_server(Settings(var=Path(sys.argv[1]))) as api:
    from prefect import flow, task

    @task
    def one():
        return 1

    @flow
    def tiny():
        print("running", api.child.pid, flush=True)
        if len(sys.argv) > 2:
            import time
            time.sleep(60)
        return one() + one()

    api.ready()
    with without_heartbeats():
        assert tiny() == 2
print("over", flush=True)
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two commands run, one after the other: the second finds Prefect's tables made."""
    return tmp_path_factory.mktemp("embedded")


def _command(folder: Path, *more: str) -> subprocess.Popen[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT")}
    return subprocess.Popen(
        [sys.executable, "-c", FLOW, str(folder), *more],
        env=clean,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _ended_within(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def test_rows_of_the_run_are_written_before_the_server_ends(folder: Path) -> None:
    with _command(folder) as command:
        output, errors = command.communicate(timeout=100)
    assert command.returncode == 0, errors
    assert errors == ""
    assert output.endswith("over\n")
    assert _ended_within(int(output.split()[1]), 0.2)
    with sqlite3.connect(folder / "prefect" / "prefect.db") as database:
        assert database.execute("select state_type from flow_run").fetchall() == [("COMPLETED",)]
        assert database.execute("select state_type from task_run").fetchall() == [("COMPLETED",)] * 2
    database.close()


def test_server_ends_when_the_command_is_killed(folder: Path) -> None:
    with _command(folder, "sleep") as command:
        assert command.stdout is not None
        pid = int(command.stdout.readline().split()[1])
        command.send_signal(signal.SIGKILL)
        command.communicate(timeout=20)
    assert _ended_within(pid, 15.0)


def test_a_server_that_cannot_start_says_so_and_where_its_log_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*QUIET, "PREFECT_API_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    monkeypatch.setenv(
        "PREFECT_SERVER_DATABASE_CONNECTION_URL", f"sqlite+aiosqlite:///{tmp_path}/no/folder/p.db"
    )
    settings = Settings(var=tmp_path)
    message = r"Prefect's server ended with code \d+ before.*server\.log"
    with pytest.raises(ServerError, match=message), prefect_server(settings) as api:
        api.ready()
    for name in QUIET:
        monkeypatch.delenv(name, raising=False)


def test_a_named_server_is_used_and_a_stale_note_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(var=tmp_path)
    settings.prefect_home.mkdir()
    settings.prefect_address.write_text("http://127.0.0.1:9/api", encoding="utf-8")  # nothing listens there
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert known_server(settings) is None
    monkeypatch.setenv("PREFECT_API_URL", "http://elsewhere/api")
    assert known_server(settings) == "http://elsewhere/api"
