"""The command as a person meets it: exit codes, what it prints, and that the base install is enough."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from flows.cli import audit
from tasks.audit.audit import Asked
from tasks.errors import PlanError

from .conftest import Write

ROOT = Path(__file__).parents[2]
# Runs `assay` where only the base install can be imported, then says which of the rest was asked for.
ALONE = """
import json, sys
blocked, sys.argv = set(json.loads(sys.argv[1])), ["assay", *sys.argv[2:]]
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"No module named {name!r}: not in the base install", name=name)
sys.meta_path.insert(0, Absent())
from flows.cli import main
main()
"""


def base_install() -> set[str]:
    """Distributions that `pip install assay-audit` brings, by the installed ones' own requirements."""
    found, queue = set(), ["assay-audit"]
    while queue:
        name = canonicalize_name(queue.pop())
        if name in found:
            continue
        found.add(name)
        try:
            needed = [Requirement(text) for text in requires(name) or ()]
        except PackageNotFoundError:  # of another platform
            continue
        queue += [each.name for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]
    return found


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    base = base_install()
    blocked = [
        module
        for module, owners in packages_distributions().items()
        if not base & {canonicalize_name(owner) for owner in owners}
    ]
    assert {"prefect", "mlflow", "torch", "pandas", "pyarrow", "matplotlib", "sklearn", "dvc"} <= set(blocked)
    command = [sys.executable, "-c", ALONE, json.dumps(blocked), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_base_install_audits_and_replays(compas: Asked, tmp_path: Path) -> None:
    record, html = tmp_path / "audit.json", tmp_path / "audit.html"
    columns = ("--label", "label_value", "--prediction", "score", "--group", "race", "--group", "sex")
    done = run("audit", compas.file, *columns, "--json", record, "--html", html)
    assert (done.returncode, done.stderr) == (3, "")
    assert "3 PASS, 3 FAIL of 6 limits; the limits are conventional, not from a plan" in done.stdout
    assert re.search(r"FAIL +demographic parity ratio by race ≥ 0.8", done.stdout)
    assert html.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert compas.file.read_text().splitlines()[1] not in record.read_text()
    again = run("replay", record)
    assert again.returncode == 3
    assert "Every number rebuilt" in again.stdout
    content = json.loads(record.read_bytes())
    content["audit"]["judged"][0]["verdict"] = "PASS"
    record.write_text(json.dumps(content))
    tampered = run("replay", record.rename(tmp_path / "a.out"))
    assert tampered.returncode == 3
    assert "Mismatch" in tampered.stdout
    assert "verdict: 'PASS' on record, 'FAIL' rebuilt" in tampered.stdout


@pytest.mark.parametrize(("rows", "gap", "code"), [(20_000, 0.0, 0), (20_000, 0.3, 3), (200, 0.05, 4)])
def test_exit_codes_are_those_of_the_verdicts(planted: Write, rows: int, gap: float, code: int) -> None:
    done = run("audit", planted(rows, gap), "--label", "truth", "--prediction", "guess", "--group", "group")
    assert done.returncode == code
    assert {0: "PASS", 3: "FAIL", 4: "INCONCLUSIVE"}[code] in done.stdout.splitlines()


def test_wrong_commands_are_2(planted: Write, tmp_path: Path) -> None:
    path = planted(100, 0.0)
    done = run("audit", path, "--label", "trut", "--prediction", "guess", "--group", "grup")
    assert done.returncode == 2
    assert "2 problems" in done.stderr
    assert "did you mean 'truth'" in done.stderr
    assert "Traceback" not in done.stderr
    assert run("audit", path).returncode == 2
    assert run("replay", tmp_path / "none.json").returncode == 2
    assert run("replay", tmp_path / "none.json", "--retrain").returncode == 2


def test_counts_fit_to_publish_are_written(
    compas: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSAY_VAR", str(tmp_path / "var"))
    published = tmp_path / "public"
    columns = ("--label", "label_value", "--prediction", "score", "--group", "race")
    done = run("audit", compas.file, *columns, "--publish", published)
    counts = json.loads((published / "counts.json").read_text())["counts"]
    shown = [count for table in counts["tables"] for count in table["counts"] if count is not None]
    assert counts["hidden"] > 0
    assert not [count for count in shown if 0 < count < counts["threshold"]]
    assert f"{counts['hidden']} counts hidden" in done.stdout
    with pytest.raises(PlanError, match=r"--epsilon, .* go with --publish DIR"):
        audit(compas.file, "label_value", "score", ["race"], epsilon=1.0)
