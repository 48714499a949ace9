"""Policies of the project, each as a test."""

from __future__ import annotations

import re
import subprocess
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from typer.main import get_command

from flows.cli import app
from infra.settings import Settings
from tasks.plan import load_plan, plan_names

PROJECT = Path(__file__).parents[2]
README = (PROJECT / "README.md").read_text(encoding="utf-8")


def tracked(*patterns: str) -> list[str]:
    done = subprocess.run(
        ["git", "-C", str(PROJECT), "ls-files", *patterns], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def lock() -> dict[str, str]:
    lines = (PROJECT / "requirements.lock").read_text(encoding="utf-8").split()
    return {canonicalize_name(name): number for name, _, number in (line.partition("==") for line in lines)}


def test_the_matrix_of_dvc_is_the_committed_plans() -> None:
    stages = yaml.safe_load((PROJECT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    committed = [name for name in plan_names(PROJECT / "data") if tracked(f"data/{name}/plan.yaml")]
    assert committed
    for stage in ("fetch", "prepare"):
        assert sorted(stages[stage]["matrix"]["plan"]) == committed


def test_adult_unmitigated_is_adult_but_for_the_mitigation() -> None:
    adult, without = (load_plan(name, PROJECT / "data") for name in ("adult", "adult-unmitigated"))
    assert without.judgement == adult.judgement
    assert without.recipe.mitigation == []
    assert without.recipe == adult.recipe.model_copy(update={"mitigation": []})


def test_every_dependency_is_pinned_in_the_lock_and_installed_as_pinned() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [*project["dependencies"], *(r for e in project["optional-dependencies"].values() for r in e)]
    pins = lock()
    for text in named:
        name = canonicalize_name(Requirement(text).name)
        assert name in pins, f"{name} is not in requirements.lock: run `make lock`"
        assert version(name).partition("+")[0] == pins[name]


def test_the_pipelines_lock_is_part_of_the_whole() -> None:
    part = set((PROJECT / "requirements-pipeline.lock").read_text(encoding="utf-8").split())
    assert part < {f"{name}=={pin}" for name, pin in lock().items()}


def test_the_lock_names_no_registry_no_hash_and_no_local_build() -> None:
    text = (PROJECT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in text
    assert "--" not in text
    assert "+" not in text


def test_the_readmes_tree_is_the_disk() -> None:
    shown = set(re.findall(r"^(?:tasks/)?([a-z_.A-Z-]+/)\s{2,}", README, flags=re.MULTILINE))
    rooms = {f"{path.name}/" for path in (PROJECT / "tasks").iterdir() if (path / "__init__.py").is_file()}
    tops = {f"{name.split('/')[0]}/" for name in tracked() if "/" in name and not name.startswith(".")}
    assert shown == rooms | tops


def test_every_command_is_documented() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    assert {"retrain", "replay", "check", "rollback", "ui", "serve"} <= set(commands)
    for name, command in commands.items():
        assert f"assay {name}" in README
        assert command.help


def test_every_make_target_is_explained() -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE)
    assert {"retrain", "test"} <= set(targets)
    for target in targets:
        assert re.search(rf"^{target}:.*## .+", makefile, flags=re.MULTILINE), target


def test_every_setting_is_documented() -> None:
    page = (PROJECT / "docs/operations.md").read_text(encoding="utf-8")
    for name in Settings.model_fields:
        assert f"`ASSAY_{name.upper()}`" in page


def test_no_data_is_committed() -> None:
    large = [n for n in tracked() if (PROJECT / n).is_file() and (PROJECT / n).stat().st_size > 300 * 1024]
    assert large == []
    assert not tracked("data/*/raw/*", "data/*/prepared/*", "var/*")


def test_links_in_the_docs_lead_somewhere() -> None:
    for page in [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("pattern", [r"except Exception|except:\s*$|NotImplementedError|TODO|FIXME"])
def test_no_stub_and_no_swallowed_error(pattern: str) -> None:
    for name in tracked("flows/*.py", "tasks/*.py", "infra/*.py"):
        assert not re.search(pattern, (PROJECT / name).read_text(encoding="utf-8")), name
