"""What is committed fits together: else a fresh clone would run the stages again and be dirty at once."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.ingest.parts import Manifest
from tasks.plan.load import load_plan, plan_names

TOP = Path(__file__).parents[2]
PLANS = plan_names(TOP / "data")
REMEDY = "run `dvc repro` and commit dvc.lock and data/*/manifest.json"


def read(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((TOP / name).read_text(encoding="utf-8"))
    return document


@pytest.mark.parametrize("stage", ["fetch", "prepare"])
def test_matrix_holds_every_plan(stage: str) -> None:
    assert sorted(read("dvc.yaml")["stages"][stage]["matrix"]["plan"]) == PLANS


@pytest.mark.parametrize("plan", PLANS)
def test_lock_is_of_this_plan_and_this_code(plan: str) -> None:
    stage = read("dvc.lock")["stages"][f"prepare@{plan}"]
    file = f"data/{plan}/plan.yaml"
    assert stage["params"][file]["judgement"] == read(file)["judgement"], REMEDY
    for dependency in stage["deps"]:
        path = TOP / dependency["path"]
        if path.suffix == ".py":
            assert hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() == dependency["md5"], (
                REMEDY
            )


@pytest.mark.parametrize("plan", PLANS)
def test_manifest_is_of_the_pinned_sources(plan: str) -> None:
    content = (TOP / "data" / plan / "manifest.json").read_bytes()
    manifest = Manifest.model_validate_json(content)
    pinned = {s.name: s.sha256 for s in load_plan(plan, TOP / "data").judgement.sources}
    assert {name: entry.sha256 for name, entry in manifest.sources.items()} == pinned
    out = next(o for o in read("dvc.lock")["stages"][f"prepare@{plan}"]["outs"] if "manifest" in o["path"])
    assert hashlib.md5(content, usedforsecurity=False).hexdigest() == out["md5"], REMEDY
