"""infra/compose.yaml keeps its promises: no default secrets, loopback only, health checks, pinned images."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import servers

INFRA = Path(__file__).parents[2] / "infra"
SECRET = re.compile(r"PASSWORD|SECRET|ACCESS_KEY|AUTH_STRING|ADMIN_USERNAME")
REQUIRED = re.compile(r"\$\{([A-Z0-9_]+):\?[^}]+\}")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((INFRA / "compose.yaml").read_text(encoding="utf-8"))
    return content


def test_services_are_those_that_operations_describe(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"postgres", "store", "bucket", "mlflow", "prefect", "worker"}


def test_every_secret_comes_from_the_environment_and_is_required(compose: dict[str, Any]) -> None:
    found = {
        (service, name): value
        for service, parts in compose["services"].items()
        for name, value in parts.get("environment", {}).items()
        if SECRET.search(name)
    }
    assert len(found) >= 12
    assert {key: value for key, value in found.items() if not REQUIRED.fullmatch(value)} == {}


def test_example_env_lists_exactly_the_required_variables_and_no_value() -> None:
    required = set(REQUIRED.findall((INFRA / "compose.yaml").read_text(encoding="utf-8")))
    lines = (INFRA / "example.env").read_text(encoding="utf-8").splitlines()
    settings = [line.partition("=") for line in lines if line and not line.startswith("#")]
    assert {name for name, _, _ in settings} == required
    assert {value for _, _, value in settings} == {""}


def test_ports_are_bound_to_loopback(compose: dict[str, Any]) -> None:
    published = [port for parts in compose["services"].values() for port in parts.get("ports", [])]
    assert len(published) == 2
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in published), published
    assert all(parts.get("network_mode") is None for parts in compose["services"].values())


def test_every_service_that_stays_has_a_health_check(compose: dict[str, Any]) -> None:
    without = [name for name, parts in compose["services"].items() if "healthcheck" not in parts]
    assert without == ["bucket"]  # it makes the bucket and ends
    waits = compose["services"]["mlflow"]["depends_on"]["bucket"]["condition"]
    assert waits == "service_completed_successfully"


def test_images_are_pinned(compose: dict[str, Any]) -> None:
    dockerfile = (INFRA / "Dockerfile").read_text(encoding="utf-8")
    images = [parts["image"] for parts in compose["services"].values()]
    images += re.findall(r"^FROM (\S+)", dockerfile, flags=re.MULTILINE)
    assert all(re.fullmatch(r"[a-z]+:\d+\.\d+[\w.-]*", image) for image in images), images
    assert "requirements.lock" in dockerfile


def test_secrets_stay_out_of_git_and_of_the_image() -> None:
    assert ".env" in (INFRA / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "infra/.env" in (INFRA / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()


def test_worker_reserves_a_gpu(compose: dict[str, Any]) -> None:
    [device] = compose["services"]["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}


@pytest.mark.parametrize("name", ["mlflow", "prefect"])
def test_servers_test_starts_what_compose_starts(compose: dict[str, Any], name: str) -> None:
    """Every variable that a container gets, the test without containers sets as well."""
    only_in_containers = {
        "MLFLOW_SERVER_ALLOWED_HOSTS",
        "PREFECT_SERVER_UI_API_URL",
        "MLFLOW_ARTIFACTS_DESTINATION",
    }
    source = Path(servers.__file__).read_text(encoding="utf-8")
    wanted = set(compose["services"][name]["environment"]) - only_in_containers
    absent = {variable for variable in wanted if f'"{variable}"' not in source}
    assert absent - {"PGHOST", "DO_NOT_TRACK"} == set()
    for word in compose["services"][name]["command"][:3]:
        assert f'"{word}"' in source
