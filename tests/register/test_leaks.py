"""The leak sweep sees what MLflow's own store holds: a tag, a parameter, a metric."""

from __future__ import annotations

import json
from pathlib import Path

from mlflow.entities import RunTag

from tasks.privacy.sweep import sweep
from tasks.register.client import Connection

NAME, EMAIL, CARD = "Zelda O'Quimby-Müller", "zelda@planted.example", "4111111111111111"


def test_what_a_run_leaks_to_mlflows_database_is_found(connection: Connection, tmp_path: Path) -> None:
    run = connection.client.create_run(connection.experiment("leaking")).info.run_id
    assert sweep([NAME, EMAIL, CARD], tmp_path) == []
    connection.client.log_batch(run, tags=[RunTag("note", f"asked by {NAME}")])
    connection.client.log_param(run, "rows", json.dumps([{"mail": EMAIL}]))
    connection.client.log_metric(run, "card", float(CARD))
    found = sweep([NAME, EMAIL, CARD, "Nobody's Önn"], tmp_path / "mlflow.db")
    assert [one.value for one in found] == [0, 1, 2]
