"""Differential privacy through the flow: killed and gone on, registered, replayed, its budget spent."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from .conftest import Assay, Workspace, body, steps
from .slices import slice_plan

pytestmark = pytest.mark.timeout(600)
EPOCHS = 4  # long enough to be caught in them


def kill_in_training(workspace: Workspace, assay: Assay) -> None:
    """Kill a run once it has a checkpoint; forked from the warm process, it needs no start of its own."""
    children = Path(f"/proc/{assay.warm.pid}/task/{assay.warm.pid}/children")
    before = set(children.read_text().split())
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(assay, workspace.top, "retrain", "tiny")
        while not list((workspace.top / "var" / "checkpoints").rglob("epoch-*.safetensors")):
            assert not run.done(), run.result()
            time.sleep(0.02)
        (child,) = {*children.read_text().split()} - before
        os.kill(int(child), signal.SIGKILL)
        assert run.result().code == -signal.SIGKILL


@pytest.fixture(scope="module")
def private(assay: Assay, mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """After a training of the plan ``adult-private``, in small, that was killed, and the run that went on."""
    workspace = slice_plan("adult-private", mirror, tmp_path_factory.mktemp("private") / "workspace")
    document = workspace.document()
    # The noise is another each time: any model keeps the limit, and the budget holds one training.
    document["judgement"]["limits"] = [
        {"metric": "demographic_parity_difference", "attribute": "sex", "limit": 0.9}
    ]
    document["recipe"]["training"]["epochs"] = EPOCHS
    document["recipe"]["privacy"] |= {"budget": 3, "at_once": 32}
    workspace.write(document)
    kill_in_training(workspace, assay)
    done = assay(workspace.top, "retrain", "tiny")
    assert done.code == 0, done
    return workspace


def test_a_killed_training_that_goes_on_draws_once_and_pays_for_the_epoch_it_lost(private: Workspace) -> None:
    killed, resumed = private.dossiers()
    first, second = (body(dossier, "privacy") for dossier in (killed, resumed))
    assert first["epsilon"] == pytest.approx(3, abs=0.05)
    assert (second["epsilon"], second["trainings"]) == (0, 1)
    assert second["total"] == first["total"] <= 3
    freeze = body(resumed, "freeze")
    assert freeze["resumed_from"] >= 1
    assert len(freeze["history"]) in (EPOCHS - 1, EPOCHS)  # killed within an epoch, or between two
    assert freeze["privacy"]["epsilon"] == first["epsilon"]  # whatever was begun, with what was lost


def test_the_model_is_rebuilt_from_its_weights_and_tells_what_it_promises(
    private: Workspace, assay: Assay
) -> None:
    spent = private.query("select value from model_version_tags where key = 'assay.privacy'")
    assert "epsilon 3 at delta 1e-05 for each row learned from" in spent[0][0]
    done = assay(private.top, "replay", "tiny@1")
    assert done.code == 0, done
    assert "Every number rebuilt" in done.output


def test_training_again_is_not_possible_and_so_no_pass(private: Workspace, assay: Assay) -> None:
    done = assay(private.top, "replay", "tiny@1", "--retrain")
    assert done.code == 4, done
    assert "Rebuilt in part" in done.output
    assert "weights: not trained again" in done.output
    assert "never kept, since whoever had them could take the noise off" in done.output


def test_a_second_training_on_the_same_rows_is_refused(private: Workspace, assay: Assay) -> None:
    done = assay(private.top, "retrain", "tiny", "--force")
    assert done.code == 3, done
    assert (
        "privacy budget spent: 1 training on some of these rows spent epsilon 3 at delta 1e-05" in done.output
    )
    assert "recipe.privacy.budget is 3" in done.output
    assert private.versions() == [1]
    assert steps(private.dossiers()[-1])[-2:] == ["privacy", "ending"]
    raised = assay(private.top, "retrain", "tiny", "--force", "--set", "recipe.privacy.budget=100")
    assert raised.code == 2, raised
    assert "a budget that a setting can raise protects nobody" in raised.errors
