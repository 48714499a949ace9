"""Bad input, one run each: the exit code, a message with both sides, and a registry that nothing touched."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.validate.broken import REFUSED

from .conftest import Assay, Workspace, body, steps

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


# One that a stage of DVC refuses, one of all rows and one of a single value: tests/validate has every kind.
@pytest.mark.parametrize("name", ["empty file", "attribute absent", "NaN"])
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
    "unreachable": (unreachable, ["there is no file or folder train.csv", "ASSAY_MIRROR"]),
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
    assert workspace.is_signed(workspace.dossiers()[-1])


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
    assert workspace.is_signed(dossier)


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of its own, of 32 MB.

    It lies outside pytest's folders: a test that was killed leaves it mounted, and a later session could not
    remove them.
    """
    folder = Path(tempfile.mkdtemp(prefix="assay-small-disk-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", folder],
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
        folder.rmdir()


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
