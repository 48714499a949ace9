"""`assay ui` serves both pages, leaves nothing behind, and names a port that is taken."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from flows.ui import run_ui
from infra.embedded import known_server
from infra.processes import answers, free_port, port_is_free
from infra.settings import Settings
from tasks.errors import PlanError

ROOT = Path(__file__).parents[2]
UI = "from flows.ui import run_ui; from infra.settings import settings; run_ui(settings())"


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what `prepare_environment` sets from the tests after this one."""
    monkeypatch.setattr(os, "environ", dict(os.environ))


@pytest.mark.usefixtures("quiet")
def test_ports_in_use_are_named_with_their_settings(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        ports = one.getsockname()[1], other.getsockname()[1]
        settings = Settings(var=tmp_path, mlflow_port=ports[0], prefect_port=ports[1])
        with pytest.raises(PlanError) as caught:
            run_ui(settings)
    first, second = caught.value.problems
    assert f"port {ports[0]} on 127.0.0.1 is in use" in first
    assert "ASSAY_MLFLOW_PORT" in first
    assert f"port {ports[1]} on 127.0.0.1 is in use" in second
    assert "ASSAY_PREFECT_PORT" in second


@pytest.mark.usefixtures("quiet")
def test_one_port_for_both_and_runs_elsewhere_are_refused(tmp_path: Path) -> None:
    port = free_port()
    with pytest.raises(PlanError, match="give each a port of its own"):
        run_ui(Settings(var=tmp_path, mlflow_port=port, prefect_port=port))
    with pytest.raises(PlanError, match="open that address"):
        run_ui(Settings(var=tmp_path, tracking_uri="http://127.0.0.1:5000"))


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_both_pages_are_served_until_sigterm(tmp_path: Path) -> None:
    settings = Settings(var=tmp_path, mlflow_port=free_port(), prefect_port=free_port())
    ports = {
        "ASSAY_VAR": str(tmp_path),
        "ASSAY_MLFLOW_PORT": str(settings.mlflow_port),
        "ASSAY_PREFECT_PORT": str(settings.prefect_port),
    }
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT")} | ports
    with subprocess.Popen(
        [sys.executable, "-c", UI], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True
    ) as ui:
        try:
            _wait_for(settings, ui)
            for port in (settings.mlflow_port, settings.prefect_port):
                request = Request(f"http://127.0.0.1:{port}/", headers={"Accept": "text/html"})
                with urlopen(request, timeout=20) as page:  # noqa: S310 - loopback
                    assert b"<html" in page.read().lower()
            assert known_server(settings) == f"http://127.0.0.1:{settings.prefect_port}/api"
        finally:
            ui.send_signal(signal.SIGTERM)
            output, _ = ui.communicate(timeout=40)
    assert ui.returncode == 0
    assert f"http://127.0.0.1:{settings.mlflow_port}" in output
    assert f"http://127.0.0.1:{settings.prefect_port}" in output
    assert not settings.prefect_address.exists()
    for port in (settings.mlflow_port, settings.prefect_port):
        assert port_is_free("127.0.0.1", port)


def _wait_for(settings: Settings, ui: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not settings.prefect_address.exists():
        assert ui.poll() is None, f"assay ui ended with {ui.returncode}"
        assert time.monotonic() < deadline, "assay ui printed no address"
        time.sleep(0.2)
    assert answers(f"http://127.0.0.1:{settings.mlflow_port}/health")
