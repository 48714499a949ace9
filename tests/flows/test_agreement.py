"""What an insider forges in one record, chained anew, is contradicted by others, the files or the rows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.replay.replay import Replay

from .conftest import Assay, Workspace
from .test_replay import rechain

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
Body = dict[str, Any]


@pytest.fixture
def dossier(registered: Workspace, tmp_path: Path) -> Path:
    """The champion's dossier, copied to a folder where nothing else is."""
    return Path(shutil.copytree(registered.dossiers()[0], tmp_path / "elsewhere" / "dossier"))


def forge(dossier: Path, step: str, change: Callable[[Body], object]) -> None:
    """Change a record's body and chain anew."""
    rechain(dossier, lambda found, content: change(content) if found == step else None)


PROMISED = {
    "epsilon": 1.0,
    "delta": 1e-5,
    "clip": 1.0,
    "mechanism": {"noise": 1.0, "rate": 0.1, "steps": 9},
}
FORGED: dict[str, tuple[str, Callable[[Body], object], str]] = {
    "packages": ("environment", lambda b: b.update(packages="0" * 64), "environment.json: SHA-256 "),
    "raw file": (
        "data",
        lambda b: b["sources"][0].update(sha256="0" * 64),
        "data: train.csv has another SHA-256 on record than in the plan",
    ),
    "dataset version": ("data", lambda b: b.update(digest="0" * 64), "data: `digest` is not that of"),
    "page of checks": (
        "validation",
        lambda b: b["reports"][0].update(sha256="0" * 64),
        "validation: validation.html has another digest or size",
    ),
    "refused rows": (
        "validation",
        lambda b: b["expectations"][0].update(met=False),
        "validation: not met, and no problem on record: train, at least 3000 rows",
    ),
    "refused sample": (
        "representativeness",
        lambda b: b.update(problems=["too few women"]),
        "representativeness: a model was trained on data that is refused: too few women",
    ),
    "frozen file": (
        "freeze",
        lambda b: b["files"][0].update(bytes=1),
        "freeze: model/weights.safetensors has another digest or size",
    ),
    "freeze": ("freeze", lambda b: b.update(digest="0" * 64), "freeze: `digest` is not that of `files`"),
    "made rows": ("freeze", lambda b: b.update(made_by={"synthesis": 5}), "freeze: rows made by step are "),
    "privacy": ("freeze", lambda b: b.update(privacy=PROMISED), "freeze: privacy is on record without "),
    "a key less": ("freeze", lambda b: b.pop("digest"), "not what a run writes: KeyError: 'digest'"),
    "another type": ("validation", lambda b: b.update(expectations=[3]), "not what a run writes: TypeError"),
    "cube": ("opening", lambda b: b["cube"].update(sha256="0" * 64), "opening: cube.json has another digest"),
    "registered weights": (
        "registration",
        lambda b: b["files"].update({"artifacts/model/weights.safetensors": "0" * 64}),
        "registration: weights.safetensors registered with another SHA-256",
    ),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_record_that_others_contradict_is_named(dossier: Path, name: str) -> None:
    step, change, told = FORGED[name]
    forge(dossier, step, change)
    assert [problem for problem in Replay.open(dossier).mismatches if problem.startswith(f"records: {told}")]


def test_another_population_than_the_plan_pins_is_named(dossier: Path) -> None:
    assert not Replay.open(dossier).mismatches
    (dossier / "population.csv").write_text("sex,count\nFemale,1\n")
    rechain(dossier)
    (named,) = Replay.open(dossier).mismatches
    assert named.startswith("records: population.csv: SHA-256 ")


def test_what_rows_and_model_contradict_is_named(dossier: Path, registered: Workspace, assay: Assay) -> None:
    """Five at once, each of which nothing but a number on record says."""
    changes: dict[str, Callable[[Body], object]] = {
        "data": lambda b: b["test"].update(rows=2600),
        "freeze": lambda b: b["score_edges"].__setitem__(0, 0.5),
        "spending": lambda b: b.update(rows=9),
        "opening": lambda b: b.update(rows=2600, clients=["ada"]),
    }
    rechain(dossier, lambda step, content: changes.get(step, len)(content))
    done = assay(dossier.parent, "replay", "dossier", ASSAY_MIRROR=str(registered.top))
    assert done.code == 3, done
    for named in (
        "data: test: 2600 on record, 2500 rebuilt",
        "model: score_edges[0]: 0.5 on record",
        "spending: 9 different rows on record, found [2499]",
        "opening: clients: ['ada'] on record, None rebuilt",
        "opening: rows: 2600 on record, 2500 rebuilt",
    ):
        assert named in done.output, done


def test_a_validation_figure_is_rebuilt_by_training_again(
    dossier: Path, registered: Workspace, assay: Assay
) -> None:
    """Losses and metrics on validation rows: no verdict follows from them, and `--retrain` has them again."""
    before = json.loads((dossier / "records" / "06-freeze.json").read_text())["body"]["validation"]["auc"]
    forge(dossier, "freeze", lambda b: b["validation"].update(auc=0.99))
    done = assay(dossier.parent, "replay", "dossier", "--retrain", ASSAY_MIRROR=str(registered.top))
    assert done.code == 3, done
    assert f"freeze: validation.auc: 0.99 on record, {before!r} rebuilt" in done.lines
