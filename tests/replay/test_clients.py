"""Which clients counted a federated test part: rebuilt from its rows where the dossier says it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tasks.evidence.dossier import Entry
from tasks.plan.load import load_plan
from tasks.replay.replay import Replay

ROWS = pl.DataFrame({"speaker": ["theo", "jackson", "theo"]})
NONE = "clients: None on record, ['jackson', 'theo'] rebuilt"


@pytest.mark.parametrize(
    ("freeze", "counted", "problems"),
    [
        ({"made_by": {}}, {"clients": ["jackson", "theo"]}, []),
        ({"made_by": {}}, {}, [NONE]),
        ({}, {}, []),  # of a dossier from before clients counted
        ({}, {"clients": ["ada"]}, ["clients: ['ada'] on record, ['jackson', 'theo'] rebuilt"]),
    ],
)
def test_clients_are_those_of_the_rows(
    freeze: dict[str, Any], counted: dict[str, Any], problems: list[str]
) -> None:
    bodies = {"freeze": freeze, "opening": {"rows": 3, **counted}}
    entries = [Entry(index=0, step=step, previous="", files=(), body=body) for step, body in bodies.items()]
    replay = Replay(Path(), entries, load_plan("spoken-digits-federated", Path("data")))
    assert replay._opening_problems("test", ROWS) == problems
