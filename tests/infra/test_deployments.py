"""infra/prefect.yaml agrees with the flows and with the plans."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def deployments() -> list[dict[str, Any]]:
    content = yaml.safe_load((ROOT / "infra" / "prefect.yaml").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = content["deployments"]
    return found


def test_entrypoints_are_flows_that_take_these_parameters(deployments: list[dict[str, Any]]) -> None:
    for deployment in deployments:
        path, _, name = deployment["entrypoint"].partition(":")
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        [flow] = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
        taken = {argument.arg for argument in flow.args.args}
        assert set(deployment.get("parameters", {})) <= taken, deployment["entrypoint"]


def test_every_flow_of_the_command_line_can_be_started_by_hand(deployments: list[dict[str, Any]]) -> None:
    manual = {item["entrypoint"].split(":")[1] for item in deployments if not item.get("schedules")}
    assert manual == {"retrain", "replay", "compare", "monitor", "check", "review", "rollback"}


def test_schedules_are_those_of_the_plans_in_utc(deployments: list[dict[str, Any]]) -> None:
    scheduled = [item for item in deployments if item.get("schedules")]
    assert [item["name"] for item in scheduled] == ["adult"]
    for item in scheduled:
        plan = yaml.safe_load((ROOT / "data" / item["name"] / "plan.yaml").read_text(encoding="utf-8"))
        assert item["parameters"] == {"plan": item["name"]}
        assert item["schedules"] == [{"cron": plan["operations"]["schedule"]["cron"], "timezone": "UTC"}]


def test_scheduled_runs_wait_for_each_other_and_no_model_for_another(
    deployments: list[dict[str, Any]],
) -> None:
    """A limit of the manual deployment, which takes any plan, would hold back other models."""
    one = {"limit": 1, "collision_strategy": "ENQUEUE"}
    for item in deployments:
        assert item.get("concurrency_limit") == (one if item.get("schedules") else None), item["name"]
        assert item["work_pool"] == {"name": "assay"}
