"""Steps against bias before, during and after training, through the whole flow to the replay."""

from __future__ import annotations

import pytest

from .conftest import Assay, Workspace, body
from .tiny import ROWS

pytestmark = pytest.mark.slow


def test_a_model_that_decides_by_group_says_so_and_replays(blank: Workspace, assay: Assay) -> None:
    document = blank.document()
    document["recipe"]["features"]["exclude"] = ["sex"]
    document["recipe"]["training"]["epochs"] = 4
    document["recipe"]["mitigation"] = [
        {"kind": "resampling", "attribute": "sex", "strength": 0.5},
        {"kind": "constraint", "attribute": "sex", "metric": "equalized_odds"},
        {"kind": "calibration", "attribute": "sex"},
        {"kind": "thresholds", "attribute": "sex", "metric": "demographic_parity", "slack": 0.05},
    ]
    blank.write(document)
    done = assay(blank.top, "retrain", "tiny")
    assert done.code in (0, 4), done
    freeze = body(blank.dossiers()[-1], "freeze")
    assert freeze["made_by"] == {"resampling": freeze["made_rows"]}
    assert freeze["made_rows"] > 0
    assert body(blank.dossiers()[-1], "opening")["rows"] == ROWS["test"], "a made row is no test row"
    assert max(epoch["excess"] for epoch in freeze["history"]) > 0
    assert freeze["decision"]["sentence"].startswith("Decides by sex: ")
    ((description,),) = blank.query("select description from model_versions")
    assert freeze["decision"]["sentence"] in description
    again = assay(blank.top, "replay", "tiny@1")
    assert "Every number rebuilt" in again.output, again
