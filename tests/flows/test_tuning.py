"""A search through the flow: trials as nested runs, the chosen settings in the model, a replay."""

from __future__ import annotations

import pytest

from .conftest import REGISTERED_STEPS, Assay, Workspace, body, steps

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_trials_are_nested_runs_and_the_chosen_one_trains_the_model(blank: Workspace, assay: Assay) -> None:
    document = blank.document()
    search = {"training.optimizer.rate": {"low": 0.001, "high": 0.03, "scale": "log"}}
    document["recipe"]["tuning"] = {"trials": 3, "search": search, "headroom": 0.0}
    blank.write(document)
    done = assay(blank.top, "retrain", "tiny")
    assert done.code == 0, done
    (dossier,) = blank.dossiers()
    assert steps(dossier) == REGISTERED_STEPS
    tuned = body(dossier, "tuning")
    chosen = tuned["trials"][tuned["chosen"]]["settings"]
    assert tuned["changes"] == chosen
    nested = blank.query(
        "select r.name, p.value from runs r join params p on p.run_uuid = r.run_uuid "
        "join tags t on t.run_uuid = r.run_uuid where t.key = 'mlflow.parentRunId' order by r.name"
    )
    rates = [str(trial["settings"]["training.optimizer.rate"]) for trial in tuned["trials"]]
    assert nested == [(f"trial {number}", rate) for number, rate in enumerate(rates)]
    (shown,) = blank.query("select value from params where key = 'recipe/training/optimizer/rate'")
    assert shown == (str(chosen["training.optimizer.rate"]),)
    replayed = assay(blank.top, "replay", "tiny@1")
    assert "Every number rebuilt" in replayed.output, replayed
