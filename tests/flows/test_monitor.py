"""A champion in service, looked at through the flow: real rows of Adult, as its log has them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tasks.evaluate.predictions import read_predictions
from tasks.evidence.dossier import check_files, read_chain
from tasks.ingest.described import type_frame
from tasks.monitor.log import write_log
from tasks.plan import Plan, read_locked

from .conftest import ROOT, Assay, Done, Workspace, body, steps
from .deployments import ask, deployed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

STEPS = ["champion", "rows", "looks", "comparison", "verdicts", "ending"]
AT = datetime(2026, 11, 1, tzinfo=UTC)
WATCHED = {"log": "log/*.parquet", "labels": "labels/*.csv", "minimum_rows": 1000}
Change = Callable[[pl.DataFrame], pl.DataFrame]


@dataclass(frozen=True)
class Service:
    """A workspace whose champion serves: what it is asked and what it answers."""

    workspace: Workspace
    assay: Assay
    plan: Plan
    rows: pl.DataFrame
    answers: pl.DataFrame

    @property
    def top(self) -> Path:
        return self.workspace.top / "var" / "monitoring" / "tiny"

    def watch(self, **monitoring: Any) -> None:
        """Let the plan say what is watched."""
        document = self.workspace.document()
        document["operations"]["monitoring"] = monitoring
        self.workspace.write(document)

    def serve(
        self, asked: Change = pl.DataFrame.clone, answered: Change = pl.DataFrame.clone, version: str = "1"
    ) -> pl.DataFrame:
        """Write a new log of the test part's rows; returns the labels that come later."""
        for folder in ("log", "labels"):
            shutil.rmtree(self.workspace.top / folder, ignore_errors=True)
        (self.workspace.top / "labels").mkdir()
        label, path = self.plan.judgement.data.label.column, self.workspace.top / "log" / "a.parquet"
        rows, answers = asked(self.rows), answered(self.answers)
        keys = write_log(rows.drop(label), answers, self.plan.judgement, version, path, AT)
        return pl.DataFrame({"row_key": keys, "label": rows[label]})

    def label(self, labels: pl.DataFrame) -> None:
        labels.write_csv(self.workspace.top / "labels" / "a.csv")

    def look(self) -> tuple[Done, Path]:
        """Look once: what was printed, and the folder that is left."""
        before = set(self.top.glob("*"))
        done = self.assay(self.workspace.top, "monitor", "tiny")
        (folder,) = set(self.top.glob("*")) - before  # the new rows themselves are gone
        assert not check_files(folder, list(read_chain(folder)))
        return done, folder


@pytest.fixture(scope="module")
def notices(assay: Assay) -> Iterator[list[str]]:
    """What a webhook on loopback is told by the automations of infra/automations.yaml."""
    told: list[str] = []

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Webhook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        made = subprocess.run(
            [sys.executable, "-c", NOTICES, f"http://127.0.0.1:{server.server_port}/"],
            cwd=ROOT,
            env={**assay.environment, "PREFECT_API_URL": assay.api, "ASSAY_VAR": str(assay.scratch)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == 0, made.stderr
        assert "assay refused, assay undecided, assay crashed, assay drift" in made.stdout
        yield told
        for automation in ask(f"{assay.api}/automations/filter", {}):
            ask(f"{assay.api}/automations/{automation['id']}", None, "DELETE")
        server.shutdown()


NOTICES = """
import sys
from prefect.blocks.notifications import CustomWebhookNotificationBlock as Block
from infra.notices import main
Block(name="here", url=sys.argv[1], json_data={"text": "{{subject}}: {{body}}"}).save("here")
sys.argv = ["notices", "custom-webhook/here"]
main()
"""


def told_of(notices: list[str], *words: str) -> bool:
    """Whether a notice with these words has come, within seconds."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if any(all(word in notice for word in words) for notice in notices):
            return True
        time.sleep(0.1)
    pytest.fail(f"no notice of {words} came, there are: {notices}")


@pytest.fixture(scope="module")
def service(registered: Workspace, assay: Assay, tmp_path_factory: pytest.TempPathFactory) -> Service:
    workspace = registered.copy_to(tmp_path_factory.mktemp("service") / "workspace")
    (dossier,) = workspace.dossiers()
    plan = read_locked(dossier)
    part = pl.read_parquet(workspace.top / "data" / "tiny" / "prepared" / "test.parquet")
    answers = read_predictions(dossier / "predictions.csv", plan.judgement)
    return Service(workspace, assay, plan, type_frame(part, plan.judgement), answers)


def level(number: int) -> float:
    """What the number's look is judged at, of an alpha of 0.05."""
    return 0.05 / (number * (number + 1))


def test_a_world_that_stays_is_stable_once_its_labels_have_come(service: Service) -> None:
    service.watch(**WATCHED)
    labels, before = service.serve(), service.workspace.registry()
    done, folder = service.look()
    assert done.code == 4, done
    assert "fairness is not known: 0 of 2500 new rows have a label" in done.output
    assert steps(folder) == ["champion", "rows", "looks", "comparison", "ending"]
    first = body(folder, "looks")
    assert first["labels"] is None

    service.label(labels)
    done, folder = service.look()
    assert done.code == 0, done
    assert done.lines[-5:-3] == [
        "Stable",
        "2,500 new rows keep the plan's limits on drift and population; 1 PASS of 1 limits",
    ]
    assert steps(folder) == STEPS
    looks = body(folder, "looks")
    assert looks["rows"] == first["rows"]  # the same rows again are the same look, whatever labels came
    assert looks["labels"]["alpha"] == level(looks["labels"]["number"])
    compared = body(folder, "comparison")
    assert [one["value"] for one in compared["predictions"]] == [0.0, 0.0]  # it answered the test part's rows
    assert 0 < max(one["value"] for one in compared["drift"]) < 0.1
    assert (folder / "figures" / "trend.png").stat().st_size > 5000
    assert service.workspace.registry() == before
    marked = "select distinct value from tags where key = 'assay.monitoring'"
    assert service.workspace.query(marked) == [("tiny",)]
    assert service.workspace.runs()[-2:] == [("FINISHED", "Undecided"), ("FINISHED", "Stable")]


def test_shifted_rows_have_drifted_start_one_retraining_and_are_told(
    service: Service, notices: list[str]
) -> None:
    """Everyone is eight years older and works five hours more."""
    moved = [pl.col("age") + 8, pl.col("hours-per-week") + 5, pl.col("education-num") + 2]
    moved += [pl.lit("Private").alias("workclass"), pl.lit("Husband").alias("relationship")]
    service.watch(**WATCHED)
    service.label(service.serve(lambda rows: rows.with_columns(moved)))
    with deployed(service.assay.api, "retrain", "tiny") as runs:
        told = [service.look() for _ in range(2)]
        (started,) = runs()
    for done, folder in told:
        assert done.code == 3, done
        assert "Drifted" in done.lines
        assert "drift: 5 of 14 columns (36%) drifted > maximum_drifted_share 30%" in done.output
        assert "age: " in done.output  # some are above the plan's 90 years
        announced = body(folder, "announcement")
        assert announced["event"] == "assay.drift"
        assert announced["retrain"] == started
    assert told_of(notices, "Assay: tiny version 1 Drifted", "5 of 14 columns (36%) drifted")


def test_planted_unfairness_alarms_with_its_bound(service: Service) -> None:
    """Every man is answered >50K, 5 women in 100 are: the gap is 0.95 at least but for a few women."""
    positive = pl.when(service.rows["sex"] == "Male").then(pl.lit(">50K"))
    service.watch(**WATCHED)
    service.label(
        service.serve(
            answered=lambda told: told.with_columns(positive.otherwise("prediction").alias("prediction"))
        )
    )
    done, folder = service.look()
    assert done.code == 3, done
    assert "Alarmed" in done.lines
    (judged,) = body(folder, "verdicts")["judged"]
    assert judged["verdict"] == "FAIL"
    assert judged["alpha"] == level(body(folder, "looks")["labels"]["number"])
    women = service.answers.filter(service.rows["sex"] == "Female")["prediction"]
    assert judged["measurement"] == pytest.approx(1 - (women == ">50K").mean())
    assert 0.5 < judged["low"] < judged["measurement"]
    assert f"> limit 0.5 (Male vs Female, n=2500): at least {judged['low']:.3f}" in done.output
    assert body(folder, "announcement")["event"] == "assay.alarm"
    assert "Retrain     no deployment retrain/tiny is there to start: assay retrain tiny" in done.lines


def test_new_files_of_the_datas_own_format_are_predicted_by_the_champion(service: Service) -> None:
    service.watch(rows="test.csv", minimum_rows=1000)
    done, folder = service.look()
    assert done.code == 0, done
    assert [one["value"] for one in body(folder, "comparison")["predictions"]] == [0.0, 0.0]
    assert body(folder, "rows")["labelled"] == 2500
    recorded = json.loads((service.workspace.dossiers()[0] / "cube.json").read_bytes())
    assert json.loads((folder / "cube.json").read_bytes()) == recorded


def test_too_few_rows_and_what_is_no_log_are_never_stable(service: Service) -> None:
    service.watch(**WATCHED)
    service.serve(version="7")
    done, folder = service.look()
    assert done.code == 3, done
    assert "2500 rows, and none of the champion, version 1; `model_version` names: 7" in done.output
    assert steps(folder) == ["champion", "ending"]
    service.serve(lambda rows: rows[:999], lambda told: told[:999])
    done, folder = service.look()
    assert done.code == 4, done
    assert "999 new rows, operations.monitoring.minimum_rows 1000: too few to judge" in done.lines
    assert steps(folder) == ["champion", "rows", "ending"]  # nothing was spent


def test_a_champion_that_cannot_be_relied_on_is_a_crash_on_record(workspace: Workspace, assay: Assay) -> None:
    document = workspace.document()
    document["operations"]["monitoring"] = WATCHED
    workspace.write(document)
    for name in ("raw", "prepared"):
        shutil.rmtree(workspace.top / "data" / "tiny" / name)
    (workspace.top / "train.csv").unlink()
    gone = assay(workspace.top, "monitor", "tiny", ASSAY_MIRROR="")
    assert gone.code == 1, gone
    assert "train.csv" in gone.errors
    (filed,) = (workspace.top / "var" / "mlartifacts").rglob("dossier/predictions.csv")
    filed.write_bytes(filed.read_bytes()[:-2])
    altered = assay(workspace.top, "monitor", "tiny")
    assert altered.code == 1, altered
    assert "the dossier of tiny version 1 can't be relied on: predictions.csv: record" in altered.errors
    assert workspace.runs()[-2:] == [("FAILED", "Crashed")] * 2
    folders = [path for path in (workspace.top / "var/monitoring/tiny").iterdir() if path.is_dir()]
    assert sorted(steps(folder)[-1] for folder in folders) == ["ending", "ending"]


def test_without_champion_or_without_anything_to_watch(
    blank: Workspace, assay: Assay, notices: list[str]
) -> None:
    absent = assay(blank.top, "monitor", "tiny")
    assert absent.code == 2, absent
    assert "operations.monitoring is absent" in absent.errors
    document = blank.document()
    document["operations"]["monitoring"] = WATCHED
    blank.write(document)
    done = assay(blank.top, "monitor", "tiny")
    assert done.code == 3, done
    assert "'tiny' has no champion to look at" in done.output
    assert blank.runs() == [("FINISHED", "Refused")]
    assert told_of(notices, "Assay: monitor tiny ended as Refused", "'tiny' has no champion to look at")
    document["operations"]["monitoring"] = {"log": "a/*.csv", "rows": "b/*.csv"}
    blank.write(document)
    wrong = assay(blank.top, "monitor", "tiny")
    assert wrong.code == 2, wrong
    assert "one of the two" in wrong.errors
