"""A review through the whole flow: it waits, takes two signed texts, and moves the alias or leaves it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from mlflow import MlflowClient
from mlflow.tracking._tracking_service.utils import _artifact_repos_cache
from prefect.client.orchestration import get_client
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    PREFECT_LOGGING_TO_API_ENABLED,
    temporary_settings,
)

from flows.answer import answer
from flows.ask import ask
from flows.desk import open_desk
from flows.outcome import Outcome
from flows.review import review
from flows.run import Run
from infra.processes import free_port
from infra.settings import settings
from tasks.errors import PlanError
from tasks.review.records import Wish
from tasks.review.task import send_text

from .conftest import Assay, Done, Workspace, body, steps
from .reviewers import Decide, filled, truly
from .test_replay import rechain

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@dataclass
class Waiting:
    """A review flow that waits, in the process that the command was forked from."""

    workspace: Workspace
    assay: Assay
    keys: Mapping[str, tuple[Path, str]]
    done: list[Done] = field(default_factory=list)
    thread: threading.Thread | None = None

    def start(self) -> None:
        self.thread = threading.Thread(
            target=lambda: self.done.append(self.assay(self.workspace.top, "review", "tiny@2")), daemon=True
        )
        self.thread.start()
        while "assay.review_flow_run" not in self.tags():
            assert self.thread.is_alive(), self.done
            time.sleep(0.2)

    def end(self) -> Done:
        assert self.thread is not None
        self.thread.join()
        return self.done[0]

    def tags(self) -> dict[str, str]:
        return dict(self.workspace.query("select key, value from model_version_tags where version = 2"))

    @property
    def dossier(self) -> Path:
        return self.workspace.dossiers()[-1]

    def fill(self, decide: Decide) -> Path:
        """A filled-in table."""
        return filled(self.workspace.top / "var" / "reviews" / "tiny" / "2" / "packet.csv", decide)

    def answer(self, name: str, decide: Decide, verdict: Wish = "approve", reason: str = "") -> Any:
        return answer("tiny@2", self.keys[name][0], self.fill(decide), verdict, reason)


@pytest.fixture
def waiting(
    awaiting: Workspace,
    assay: Assay,
    keys: Mapping[str, tuple[Path, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Waiting]:
    """A copy of that workspace; this process answers in it."""
    workspace = awaiting.copy_to(tmp_path / "workspace")
    for name, value in {"ASSAY_VAR": "var", "ASSAY_DATA": "data", "PREFECT_HOME": "prefect"}.items():
        monkeypatch.setenv(name, str(workspace.top / value))
    settings.cache_clear()
    _artifact_repos_cache.clear()  # by run: of each copy they lie elsewhere
    yield Waiting(workspace, assay, keys)
    settings.cache_clear()


def test_two_signed_approvals_move_the_alias(waiting: Waiting, assay: Assay) -> None:
    knows = truly(waiting.workspace)
    waiting.start()
    for name, told in {
        "ada": "ada started the run",
        "stranger": "none of the plan's reviewers'",
    }.items():
        with pytest.raises(PlanError, match=told):
            waiting.answer(name, knows)
    with pytest.raises(PlanError, match="no decision on 1 of 24 cases: 7"):
        waiting.answer("berta", lambda row: "" if row["case"] == "7" else knows(row))

    sent = waiting.answer("berta", knows)
    assert (sent.title, sent.exit_code) == ("Sent", 0), sent
    # What went through once is replayed through the form, which authenticates nobody: as it was, and for
    # another version. It is refused, on record, and the review goes on.
    tags, text = waiting.tags(), sent.lines[0]
    for again in (text, text.replace('"version":"2"', '"version":"1"')):
        assert send_text(tags["assay.review_api"], tags["assay.review_flow_run"], again) == ""
    assert waiting.workspace.aliases() == {"champion": 1}
    assert (
        waiting.answer(
            "cleo", lambda row: row["recommendation"] if row["case"] == "3" else knows(row)
        ).exit_code
        == 0
    )

    done = waiting.end()
    assert done.code == 0, done
    assert "tiny@2 is champion: approved by berta and cleo" in done.lines
    assert waiting.workspace.aliases() == {"champion": 2}
    dossier = waiting.dossier
    assert steps(dossier)[-7:] == [
        "ending",
        "review-packet",
        "review-answer",
        "review-refused",
        "review-refused",
        "review-answer",
        "review",
    ]
    flips, drawn = (body(dossier, "review-packet")[name] for name in ("flips", "drawn"))
    assert (flips["by"], drawn.get("counterfactual flip", 0)) == ("own value", min(4, flips["turned"]))
    reviewed = body(dossier, "review")
    assert reviewed["agreement"]["n"] == 18
    assert [share["n"] for share in reviewed["accepted_wrong"]] == [6, 6]
    assert reviewed["judged"][0]["verdict"] == "INCONCLUSIVE"
    assert "Fairness    of the final decisions on these 24 rows" in done.output
    assert waiting.tags()["assay.review"] == "approved"

    replayed = assay(waiting.workspace.top, "replay", "tiny@2")
    assert replayed.code == 0, replayed
    assert "same: review: packet, signatures and figures agree" in replayed.lines
    verified = assay(waiting.workspace.top, "verify", "tiny@2", "--allow-unenrolled")
    assert verified.code == 0, verified

    def forge(step: str, content: dict[str, Any]) -> None:
        if step == "review-answer":
            content["signed"]["answers"]["reason"] = "another"

    rechain(dossier, forge)
    forged = assay(waiting.workspace.top, "replay", str(dossier))
    assert forged.code == 3, forged
    assert "review: the answers of berta: the signature is not berta's over these answers" in forged.output


def test_a_rejection_leaves_the_alias_and_outlives_the_run_in_mlflow(waiting: Waiting, assay: Assay) -> None:
    knows, top = truly(waiting.workspace), waiting.workspace.top
    waiting.start()
    assert waiting.answer("berta", knows).exit_code == 0
    client, run_id = MlflowClient(f"sqlite:///{top / 'var' / 'mlflow.db'}"), waiting.dossier.name
    client.delete_run(run_id)
    assert waiting.answer("cleo", knows, "reject", "too many errors near the threshold").exit_code == 0
    done = waiting.end()
    assert done.code == 1, done
    assert f"run {run_id} of tiny version 2 was deleted in MLflow" in done.errors
    assert "is on record in" in done.errors
    assert "Traceback" not in done.errors
    assert body(waiting.dossier, "review")["outcome"] == "rejected"
    assert waiting.tags()["assay.review"] == "awaits review"

    client.restore_run(run_id)
    filed = assay(top, "review", "tiny@2")
    assert filed.code == 3, filed
    assert "tiny@2 has no alias: cleo: too many errors near the threshold" in filed.lines
    assert waiting.tags()["assay.review"] == "rejected"
    assert waiting.workspace.aliases() == {"champion": 1}
    with pytest.raises(PlanError, match="tiny version 2 was reviewed: rejected"):
        waiting.answer("berta", knows)


def test_without_answers_the_time_runs_out_on_record(waiting: Waiting) -> None:
    with open_desk(settings(), "tiny@2") as desk:
        desk.lay_out()
        with (
            pytest.raises(PlanError, match="waiting already, in another process"),
            open_desk(settings(), "tiny@2"),
        ):
            pass
        assert desk.waits
        desk.close()  # as the flow does where no text came
        desk.file()
    assert (desk.outcome.title, desk.outcome.exit_code) == ("Timed out", 4)
    assert steps(waiting.dossier)[-2:] == ["review-packet", "review"]
    assert waiting.tags()["assay.review"] == "timed out"
    assert waiting.workspace.aliases() == {"champion": 1}


def test_a_deployed_review_that_started_by_itself_is_suspended_until_each_answer(
    waiting: Waiting, assay: Assay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The retraining asked the server for it; where a worker would take it up, `carried_out` does."""
    monkeypatch.chdir(waiting.workspace.top)
    monkeypatch.setenv("PREFECT_API_URL", assay.api)
    with temporary_settings({PREFECT_API_URL: assay.api, PREFECT_LOGGING_TO_API_ENABLED: False}):
        again = ask("review/manual", "", f"review {waiting.dossier.name}", target="tiny@2")
        assert "flow run review tiny@2;" in again.told  # the first one: a second would bear another name
        knows = truly(waiting.workspace)
        for name in ("berta", "cleo"):
            assert carried_out(again.run) == "Suspended"
            assert waiting.workspace.aliases() == {"champion": 1}
            assert waiting.tags()["assay.review_flow_run"] == again.run
            assert waiting.answer(name, knows).title == "Sent"
        assert carried_out(again.run) == "Approved"
    assert waiting.workspace.aliases() == {"champion": 2}


def carried_out(run: str) -> str:
    """Run a deployment's flow run as the process of a worker does; the name of its state then."""
    with get_client(sync_client=True) as client:
        with suppress(Pause):
            run_flow(review, flow_run=client.read_flow_run(UUID(run)))
        state = client.read_flow_run(UUID(run)).state
    return "" if state is None else str(state.name)


def test_a_server_that_ends_with_the_command_is_asked_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PREFECT_API_URL", "ASSAY_TEMPORARY_PREFECT"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/api")
    nothing: Any = None
    awaits = SimpleNamespace(model="tiny", version="3", awaits="champion")
    outcome = Outcome(title="Registered", exit_code=0, lines=("filed",))
    run = Run(*[nothing] * 6, records={"registration": awaits}, _outcome=outcome)
    run.call_reviewers()
    assert run.outcome.lines == ("filed", "Approval    assay review tiny@3")


def test_a_review_that_cannot_be_started_is_told_and_raises_nothing() -> None:
    away = f"http://127.0.0.1:{free_port()}/api"
    with temporary_settings({PREFECT_API_URL: away, PREFECT_CLIENT_MAX_RETRIES: 0}):
        asked = ask("review/manual", "assay review tiny@3", "once", target="tiny@3")
    assert asked.run == ""
    assert asked.told.startswith("review/manual could not be started (")
    assert asked.told.endswith("): assay review tiny@3")
