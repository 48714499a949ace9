"""Replay of a registered model: from the registry, from a folder elsewhere, and after every tampering."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.evidence.digest import digest_file, digest_of
from tests.conftest import missing

from .conftest import ROOT, Assay, Done, Workspace, body

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def dossier(registered: Workspace, tmp_path: Path) -> Path:
    """The champion's dossier, copied to a folder where nothing else is."""
    return Path(shutil.copytree(registered.dossiers()[0], tmp_path / "elsewhere" / "dossier"))


@pytest.fixture
def replayed(assay: Assay, registered: Workspace, dossier: Path) -> Callable[..., Done]:
    """`assay replay` of that folder, from there; the rows come from a mirror."""
    return lambda *more: assay(dossier.parent, "replay", "dossier", *more, ASSAY_MIRROR=str(registered.top))


def edit(path: Path, change: Callable[[Any], None]) -> None:
    """Change a JSON file in place."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def rechain(folder: Path, change: Callable[[str, dict[str, Any]], None] = lambda *_: None) -> None:
    """Forge the records: change their bodies, name the files as they are now, and chain anew."""
    previous = "0" * 64
    for path in sorted((folder / "records").glob("*.json")):
        entry = json.loads(path.read_text())
        change(entry["step"], entry["body"])
        for ref in entry["files"]:
            file = folder / ref["path"]
            ref |= {"sha256": digest_file(file), "bytes": file.stat().st_size}
        entry["previous"] = previous
        path.write_text(json.dumps(entry, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
        previous = digest_file(path)


def in_registry(workspace: Workspace) -> Path:
    """The dossier among the run's artifacts."""
    (found,) = (workspace.top / "var" / "mlartifacts").rglob("dossier")
    return found


@pytest.mark.parametrize("ref", ["champion", "1"])
def test_registered_model_is_rebuilt(registered: Workspace, assay: Assay, ref: str) -> None:
    done = assay(registered.top, "replay", f"tiny@{ref}")
    assert done.code == 0, done
    assert "Every number rebuilt" in done.lines
    assert "same: predictions: 2500 rows predicted again, each the same" in done.lines
    assert "same: registry: version, head, registered files and ledger agree" in done.lines
    assert any(line.startswith("same: cube: ") for line in done.lines)
    assert any(line.startswith("same: verdicts: 1 limit") for line in done.lines)
    assert f"the verdict of tiny@{ref} is PASS" in done.lines


def test_folder_copied_elsewhere_is_rebuilt(dossier: Path, replayed: Callable[..., Done]) -> None:
    before = {path: digest_file(path) for path in dossier.rglob("*") if path.is_file()}
    done = replayed()
    assert done.code == 0, done
    assert "Every number rebuilt" in done.lines
    assert {path: digest_file(path) for path in dossier.rglob("*") if path.is_file()} == before


def test_folder_without_its_rows_says_where_they_were_looked_for(dossier: Path, assay: Assay) -> None:
    done = assay(dossier.parent, "replay", "dossier")
    assert done.code == 1, done
    assert "there is no file or folder train.csv" in done.errors
    assert "Traceback" not in done.errors


@pytest.mark.parametrize(
    ("target", "code", "message"),
    [
        ("tiny@7", 1, "versions: 1; aliases: champion"),
        ("tiny@canary", 1, "versions: 1; aliases: champion"),
        ("huge@champion", 1, "no model 'huge' is registered"),
        ("data", 3, "a folder with records/00-plan.json is expected"),
    ],
)
def test_target_that_is_not_there(
    registered: Workspace, assay: Assay, target: str, code: int, message: str
) -> None:
    done = assay(registered.top, "replay", target)
    assert done.code == code, done
    assert message in done.errors
    assert "Traceback" not in done.errors


def change_prediction(folder: Path) -> None:
    lines = (folder / "predictions.csv").read_text().splitlines()
    lines[6] = lines[6].rpartition(",")[0] + (",<=50K" if lines[6].endswith(",>50K") else ",>50K")
    (folder / "predictions.csv").write_text("\n".join(lines) + "\n")


def change_count(folder: Path) -> None:
    """One woman more, of those whom the model selects by mistake."""

    def change(cube: dict[str, Any]) -> None:
        cube["counts"][0][4][1][0][1] += 1

    edit(folder / "cube.json", change)


def change_limit(folder: Path) -> None:
    edit(folder / "plan.json", lambda plan: plan["judgement"]["limits"][0].update(limit=0.9))


def change_weight(folder: Path) -> None:
    """The last bit of one weight."""
    path = folder / "model" / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[8 + int.from_bytes(content[:8], "little")] ^= 1
    path.write_bytes(content)


def change_rule(folder: Path) -> None:
    """The threshold, moved a little."""
    edit(folder / "model" / "model.json", lambda model: model["rule"].update(threshold=0.4))


def remove_predictions(folder: Path) -> None:
    (folder / "predictions.csv").unlink()


def change_record(folder: Path) -> None:
    edit(folder / "records" / "10-verdicts.json", lambda entry: entry["body"]["judged"][0].update(limit=0.9))


def remove_record(folder: Path) -> None:
    (folder / "records" / "03-validation.json").unlink()


def add_record(folder: Path) -> None:
    shutil.copy(folder / "records" / "13-ending.json", folder / "records" / "14-ending.json")


TAMPERED = {
    "prediction": (change_prediction, ["predictions.csv", "predictions: row 5: "]),
    "count": (change_count, ["cube.json", "cube: cell Female x White x 25-34, true <=50K, predicted >50K: "]),
    "limit": (change_limit, ["plan.json", "plan: judgement has digest "]),
    "weight": (change_weight, ["model/weights.safetensors: record 06-freeze.json names SHA-256"]),
    "decision rule": (
        change_rule,
        ["model/model.json: record 06-freeze.json names SHA-256", "predictions: row "],
    ),
    "removed predictions": (
        remove_predictions,
        ["predictions.csv: named by record 09-opening.json and missing"],
    ),
    "record": (change_record, ["11-loosened.json: it names ", "record 10 or this one was changed"]),
    "removed record": (remove_record, ["record 03 is expected here, found 04 (representativeness)"]),
    "added record": (add_record, ["14-ending.json: record 14 is expected here"]),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_whatever_was_changed_is_named(dossier: Path, replayed: Callable[..., Done], name: str) -> None:
    change, messages = TAMPERED[name]
    change(dossier)
    done = replayed()
    assert done.code == 3, done
    assert "Every number rebuilt" not in done.output
    assert "Traceback" not in done.errors
    for message in messages:
        assert message in done.output + done.errors, done


def test_changed_row_of_the_workspace_is_named(workspace: Workspace, assay: Assay) -> None:
    path = workspace.top / "data" / "tiny" / "raw" / "test.csv"
    path.chmod(0o644)
    lines = path.read_text().splitlines()
    lines[1234] = lines[1234].replace("United-States", "Mexico")
    path.write_text("\n".join(lines) + "\n")
    done = assay(workspace.top, "replay", "tiny@champion")
    assert done.code == 3, done
    assert "row 1234: the row's values are not the ones that were judged" in done.output
    assert "raw/test.csv: SHA-256 " in done.output
    assert done.output.count("the row's values are not") == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (change_prediction, "predictions: row 5: "),
        (change_count, "cube: cell Female x White x 25-34, true <=50K, predicted >50K: "),
    ],
)
def test_forgery_that_chains_is_caught_by_recounting(
    dossier: Path, replayed: Callable[..., Done], change: Callable[[Path], None], message: str
) -> None:
    change(dossier)
    rechain(dossier)
    done = replayed()
    assert done.code == 3, done
    assert message in done.output
    assert "names SHA-256" not in done.output  # the forged chain holds by itself


def test_forged_verdict_is_caught_by_judging_again(dossier: Path, replayed: Callable[..., Done]) -> None:
    def forge(step: str, content: dict[str, Any]) -> None:
        if step == "verdicts":
            content["judged"][0] |= {"measurement": 0.01, "high": 0.02}

    rechain(dossier, forge)
    done = replayed()
    assert done.code == 3, done
    assert "verdicts: [0].measurement: 0.01 on record" in done.output


def test_a_forged_ending_is_named(dossier: Path, replayed: Callable[..., Done]) -> None:
    def forge(step: str, content: dict[str, Any]) -> None:
        if step == "ending":
            content["ending"] = "Undecided"

    rechain(dossier, forge)
    done = replayed()
    assert done.code == 3, done
    assert "ending: Undecided on record, where PASS leads to Registered" in done.output


def test_records_cut_off_at_the_end_are_missed(dossier: Path, replayed: Callable[..., Done]) -> None:
    max((dossier / "records").glob("*.json")).unlink()
    done = replayed()
    assert done.code == 3, done
    assert "it ends with 'registration', not with an ending: records were cut off" in done.output


def test_forgery_in_the_registry_is_caught_by_the_head(workspace: Workspace, assay: Assay) -> None:
    """A limit moved in plan and records alike: within the dossier all agrees."""
    folder = in_registry(workspace)
    rechain(folder, lambda step, content: content.update(message="all fine") if step == "ending" else None)
    alone = assay(workspace.top, "replay", str(folder))
    assert alone.code == 0, alone
    done = assay(workspace.top, "replay", "tiny@champion")
    assert done.code == 3, done
    assert "registry: tiny version 1 names the head " in done.output


def test_registered_weights_other_than_the_frozen_ones_are_named(workspace: Workspace, assay: Assay) -> None:
    (registered,) = (workspace.top / "var" / "mlartifacts").rglob("artifacts/artifacts/model")
    change_weight(registered.parent)
    done = assay(workspace.top, "replay", "tiny@champion")
    assert done.code == 3, done
    assert "registry: weights.safetensors: the registered file has SHA-256 " in done.output


@pytest.fixture
def checkout() -> None:
    """The project's own git checkout, in which worktrees can be made."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        missing("--retrain needs the project's git checkout")


@pytest.mark.usefixtures("checkout")
def test_training_again_gives_the_same_bytes(registered: Workspace, assay: Assay) -> None:
    recorded = body(registered.dossiers()[0], "environment")["commit"]
    done = assay(registered.top, "replay", "tiny@champion", "--retrain")
    assert done.code == 0, done
    assert f"same: weights: trained again from commit {recorded[:12]}, the same bytes" in done.lines
    left = subprocess.run(["git", "worktree", "list"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "assay-worktree" not in left.stdout


@pytest.mark.usefixtures("checkout")
@pytest.mark.parametrize("elsewhere", [1, 0])
def test_other_bytes_are_compared_by_prediction_only_where_that_is_fair(
    dossier: Path, replayed: Callable[..., Done], elsewhere: int
) -> None:
    """The last bit of a weight differs, as it may on another processor with another number of threads."""
    change_weight(dossier)
    digest = digest_file(dossier / "model" / "weights.safetensors")
    edit(dossier / "model" / "model.json", lambda model: model.update(weights_sha256=digest))

    def forge(step: str, content: dict[str, Any]) -> None:
        if step == "environment" and elsewhere:
            content["cpu"] = "Another processor"
        if step == "freeze":
            content["threads"] += elsewhere
            for file in content["files"]:
                path = dossier / "model" / file["path"]
                file |= {"sha256": digest_file(path), "bytes": path.stat().st_size}
            content["digest"] = digest_of(sorted((file["path"], file["sha256"]) for file in content["files"]))
        if step == "registration":
            for name in ("weights.safetensors", "model.json"):
                content["files"][f"artifacts/model/{name}"] = digest_file(dossier / "model" / name)

    rechain(dossier, forge)
    done = replayed("--retrain")
    if elsewhere:
        assert done.code == 0, done
        assert "weights: not comparable to the byte (processor Another processor on record, " in done.output
        assert "threads 2 on record, 1 here" in done.output
        assert "same: 0.00% of predictions differ when trained again, 2.00% may" in done.output
    else:
        assert done.code == 3, done
        assert "weights.safetensors: SHA-256 " in done.output
        assert "trained again on the same processor, threads and torch" in done.output


def test_retrain_outside_a_checkout_says_why_not(
    dossier: Path, replayed: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    def forge(step: str, content: dict[str, Any]) -> None:
        if step == "environment":
            content["commit"] = None

    rechain(dossier, forge)
    done = replayed("--retrain")
    assert done.code == 3, done
    assert "the dossier names no commit" in done.errors
    assert "Traceback" not in done.errors
