"""Runs of several working directories, as of several machines: all they share is a Prefect server."""

from __future__ import annotations

import select
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flows.turns import locked
from infra.embedded import LOCAL_API, is_shared

from .conftest import ROOT, Assay, Workspace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
HOLD = """
import sys
from flows.turns import turn
with turn(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.readline()
"""
Holder = subprocess.Popen[str]


@pytest.fixture
def hold(assay: Assay, tmp_path: Path) -> Iterator[Callable[[str], Holder]]:
    """Start a process that takes a turn, says so, and gives it back when it is told to."""
    started: list[Holder] = []

    def start(what: str) -> Holder:
        with (tmp_path / f"{len(started)}.err").open("wb") as errors:
            process = subprocess.Popen(
                [sys.executable, "-c", HOLD, what],
                cwd=ROOT,
                env={**assay.environment, "PREFECT_API_URL": assay.api},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def holds(process: Holder, seconds: float) -> bool:
    """Whether a process has its turn within some seconds."""
    assert process.stdout is not None
    return bool(select.select([process.stdout], [], [], seconds)[0]) and process.stdout.readline() == "held\n"


def test_turns_of_one_name_follow_each_other_and_those_of_two_do_not(
    hold: Callable[[str], Holder], tmp_path: Path
) -> None:
    first = hold("retrain one")
    assert holds(first, 60)
    second, other = hold("retrain one"), hold("retrain another")
    assert holds(other, 60)
    assert not holds(second, 3)
    assert "Waiting for another run that holds the turn 'retrain one'" in (tmp_path / "1.err").read_text()
    first.communicate("\n")
    assert first.returncode == 0
    assert holds(second, 120)


def test_own_server_is_not_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert not is_shared()
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:4200/api")
    assert is_shared()
    monkeypatch.setenv(LOCAL_API, "http://127.0.0.1:4200/api")
    assert not is_shared()


def test_retraining_of_one_model_never_overlaps_that_of_two_may(
    unrun: Workspace, assay: Assay, tmp_path: Path
) -> None:
    """Runs that are refused by their data are as good: a turn is held from the first step to the ending."""
    one, two, other = (unrun.copy_to(tmp_path / name / "workspace") for name in ("one", "two", "other"))
    for workspace in (one, two, other):
        workspace.judgement(expectations={"minimum_rows": {"train": 1_000_000}})
    shutil.copytree(
        other.top / "data" / "tiny",
        other.top / "data" / "other",
        ignore=shutil.ignore_patterns("raw", "prepared", "manifest.json"),
    )

    plans = [(one, "tiny"), (two, "tiny"), (other, "other")]
    commands = [(workspace.top, ["retrain", plan, "--force"]) for workspace, plan in plans]
    for done in assay.together(commands, **{LOCAL_API: ""}):
        assert done.code == 3, done
    times = "select start_time, end_time from runs order by start_time desc limit 1"
    runs = [workspace.query(times)[0] for workspace, _ in plans]
    (first, second), third = sorted(runs[:2]), runs[2]
    assert first[1] <= second[0]
    assert any(third[0] < run[1] and run[0] < third[1] for run in (first, second))


def test_who_waits_for_another_process_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, order = tmp_path / "tiny.run.lock", list[str]()
    with ThreadPoolExecutor(1) as pool:

        def second() -> None:
            with locked(path):
                order.append("second")

        with locked(path):
            assert capsys.readouterr().err == ""  # nobody is told who need not wait
            waiting = pool.submit(second)
            told = ""
            while not told:
                assert not waiting.done(), waiting.result()
                told = capsys.readouterr().err
            order.append("first")
        waiting.result(timeout=20)
    assert told.startswith("Waiting for another run of this working directory, which holds ")
    assert order == ["first", "second"]
