"""A run's contents in MLflow, its limits, and runs whose process was killed."""

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from tasks.errors import RegistryError
from tasks.register.client import Connection
from tasks.register.keys import key
from tasks.register.runs import (
    LONGEST_TEXT,
    NOTE,
    Contents,
    Input,
    end,
    file_crashed,
    fitting,
    log_run,
    start,
    upload_folder,
)

SHA = "5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d"


def test_contents_come_back(connection: Connection, tmp_path: Path) -> None:
    run_id = start(connection, "adult", tmp_path / "dossiers", {"assay.code": "c0de"})
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "loss.svg").write_text("<svg/>")
    many = {f"group/sex/g{i}/selection_rate": i / 3000 for i in range(2500)}
    contents = Contents(
        params={f"p{i}": i for i in range(250)},
        metrics={"test/accuracy": 0.86, **many},
        series={"train/loss": [0.5, 0.25]},
        tags={"assay.head": SHA},
        description="# Registered\n\n| a | b |\n|---|---|\n| 1 | 2 |\n",
        texts={"plan.yaml": "name: adult\n"},
        folders={"figures": tmp_path / "figures"},
        inputs=[Input("adult train", "training", SHA, "data/adult/raw/adult.data", 32561, {"dvc": "x"})],
    )
    log_run(connection, run_id, contents)
    log_run(connection, run_id, contents)  # a retry of the task: nothing doubles, nothing is refused
    end(connection, run_id, "Registered", finished=True)

    run = connection.client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert len(run.data.params) == 250
    assert run.data.metrics["test/accuracy"] == 0.86
    assert len(run.data.metrics) == 2502
    losses = {m.step: m.value for m in connection.client.get_metric_history(run_id, "train/loss")}
    assert losses == {1: 0.5, 2: 0.25}
    assert run.data.tags[NOTE] == contents.description
    assert run.data.tags["assay.ending"] == "Registered"
    assert run.data.tags["assay.head"] == SHA
    (given,) = run.inputs.dataset_inputs
    assert given.dataset.digest == SHA[:36]
    assert SHA in given.dataset.source
    assert {tag.key: tag.value for tag in given.tags} == {
        "mlflow.data.context": "training",
        "sha256": SHA,
        "dvc": "x",
    }
    held = {item.path for item in connection.client.list_artifacts(run_id)}
    assert held == {"description.md", "figures", "plan.yaml"}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_number_that_is_not_finite_is_refused(connection: Connection, tmp_path: Path, value: float) -> None:
    run_id = start(connection, "adult", tmp_path, {})
    with pytest.raises(RegistryError, match="test/auc"):
        log_run(connection, run_id, Contents(metrics={"test/auc": value, "test/accuracy": 0.5}))
    assert connection.client.get_run(run_id).data.metrics == {}


def test_long_description_is_cut_at_a_line_and_points_to_the_whole(
    connection: Connection, tmp_path: Path
) -> None:
    page = "".join(f"| row {i} | {'x' * 60} |\n" for i in range(200))
    run_id = start(connection, "adult", tmp_path, {})
    log_run(connection, run_id, Contents(description=page))
    shown = connection.client.get_run(run_id).data.tags[NOTE]
    assert len(shown) <= LONGEST_TEXT
    assert "description.md" in shown.splitlines()[-1]
    assert all(line in page for line in shown.splitlines()[:-2])
    assert fitting("short") == "short"
    path = connection.client.download_artifacts(run_id, "description.md", str(tmp_path))
    assert Path(path).read_text() == page


def test_missing_folder_is_named(connection: Connection, tmp_path: Path) -> None:
    run_id = start(connection, "adult", tmp_path, {})
    with pytest.raises(RegistryError, match="nowhere"):
        upload_folder(connection, run_id, tmp_path / "nowhere")


def test_keys_are_taken_by_mlflow_and_stay_apart(connection: Connection, tmp_path: Path) -> None:
    levels = ["65+", "65_", "65%", "a/b", "a\\b", "<=50K", ">50K", "..", "é ß", "x" * 400, "x" * 401]
    keys = [key("group/sex".replace("/", ":"), level, "rate") for level in levels]
    assert len(set(keys)) == len(levels)
    assert keys[0] == "group:sex/65 and over/rate"
    run_id = start(connection, "adult", tmp_path, {})
    log_run(connection, run_id, Contents(metrics=dict.fromkeys(keys, 0.5)))
    assert set(connection.client.get_run(run_id).data.metrics) == set(keys)


STARTS_AND_HANGS = """
import sys, time
from pathlib import Path
from tasks.register.client import connect
from tasks.register.runs import start
print(start(connect(sys.argv[1], sys.argv[2]), "adult", Path("var/dossiers"), {}), flush=True)
time.sleep(60)
"""


def test_killed_run_is_filed_and_a_living_one_left_alone(connection: Connection, tmp_path: Path) -> None:
    living = start(connection, "adult", tmp_path, {})
    command = [sys.executable, "-c", STARTS_AND_HANGS, connection.uri, str(connection.artifact_root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()) as process:
        assert process.stdout is not None
        killed = process.stdout.readline().strip()
        assert file_crashed(connection) == ()
        os.kill(process.pid, signal.SIGKILL)
    (found,) = file_crashed(connection)
    assert (found.run_id, found.model) == (killed, "adult")
    assert found.dossier == Path("var/dossiers") / killed
    run = connection.client.get_run(killed)
    assert run.info.status == "FAILED"
    assert run.data.tags["assay.ending"] == "Crashed"
    assert str(process.pid) in run.data.tags["assay.crash"]
    assert connection.client.get_run(living).info.status == "RUNNING"
    assert file_crashed(connection) == ()


def test_number_of_a_dead_process_given_to_another(connection: Connection, tmp_path: Path) -> None:
    run_id = start(connection, "adult", tmp_path, {})
    connection.client.set_tag(run_id, "assay.process_started", "1000000000.00")
    assert [found.run_id for found in file_crashed(connection)] == [run_id]


def test_other_machines_run_is_left_until_it_is_old(connection: Connection, tmp_path: Path) -> None:
    run_id = start(connection, "adult", tmp_path, {})
    connection.client.set_tag(run_id, "assay.host", "elsewhere")
    assert file_crashed(connection) == ()
    assert [found.run_id for found in file_crashed(connection, timedelta(0))] == [run_id]
