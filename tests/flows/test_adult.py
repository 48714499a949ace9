"""The two committed plans at full size: what the README shows."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ROOT, Assay, body

pytestmark = pytest.mark.slow
VERIFIER = ROOT / "tests" / "project" / "independent_verifier.py"


def workspace(folder: Path, plan: str) -> Path:
    """A working directory with one plan, without what DVC made of it."""
    shutil.copytree(
        ROOT / "data" / plan, folder / "data" / plan, ignore=shutil.ignore_patterns("raw", "prepared")
    )
    return folder


def dossier_of(folder: Path, plan: str) -> Path:
    (found,) = (folder / "var" / "dossiers" / plan).iterdir()
    return found


def verified(dossier: Path) -> int:
    """Exit code of the program that shares no code with us."""
    return subprocess.run([sys.executable, VERIFIER, dossier], capture_output=True, check=False).returncode


def test_adult_is_registered(assay: Assay, mirror: Path, tmp_path: Path) -> None:
    folder = workspace(tmp_path, "adult")
    done = assay(folder, "retrain", "adult", ASSAY_MIRROR=str(mirror))
    assert done.code == 0, done
    dossier = dossier_of(folder, "adult")
    assert body(dossier, "registration")["alias"] == "champion"
    sample = body(dossier, "representativeness")
    women = next(r for r in sample["ratios"] if (r["attribute"], r["level"]) == ("sex", "Female"))
    assert women["ratio"] == pytest.approx(0.711, abs=0.001)
    assert any("Female" in warning for warning in sample["warnings"])
    assert sample["raked"]["effective_share"] >= 0.5
    assert verified(dossier) == 0


def test_adult_unmitigated_is_refused_though_it_predicts_well(
    assay: Assay, mirror: Path, tmp_path: Path
) -> None:
    folder = workspace(tmp_path, "adult-unmitigated")
    done = assay(folder, "retrain", "adult-unmitigated", ASSAY_MIRROR=str(mirror))
    assert done.code == 3, done
    assert "demographic parity difference 0.1" in done.output
    dossier = dossier_of(folder, "adult-unmitigated")
    performance = {one["name"]: one["value"] for one in body(dossier, "opening")["performance"]}
    assert performance["accuracy"] >= 0.855
    assert performance["auc"] >= 0.911
    assert body(dossier, "ending")["ending"] == "Refused"
    assert verified(dossier) == 4  # beside the FAIL one limit is INCONCLUSIVE
