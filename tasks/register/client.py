"""The way to MLflow: found alive within seconds or refused with what to do."""

from __future__ import annotations

import re
import socket
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import mlflow
import requests
from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException, RestException

from tasks.errors import RegistryError

SQLITE_WAIT = 5.0  # seconds for another writer to finish
PROBE_WAIT = (3.0, 10.0)  # seconds to connect, seconds to the answer
KIND = {"mlflow.experimentKind": "custom_model_development"}  # else the page opens on prompts and traces
DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
POOL = re.compile(r"HTTPS?ConnectionPool\(.*?\): Max retries exceeded with url: \S+ ")
NOT_ALLOWED = ("UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED")


class RegistryUnreachable(RegistryError):  # noqa: N818 - says what is the matter
    """MLflow does not answer now; the same call may succeed later."""


@dataclass(frozen=True)
class Connection:
    """MLflow, found alive.

    Attributes:
        uri: the tracking and registry address.
        artifact_root: URI below which new experiments keep their files; None leaves it to the server.
        client: MLflow's own, bound to ``uri``.
    """

    uri: str
    artifact_root: str | None
    client: MlflowClient

    @contextmanager
    def doing(self, what: str) -> Iterator[MlflowClient]:
        """Turn MLflow's errors into one that says what could not be done, where and what to do.

        Raises:
            RegistryUnreachable: when the same call may succeed later.
            RegistryError: when MLflow answered that it won't.
        """
        try:
            yield self.client
        except MlflowException as error:
            raise _readable(error, what, self.uri) from error

    def experiment(self, name: str) -> str:
        """Id of the experiment ``name``, made with an explicit artifact location if it is new.

        Raises:
            RegistryError: when it is deleted, or its artifacts' folder is gone.
        """
        with self.doing(f"open the experiment {name!r}") as client:
            found = client.get_experiment_by_name(name)
            if found is None:
                return self._new_experiment(name)
        if found.lifecycle_stage != "active":
            raise RegistryError(
                f"experiment {name!r} in MLflow at {shown(self.uri)} is deleted: restore it with "
                f"`mlflow experiments restore --experiment-id {found.experiment_id}`, "
                "or name another one under operations.registry.experiment"
            )
        _require_artifacts(name, found.artifact_location)
        return str(found.experiment_id)

    def _new_experiment(self, name: str) -> str:
        location = f"{self.artifact_root.rstrip('/')}/{name}" if self.artifact_root else None
        if location is not None and (folder := _local_folder(location)) is not None:
            folder.mkdir(parents=True, exist_ok=True)
        try:
            return str(self.client.create_experiment(name, artifact_location=location, tags=KIND))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            return self.experiment(name)  # another run was faster


def connect(tracking_uri: str, artifact_root: str | None) -> Connection:
    """Find MLflow alive at ``tracking_uri``, within seconds.

    MLflow's loaders (``mlflow.pyfunc.load_model``) know one address per process, so it is set here too.

    Args:
        tracking_uri: ``sqlite:///PATH`` (a file, no server needed), ``http(s)://`` or ``postgresql://``.
        artifact_root: URI below which new experiments keep their files; None leaves it to the server.

    Raises:
        RegistryUnreachable: no answer, or another process holds the database.
        RegistryError: an answer other than MLflow's, or a database of another version.
    """
    scheme = urlsplit(tracking_uri).scheme
    if scheme == "sqlite":
        _probe_sqlite(tracking_uri)
    elif scheme in {"http", "https"}:
        _probe_server(tracking_uri)
    else:
        _probe_port(tracking_uri)
    try:
        mlflow.set_tracking_uri(tracking_uri)
        mlflow.set_registry_uri(tracking_uri)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of MLflow's own use of SQLAlchemy
            client = MlflowClient(tracking_uri, tracking_uri)
        client.search_experiments(view_type=ViewType.ALL, max_results=1)
    except MlflowException as error:
        raise _readable(error, "be opened", tracking_uri) from error
    return Connection(tracking_uri, artifact_root, client)


def shown(uri: str) -> str:
    """An address without its user and password."""
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if "@" in parts.netloc else uri


def _probe_server(uri: str) -> None:
    try:
        answer = requests.get(f"{uri.rstrip('/')}/health", timeout=PROBE_WAIT)
    except requests.RequestException as error:
        raise RegistryUnreachable(
            f"MLflow's server at {shown(uri)} does not answer ({type(error).__name__}): start it "
            "(`assay ui`, or your own), or unset ASSAY_TRACKING_URI to file runs in var/mlflow.db"
        ) from error
    if answer.status_code >= 500:
        raise RegistryUnreachable(
            f"MLflow's server at {shown(uri)} answers HTTP {answer.status_code}: look at its log, "
            "its database may be down"
        )


def _probe_port(uri: str) -> None:
    parts = urlsplit(uri)
    port = parts.port or DATABASE_PORTS.get(parts.scheme.partition("+")[0])
    if port is None:
        raise RegistryError(
            f"{shown(uri)} is no address of MLflow: expected sqlite:///PATH, http(s)://HOST or "
            "postgresql://USER:PASSWORD@HOST/DATABASE in ASSAY_TRACKING_URI"
        )
    try:
        socket.create_connection((parts.hostname or "localhost", port), timeout=PROBE_WAIT[0]).close()
    except OSError as error:
        raise RegistryUnreachable(
            f"MLflow's database at {shown(uri)} does not answer ({error}): start it, "
            "or unset ASSAY_TRACKING_URI to file runs in var/mlflow.db"
        ) from error


def _probe_sqlite(uri: str) -> None:
    path = Path(unquote(uri.removeprefix("sqlite:///")))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(path, timeout=SQLITE_WAIT, isolation_level=None)
    except (OSError, sqlite3.OperationalError) as error:
        raise RegistryError(
            f"{path}: MLflow's database can't be opened ({error}): make its folder writable, "
            "or name another with ASSAY_TRACKING_URI"
        ) from error
    try:
        database.execute("BEGIN IMMEDIATE")
        database.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        raise RegistryUnreachable(
            f"{path}: MLflow's database can't be written ({error}, waited {SQLITE_WAIT:g} s): end the "
            "process that holds it, make it writable, or free disk space, and start again"
        ) from error
    except sqlite3.DatabaseError as error:
        raise RegistryError(
            f"{path}: this file is no SQLite database ({error}): move it away to start a new one, "
            "or restore it from a copy"
        ) from error
    finally:
        database.close()


def _readable(error: MlflowException, what: str, uri: str) -> RegistryError:
    reason = _reason(str(error.message))
    where = f"MLflow at {shown(uri)} could not {what}"
    if error.error_code in NOT_ALLOWED or "401" in reason or "403" in reason:
        return RegistryError(
            f"{where}: {reason}. Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to a user "
            "who may write there"
        )
    if "out-of-date database schema" in str(error.message):
        return RegistryError(
            f"{where}: {reason}. Another version of MLflow made this database: copy it, then run "
            f"`mlflow db upgrade {shown(uri)}`"
        )
    if _may_pass(error, reason):
        return RegistryUnreachable(f"{where}: {reason}. Is it up, and free of other writers? Try again")
    return RegistryError(f"{where}: {reason}")


def _reason(message: str) -> str:
    """One line of MLflow's message, without the rows that it prints when a frame does not fit a model."""
    if message.startswith("Failed to enforce schema"):
        message = message.rpartition(". Error: ")[2]
    message = POOL.sub("", message.strip().split("\n", 1)[0])
    return message[:400].rstrip(".")


def _may_pass(error: MlflowException, reason: str) -> bool:
    signs = ("API request to", "database is locked", "OperationalError", "Connection", "connection")
    return not isinstance(error, RestException) and any(sign in reason for sign in signs)


def _require_artifacts(name: str, location: str) -> None:
    folder = _local_folder(location)
    if folder is not None and not folder.is_dir():
        raise RegistryError(
            f"experiment {name!r} keeps its artifacts in {folder}, which is not there: was the working "
            "directory moved? Move it back, or set ASSAY_VAR to an empty folder to start anew"
        )


def _local_folder(location: str) -> Path | None:
    parts = urlsplit(location)
    return Path(unquote(parts.path)) if parts.scheme in {"", "file"} else None
