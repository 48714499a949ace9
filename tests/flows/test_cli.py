"""The command line's face: help at once, and flows that show as forms in Prefect's UI."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from .conftest import ROOT, SCRIPT

HELP = """
import json, sys
sys.argv = ["assay", "--help"]
from flows.cli import main
try:
    main()
except SystemExit as end:
    heavy = {"prefect", "mlflow", "torch", "pandas", "polars", "numpy", "scipy", "pydantic", "dvc"}
    heavy |= {"great_expectations", "evidently"}
    print(json.dumps([end.code, sorted(heavy & set(sys.modules))]))
"""
SCHEMAS = """
import importlib, json, sys
from prefect.utilities.callables import parameter_schema
flows = {name: getattr(importlib.import_module(f"flows.{name}"), name) for name in sys.argv[1:]}
schemas = {name: parameter_schema(flow.fn).model_dump() for name, flow in flows.items()}
print(json.dumps({name: schema["properties"] for name, schema in schemas.items()}))
"""
FORMS = {
    "retrain": {"plan": "string", "force": "boolean", "changes": "array"},
    "replay": {"target": "string", "retrain": "boolean"},
    "check": {"plan": "string"},
    "compare": {"plan": "string"},
    "rollback": {"model": "string", "reason": "string"},
}


def test_help_names_all_commands_and_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", HELP], cwd=ROOT, capture_output=True, text=True, check=True)
    code, imported = json.loads(done.stdout.splitlines()[-1])
    assert (code, imported) == (0, [])
    for command in ("retrain", "replay", "check", "rollback", "ui", "serve"):
        assert f" {command} " in done.stdout


@pytest.mark.parametrize("command", FORMS)
def test_each_command_explains_itself(command: str) -> None:
    done = subprocess.run([SCRIPT, command, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "Usage: assay" in done.stdout


def test_flows_show_as_forms_with_types_and_words() -> None:
    arguments = [sys.executable, "-c", SCHEMAS, *FORMS]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=True)
    schemas = json.loads(done.stdout.splitlines()[-1])
    for name, fields in FORMS.items():
        assert list(schemas[name]) == list(fields)
        for field, kind in fields.items():
            shown = schemas[name][field]
            types = {shown.get("type"), *(option.get("type") for option in shown.get("anyOf", ()))}
            assert kind in types, field
            assert len(shown["description"]) > 10, field


def test_a_place_that_nobody_may_write_to_is_told_without_a_traceback() -> None:
    """Not even the administrator makes folders in the kernel's own file system."""
    environment = {**os.environ, "ASSAY_VAR": "/sys/assay"}
    command = [SCRIPT, "retrain", "adult"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "'/sys/assay" in done.stderr
    assert "This user has no right to it, or the disk is read-only." in done.stderr
    assert "ASSAY_VAR" in done.stderr
