"""kill -9 in the middle of training: the next start files the crash everywhere, and goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import chdir
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from infra.embedded import LOCAL_API
from tasks.train import again

from .conftest import REGISTERED_STEPS, SCRIPT, Assay, Workspace, body, steps

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def slowly(workspace: Workspace) -> None:
    """Give the plan so many epochs that a run can be caught in them."""
    document = workspace.document()
    document["recipe"]["training"] |= {"epochs": 30, "batch": 64, "patience": 30}
    workspace.write(document)


def kill_in_training(workspace: Workspace, assay: Assay) -> None:
    """Start a run as a person does, and kill its process group once it has a checkpoint."""
    log = workspace.top / "killed.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [SCRIPT, "retrain", "tiny"],
            cwd=workspace.top,
            env={**assay.environment, "PREFECT_API_URL": assay.api, LOCAL_API: assay.api},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    deadline = time.monotonic() + 120
    while not list((workspace.top / "var" / "checkpoints").rglob("epoch-*.safetensors")):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait(timeout=20) == -signal.SIGKILL


def flow_state(assay: Assay, workspace: Workspace, run: int) -> dict[str, str]:
    """Prefect's state of the flow run of an MLflow run, by its place."""
    found = workspace.query(
        "select value from tags join runs using (run_uuid) "
        "where key = 'assay.prefect_run' order by start_time"
    )
    with urlopen(Request(f"{assay.api}/flow_runs/{found[run][0]}")) as response:  # noqa: S310 - our own server
        state: dict[str, str] = json.load(response)["state"]
    return state


def trained_again(dossier: Path, workspace: Workspace, folder: Path) -> dict[str, Any]:
    """What its plan trains where nothing is killed."""
    folder.mkdir()
    (folder / "dataset.json").write_text(json.dumps(body(dossier, "data")))
    with chdir(workspace.top):
        again.main(dossier, folder / "dataset.json", folder)
    loaded: dict[str, Any] = json.loads((folder / "trained.json").read_text())
    return loaded


def test_killed_run_is_filed_by_the_next_start_which_goes_on(
    workspace: Workspace, assay: Assay, tmp_path: Path
) -> None:
    slowly(workspace)
    before = workspace.registry()
    kill_in_training(workspace, assay)
    assert workspace.runs()[-1] == ("RUNNING", "")
    assert flow_state(assay, workspace, 1)["type"] == "RUNNING"
    assert workspace.registry() == before

    done = assay(workspace.top, "retrain", "tiny")
    assert done.code == 0, done
    assert [status for status, _ in workspace.runs()] == ["FINISHED", "FAILED", "FINISHED"]
    assert [ending for _, ending in workspace.runs()] == ["Registered", "Crashed", "Registered"]
    state = flow_state(assay, workspace, 1)
    assert state["type"] == "CRASHED"
    assert "is gone: killed, out of memory, or the machine stopped" in state["message"]
    _, killed, resumed = workspace.dossiers()
    assert steps(killed) == [*REGISTERED_STEPS[:6], "ending"]
    ending = body(killed, "ending")
    assert ending["ending"] == "Crashed"
    assert "is gone: killed" in ending["message"]
    assert workspace.is_signed(killed)
    freeze, undisturbed = body(resumed, "freeze"), trained_again(resumed, workspace, tmp_path / "again")
    assert freeze["resumed_from"] >= 1
    assert undisturbed["resumed_from"] is None
    assert freeze["digest"] == undisturbed["digest"]
    assert freeze["history"] == undisturbed["history"]
    replayed = assay(workspace.top, "replay", str(killed))
    assert replayed.code == 3, replayed
    assert "the run ended before a model was judged: Crashed" in replayed.lines
