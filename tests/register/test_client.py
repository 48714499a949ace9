"""MLflow that is down, locked, damaged or of another kind is told within seconds, with what to do."""

import socket
import sqlite3
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import requests

from tasks.errors import RegistryError
from tasks.register import client
from tasks.register.client import Connection, RegistryUnreachable, connect, shown


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("scheme", ["http", "postgresql"])
def test_server_that_is_down_is_named_within_seconds(scheme: str, free_port: int) -> None:
    began = time.monotonic()
    with pytest.raises(RegistryUnreachable, match=rf"127\.0\.0\.1:{free_port}.*does not answer.*start it"):
        connect(f"{scheme}://user:secret@127.0.0.1:{free_port}", None)
    assert time.monotonic() - began < 5


def test_password_is_never_shown(free_port: int) -> None:
    with pytest.raises(RegistryUnreachable) as caught:
        connect(f"postgresql://user:secret@127.0.0.1:{free_port}/mlflow", None)
    assert "secret" not in str(caught.value)
    assert shown("https://user:secret@host:5000/x") == "https://host:5000/x"


def test_address_of_no_known_kind() -> None:
    with pytest.raises(RegistryError, match="no address of MLflow"):
        connect("mlruns", None)


def test_server_whose_database_is_down() -> None:
    class Broken(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(503)

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Broken)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(RegistryUnreachable, match="HTTP 503"):
            connect(f"http://127.0.0.1:{server.server_port}", None)
    finally:
        server.shutdown()
        server.server_close()


def test_user_who_may_not_write_is_told_what_to_set() -> None:
    class Guarded(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def do_POST(self) -> None:
            self.send_error(401)

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Guarded)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(RegistryError, match="Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"):
            connect(f"http://127.0.0.1:{server.server_port}", None)
    finally:
        server.shutdown()
        server.server_close()


def test_server_that_goes_away_is_told_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    class Leaving(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            threading.Thread(target=server.shutdown).start()

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Leaving)
    port = server.server_port
    thread = threading.Thread(target=lambda: (server.serve_forever(), server.server_close()), daemon=True)
    thread.start()
    monkeypatch.setattr(client, "_probe_server", lambda uri: (_get(uri), thread.join()))
    began = time.monotonic()
    with pytest.raises(RegistryUnreachable, match=r"could not be opened.*refused.*Is it up") as caught:
        connect(f"http://127.0.0.1:{port}", None)
    assert "HTTPConnectionPool" not in str(caught.value)
    assert time.monotonic() - began < 15


def _get(uri: str) -> None:
    requests.get(f"{uri}/health", timeout=5)


def test_locked_database_is_told_fast(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "SQLITE_WAIT", 0.2)
    path = connection.uri.removeprefix("sqlite:///")
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(RegistryUnreachable, match=r"database is locked.*end the process"):
            connect(connection.uri, None)
    finally:
        holder.close()
    connect(connection.uri, None)


def test_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("x" * 2000)
    with pytest.raises(RegistryError, match="no SQLite database"):
        connect(f"sqlite:///{tmp_path / 'mlflow.db'}", None)


def test_database_of_another_mlflow_names_the_upgrade(connection: Connection, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    other.write_bytes(Path(connection.uri.removeprefix("sqlite:///")).read_bytes())
    with sqlite3.connect(other) as database:
        database.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
    database.close()
    with pytest.raises(RegistryError, match="mlflow db upgrade"):
        connect(f"sqlite:///{other}", None)


def test_experiment_keeps_its_artifacts_below_the_root(connection: Connection, tmp_path: Path) -> None:
    made = connection.experiment("adult")
    assert connection.experiment("adult") == made
    found = connection.client.get_experiment(made)
    assert found.artifact_location == f"{(tmp_path / 'artifacts').as_uri()}/adult"


def test_moved_working_directory_is_told(connection: Connection, tmp_path: Path) -> None:
    connection.experiment("adult")
    (tmp_path / "artifacts").rename(tmp_path / "moved")
    with pytest.raises(RegistryError, match="was the working directory moved"):
        connection.experiment("adult")


def test_deleted_experiment_is_told(connection: Connection) -> None:
    connection.client.delete_experiment(connection.experiment("adult"))
    with pytest.raises(RegistryError, match="mlflow experiments restore"):
        connection.experiment("adult")


def test_error_of_a_later_call_says_what_could_not_be_done(connection: Connection) -> None:
    with (
        pytest.raises(RegistryError, match=r"could not file the results.*0123"),
        connection.doing("file the results") as mlflow,
    ):
        mlflow.set_tag("0" * 28 + "0123", "a", "b")
