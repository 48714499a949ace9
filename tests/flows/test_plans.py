"""Each committed plan, of every kind of data and every model, through one flow on a slice of its data."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.plan import plan_names

from .conftest import ROOT, Assay, body, steps
from .slices import slice_plan

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ELSEWHERE = ("adult", "adult-unmitigated", "adult-private")
"""Plans that test_adult.py runs at full size, and test_private.py on a slice."""
ENDINGS = {0: "Registered", 3: "Refused", 4: "Undecided"}


@pytest.mark.parametrize("name", [name for name in plan_names(ROOT / "data") if name not in ELSEWHERE])
def test_plan_is_trained_judged_and_replayed(name: str, mirror: Path, tmp_path: Path, assay: Assay) -> None:
    workspace = slice_plan(name, mirror, tmp_path / "workspace")
    done = assay(workspace.top, "retrain", "tiny")
    (dossier,) = workspace.dossiers()
    assert done.code in ENDINGS, done
    assert body(dossier, "ending")["ending"] == ENDINGS[done.code], done
    assert "verdicts" in steps(dossier), done  # a small slice may be refused, but by the gate alone
    assert len(body(dossier, "freeze")["history"]) == 2
    target = "tiny@1" if workspace.versions() else dossier.as_posix()
    replayed = assay(workspace.top, "replay", target)
    assert "Every number rebuilt" in replayed.output, replayed
