"""Bad input, one run each: the exit code, a message with both sides, and a registry that nothing touched."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import missing

from .conftest import Assay, Workspace, body, steps

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
COLUMNS = ["age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation"]
COLUMNS += ["relationship", "race", "sex", "capital-gain", "capital-loss", "hours-per-week", "native-country"]
COLUMNS += ["income"]
Change = Callable[[Workspace], None]


def cell(part: str, row: int, column: str, value: str) -> Change:
    """Replace one value."""

    def change(workspace: Workspace) -> None:
        rows = workspace.rows(part)
        rows[row][COLUMNS.index(column)] = value
        workspace.put_rows(part, rows)

    return change


def everywhere(part: str, column: str, value: str) -> Change:
    """Replace a column's values."""

    def change(workspace: Workspace) -> None:
        rows = workspace.rows(part)
        for row in rows:
            row[COLUMNS.index(column)] = value
        workspace.put_rows(part, rows)

    return change


def header(left_out: str | None = None, added: str | None = None) -> Change:
    """Give both sources a header, and the training part a column less or more."""

    def change(workspace: Workspace) -> None:
        for part in ("train", "test"):
            rows = [COLUMNS, *workspace.rows(part)]
            if left_out and part == "train":
                place = COLUMNS.index(left_out)
                rows = [row[:place] + row[place + 1 :] for row in rows]
            if added and part == "train":
                rows = [[*row, added if row is rows[0] else "1"] for row in rows]
            workspace.put_rows(part, rows)
        document = workspace.document()
        document["judgement"]["data"]["format"]["header"] = True
        workspace.write(document)

    return change


def number(value: str) -> Change:
    """Let a column be of type number, and one of its values no finite number."""

    def change(workspace: Workspace) -> None:
        cell("train", 5, "hours-per-week", value)(workspace)
        document = workspace.document()
        document["judgement"]["data"]["columns"]["hours-per-week"] = {"type": "number"}
        workspace.write(document)

    return change


def empty(workspace: Workspace) -> None:
    workspace.put("test", b"")


def unseen_group(workspace: Workspace) -> None:
    workspace.put_rows("train", [row for row in workspace.rows("train") if row[8] != "Other"])


def unseen_category(workspace: Workspace) -> None:
    """Declared by the plan and in no training row."""
    cell("test", 3, "occupation", "Armed-Forces")(workspace)


REFUSED = {
    "missing column": (header(left_out="hours-per-week"), ["train part", "missing: hours-per-week"]),
    "extra column": (header(added="zodiac"), ["train part", "extra: zodiac"]),
    "wrong type": (cell("train", 7, "age", "thirty"), ["column age", "whole number", "rows 7"]),
    "empty file": (empty, ["raw/test.csv: is empty (0 bytes)", "pin the sha256 of the whole file"]),
    "NaN": (number("NaN"), ["column hours-per-week", "finite", "rows 5"]),
    "infinity": (number("-inf"), ["column hours-per-week", "finite", "rows 5"]),
    "one class": (everywhere("train", "income", "<=50K"), ["column income", "every class occurs", ">50K"]),
    "attribute absent": (header(left_out="sex"), ["missing: sex (protected attribute sex)"]),
    "attribute of one level": (
        everywhere("test", "sex", "Male"),
        ["test part", "at least two groups by sex"],
    ),
    "group never seen": (unseen_group, ["test part", "only groups by race that training has seen"]),
    "category never seen": (
        unseen_category,
        ["test part, column occupation", "'Armed-Forces' (rows 3)", "add training rows that have it"],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_data_that_breaks_the_plan_is_refused(workspace: Workspace, assay: Assay, name: str) -> None:
    change, messages = REFUSED[name]
    change(workspace)
    before = workspace.registry()
    done = assay(workspace.top, "retrain", "tiny")
    assert done.code == 3, done
    assert "Refused" in done.lines
    for message in messages:
        assert message in done.output, done
    assert workspace.registry() == before
    assert workspace.aliases() == {"champion": 1}
    assert workspace.runs()[-1] == ("FINISHED", "Refused")
    dossier = workspace.dossiers()[-1]
    assert body(dossier, "ending")["ending"] == "Refused"
    assert "freeze" not in steps(dossier)  # nothing was trained


def forget_raw(workspace: Workspace) -> None:
    """Let nothing but the origins hold the sources."""
    for folder in ("data/tiny/raw", "data/tiny/prepared", ".dvc/cache"):
        shutil.rmtree(workspace.top / folder)


def truncated(workspace: Workspace, _: Assay) -> None:
    forget_raw(workspace)
    source = workspace.top / "train.csv"
    source.write_bytes(source.read_bytes()[:-1000])


def unreachable(workspace: Workspace, _: Assay) -> None:
    forget_raw(workspace)
    (workspace.top / "train.csv").unlink()


def flipped(workspace: Workspace, assay: Assay) -> None:
    """A flipped bit in the raw file, its size and time as before, which DVC does not notice."""
    assert assay(workspace.top, "check", "tiny").code == 0
    path = workspace.top / "data" / "tiny" / "raw" / "test.csv"
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


SOURCES = {
    "truncated": (truncated, ["file:train.csv: sha256 ", " is expected, found ", "bytes)"]),
    "unreachable": (unreachable, ["there is no file train.csv", "ASSAY_MIRROR"]),
    "altered": (
        flipped,
        ["raw/test.csv: sha256 ", " is expected, found ", "Delete what follows and run again"],
    ),
}


@pytest.mark.parametrize("name", SOURCES)
def test_source_that_is_not_what_was_pinned_crashes(workspace: Workspace, assay: Assay, name: str) -> None:
    change, messages = SOURCES[name]
    workspace.judgement(alpha=0.04)  # else nothing would be run
    change(workspace, assay)
    before = workspace.registry()
    done = assay(workspace.top, "retrain", "tiny")
    assert done.code == 1, done
    assert "Traceback" not in done.errors
    for message in messages:
        assert message in done.errors, done
    assert workspace.registry() == before
    assert workspace.runs()[-1] == ("FAILED", "Crashed")
    assert steps(workspace.dossiers()[-1]) == ["plan", "environment", "ending"]


def test_mlflow_that_is_down_is_told_within_seconds(workspace: Workspace, assay: Assay) -> None:
    before = workspace.registry(), workspace.runs()
    done = assay(workspace.top, "retrain", "tiny", ASSAY_TRACKING_URI="http://127.0.0.1:9")
    assert done.code == 1, done
    assert "MLflow's server at http://127.0.0.1:9 does not answer" in done.errors
    assert "unset ASSAY_TRACKING_URI" in done.errors
    assert "Traceback" not in done.errors
    assert (workspace.registry(), workspace.runs()) == before
    (dossier,) = (path for path in workspace.dossiers() if path.name.startswith("unopened-"))
    assert body(dossier, "ending")["ending"] == "Crashed"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 24 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        missing(f"no file system can be mounted: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_full_disk_crashes_and_the_next_start_files_it(
    registered: Workspace, assay: Assay, small_disk: Path
) -> None:
    workspace = registered.copy_to(small_disk / "workspace")
    before = workspace.registry()
    ballast = small_disk / "ballast"
    with ballast.open("wb") as file:  # leaves room for MLflow's run, not for the run's files
        file.truncate(0)
        free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
        file.write(bytes(free - 200_000))
    done = assay(workspace.top, "retrain", "tiny", "--force")
    assert done.code == 1, done
    assert "No space left on device" in done.errors, done
    assert "Traceback" not in done.errors
    assert workspace.registry() == before
    ballast.unlink()
    again = assay(workspace.top, "retrain", "tiny", "--force")
    assert again.code == 0, again
    assert workspace.runs() == [("FINISHED", "Registered"), ("FAILED", "Crashed"), ("FINISHED", "Registered")]
    assert workspace.aliases() == {"champion": 2}
