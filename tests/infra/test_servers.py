"""The settings of infra/compose.yaml, proven without containers: every server real, on loopback."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import boto3
import pytest

from infra.bucket import make_bucket
from infra.processes import running
from tests.conftest import missing
from tests.flows.conftest import write_workspace
from tests.servers import (
    S3,
    HttpServer,
    Postgres,
    postgres_binaries,
    start_mlflow,
    start_postgres,
    start_prefect,
    start_s3,
)

ROOT = Path(__file__).parents[2]
DEPLOYMENT, PARAMETERS, SECONDS = "retrain/manual", {"plan": "tiny"}, 480.0
BUCKET = "assay"
HOLD = "from flows.turns import turn\nwith turn('retrain killed'): print('held', flush=True); input()"

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Stack:
    """Everything that infra/compose.yaml starts, and what a worker needs to use it."""

    postgres: Postgres
    s3: S3
    mlflow: HttpServer
    prefect: HttpServer
    worker_env: dict[str, str]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    if postgres_binaries() is None:
        missing("PostgreSQL is not installed (infra/install-system-packages.sh installs it)")
    folder = tmp_path_factory.mktemp("servers")
    words = {"postgres": "quoted'and spaced", "prefect": "p@ss/word:1", "mlflow": "an#other %2"}
    with ExitStack() as servers, pytest.MonkeyPatch.context() as environment:
        postgres = servers.enter_context(start_postgres(folder, words))
        s3 = servers.enter_context(start_s3(folder))
        for name, value in s3.env.items():
            environment.setenv(name, value)
        make_bucket(BUCKET)
        make_bucket(BUCKET)  # a second start finds it there
        for name in s3.env:
            environment.delenv(name)
        store = {**s3.env, "MLFLOW_ARTIFACTS_DESTINATION": f"s3://{BUCKET}/mlflow"}
        mlflow = servers.enter_context(start_mlflow(folder, postgres, "twelve or more", store))
        prefect = servers.enter_context(start_prefect(folder, postgres, "also secret"))
        worker_env = {
            "PREFECT_API_URL": prefect.url,
            "PREFECT_API_AUTH_STRING": f"{prefect.user}:{prefect.password}",
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "DO_NOT_TRACK": "1",
            "ASSAY_VAR": str(folder / "var"),
            "ASSAY_TRACKING_URI": mlflow.url,
            "MLFLOW_TRACKING_USERNAME": mlflow.user,
            "MLFLOW_TRACKING_PASSWORD": mlflow.password,
        }
        yield Stack(postgres, s3, mlflow, prefect, worker_env)


@pytest.fixture(scope="module")
def killed(stack: Stack) -> None:
    """A holder of the turn ``retrain killed`` that was killed, as by kill -9 or a machine that stopped."""
    with _holder(stack, 60):
        pass


@pytest.fixture(scope="module")
def deployed(
    stack: Stack, killed: None, mirror: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """Deploy infra/prefect.yaml beside a small plan, and let a worker run; a dead holder's lease runs on."""
    folder = tmp_path_factory.mktemp("worker")
    top = write_workspace(mirror, folder / "workspace").top
    for name in ("flows", "infra"):  # what the deployments' file is in, and what it names
        (top / name).symlink_to(ROOT / name)
    _prefect(stack, top, "work-pool", "create", "assay", "--type", "process", "--overwrite")
    _prefect(stack, top, "--no-prompt", "deploy", "--all", "--prefect-file", "infra/prefect.yaml")
    worker = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "assay"]
    with running(worker, log=folder / "worker.log", env=stack.worker_env, cwd=top):
        yield stack


@contextmanager
def _holder(stack: Stack, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """A process that has a turn within some seconds; it is killed unless it has ended by itself."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD],
        cwd=ROOT,
        env={**os.environ, **stack.worker_env},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert select.select([process.stdout], [], [], seconds)[0], f"no turn in {seconds} s"
        yield process
    finally:
        process.kill()
        process.communicate()


def _prefect(stack: Stack, folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "prefect", *arguments]
    env = {**os.environ, **stack.worker_env}
    done = subprocess.run(
        command,
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, f"prefect {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _ask(url: str, user: str | None = None, password: str = "", body: Any = None) -> tuple[int, Any]:
    """Return the status and the decoded answer to a GET, or to a POST of ``body``."""
    headers = {"Content-Type": "application/json"}
    if user is not None:
        headers["Authorization"] = "Basic " + b64encode(f"{user}:{password}".encode()).decode()
    data = None if body is None else json.dumps(body).encode()
    try:
        with urlopen(Request(url, data, headers), timeout=20) as response:  # noqa: S310 - loopback
            return response.status, json.load(response)
    except HTTPError as error:
        with error:
            return error.code, None


def _api(stack: Stack, path: str, body: Any = None) -> Any:
    status, answer = _ask(stack.prefect.url + path, stack.prefect.user, stack.prefect.password, body)
    assert status in {200, 201}, (path, status)
    return answer


@pytest.mark.parametrize("credentials", [(None, ""), ("assay", "wrong"), ("admin", "password1234")])
def test_servers_refuse_who_is_not_known(stack: Stack, credentials: tuple[str | None, str]) -> None:
    user, password = credentials
    experiments = f"{stack.mlflow.url}/api/2.0/mlflow/experiments/search?max_results=1"
    assert _ask(f"{stack.prefect.url}/admin/version", user, password)[0] == 401
    assert _ask(f"{stack.prefect.url}/flow_runs/filter", user, password, {})[0] == 401
    assert _ask(experiments, user, password)[0] == 401
    assert _ask(f"{stack.s3.endpoint}/{BUCKET}?list-type=2", user, password)[0] == 403


def test_servers_answer_who_is_known(stack: Stack) -> None:
    experiments = f"{stack.mlflow.url}/api/2.0/mlflow/experiments/search?max_results=1"
    assert _ask(experiments, stack.mlflow.user, stack.mlflow.password)[0] == 200
    assert _api(stack, "/flow_runs/filter", {}) == []


def test_postgres_refuses_a_wrong_password_and_another_servers_database(stack: Stack) -> None:
    stranger = Postgres(stack.postgres.port, {**stack.postgres.passwords, "prefect": "wrong"})
    with pytest.raises(subprocess.CalledProcessError, match="exit status 2"):
        stranger.query("prefect", "prefect", "select 1")
    with pytest.raises(subprocess.CalledProcessError, match="exit status 1"):
        stack.postgres.query("mlflow", "prefect", "select count(*) from experiments")


def test_deployments_are_scheduled_and_limited_as_their_file_says(deployed: Stack) -> None:
    scheduled = _api(deployed, "/deployments/name/retrain/adult")
    manual = _api(deployed, f"/deployments/name/{DEPLOYMENT}")
    assert [
        (s["schedule"]["cron"], s["schedule"]["timezone"], s["active"]) for s in scheduled["schedules"]
    ] == [("0 3 * * 1", "UTC", True)]
    assert manual["schedules"] == []
    assert scheduled["global_concurrency_limit"]["limit"] == 1
    assert scheduled["concurrency_options"]["collision_strategy"] == "ENQUEUE"
    assert manual["global_concurrency_limit"] is None  # any model's; each run takes the turn of its own


def test_scheduler_has_the_next_run_ready(deployed: Stack) -> None:
    """A schedule that is stored but never acted on looks the same until its hour has passed."""
    deployment = _api(deployed, "/deployments/name/retrain/adult")
    ours = {"deployments": {"id": {"any_": [deployment["id"]]}}, "sort": "EXPECTED_START_TIME_ASC"}
    deadline = time.monotonic() + 90
    while not (runs := _api(deployed, "/flow_runs/filter", ours)):
        assert time.monotonic() < deadline, "Prefect's scheduler made no run: see prefect.log"
        time.sleep(1)
    first = datetime.fromisoformat(runs[0]["expected_start_time"])
    assert (first.weekday(), first.hour, first.minute) == (0, 3, 0)
    assert first.utcoffset() == timedelta(0)
    assert runs[0]["state"]["type"] == "SCHEDULED"


def test_worker_runs_the_deployment_and_everything_lands_where_it_belongs(deployed: Stack) -> None:
    deployment = _api(deployed, f"/deployments/name/{DEPLOYMENT}")
    run = _api(deployed, f"/deployments/{deployment['id']}/create_flow_run", {"parameters": PARAMETERS})
    state = _final_state(deployed, run["id"])
    logs = _api(deployed, "/logs/filter", {"logs": {"flow_run_id": {"any_": [run["id"]]}}})
    found = (state["type"], state["name"])
    assert found == ("COMPLETED", "Registered"), (state["message"], [line["message"] for line in logs])

    turns = "select name, active_slots from concurrency_limit_v2 where name like '% tiny' order by name"
    assert deployed.postgres.query("prefect", "prefect", turns) == "promote tiny|0\nretrain tiny|0"

    in_prefect = "select id, state_type from flow_run where not auto_scheduled"
    assert deployed.postgres.query("prefect", "prefect", in_prefect) == f"{run['id']}|COMPLETED"
    champion = "select name, version from registered_model_aliases where alias = 'champion'"
    assert deployed.postgres.query("mlflow", "mlflow", champion) == "tiny|1"
    in_mlflow = "select r.status, e.artifact_location from runs r join experiments e using (experiment_id)"
    assert deployed.postgres.query("mlflow", "mlflow", in_mlflow).startswith("FINISHED|mlflow-artifacts:/")
    assert deployed.postgres.query("mlflow_auth", "mlflow", "select username from users") == "admin"

    s3 = deployed.s3
    client = boto3.client(
        "s3",
        endpoint_url=s3.endpoint,
        aws_access_key_id=s3.access_key,
        aws_secret_access_key=s3.secret_key,
        region_name="us-east-1",
    )
    keys = [item["Key"] for item in client.list_objects_v2(Bucket=BUCKET, Prefix="mlflow/")["Contents"]]
    assert keys
    assert any(key.endswith("/dossier/cube.json") for key in keys), keys
    assert any(key.endswith("/artifacts/model/weights.safetensors") for key in keys), keys


def test_turn_of_a_killed_holder_comes_back(stack: Stack, killed: None) -> None:
    """The lease ends within a minute, while the tests above run, and the next is let in."""
    with _holder(stack, 200) as process:
        process.communicate("\n", timeout=20)
        assert process.returncode == 0


def _final_state(stack: Stack, run_id: str) -> Any:
    deadline = time.monotonic() + SECONDS
    while True:
        state = _api(stack, f"/flow_runs/{run_id}")["state"]
        if state["type"] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"} or time.monotonic() > deadline:
            return state
        time.sleep(0.5)
