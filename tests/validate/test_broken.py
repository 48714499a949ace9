"""Every kind of bad data is refused: fetched and prepared as a run does it, without the run around it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.errors import Refusal
from tasks.ingest.rebuild import fetch_parts
from tasks.plan import load_plan
from tasks.validate.validate import validate
from tests.flows.conftest import Workspace, write_workspace

from .broken import REFUSED


@pytest.fixture(scope="module")
def sound(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace whose data keep their plan. Copy, don't touch."""
    return write_workspace(mirror, tmp_path_factory.mktemp("sound") / "workspace")


def problems(workspace: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What ingest or validation says against the data."""
    monkeypatch.chdir(workspace.top)
    plan = load_plan("tiny", Path("data"), [])
    try:
        dataset = fetch_parts(plan, folder, None)
    except Refusal as refusal:
        return str(refusal)
    return "\n".join(validate(dataset, plan, folder).problems)


def test_sound_data_have_no_problem(
    sound: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert problems(sound, tmp_path / "run", monkeypatch) == ""


@pytest.mark.parametrize("name", REFUSED)
def test_data_that_breaks_the_plan_is_refused(
    sound: Workspace, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, messages = REFUSED[name]
    workspace = sound.copy_to(tmp_path / "workspace")
    change(workspace)
    told = problems(workspace, tmp_path / "run", monkeypatch)
    for message in messages:
        assert message in told
