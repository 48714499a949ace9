"""The ledger in a real MLflow: written before a judgement, read by the next, missed when it is gone."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.evidence.dossier import Dossier
from tasks.evidence.records import Record
from tasks.fairness.allowance import Allowance
from tasks.plan import Plan, load_plan
from tasks.plan.locked import Locked
from tasks.register.client import Connection
from tasks.register.ledger import HEAD, TAG, WEIGHTS, lacking, ledger_problems, spend
from tasks.register.registry import create_version

ROWS = {"test": [f"{i:016x}" for i in range(1000)]}


@pytest.fixture(scope="module")
def plan() -> Plan:
    loaded = load_plan("adult", Path("data"))
    test_set = loaded.judgement.test_set.model_copy(update={"max_judgements": 2})
    return loaded.model_copy(update={"judgement": loaded.judgement.model_copy(update={"test_set": test_set})})


def new_run(connection: Connection) -> str:
    run = connection.client.create_run(connection.experiment("adult"), tags={"assay.model": "adult"})
    return str(run.info.run_id)


def ledger_run(connection: Connection) -> str:
    found = connection.client.search_runs([connection.experiment("adult")], f"tags.`{TAG}` = 'adult'")
    assert len(found) == 1
    return str(found[0].info.run_id)


def test_judgements_are_counted_over_runs(connection: Connection, plan: Plan) -> None:
    first = spend(connection, plan, new_run(connection), ROWS, "a" * 64)
    second = spend(connection, plan, new_run(connection), ROWS, "b" * 64)
    again = spend(connection, plan, new_run(connection), ROWS, "a" * 64)
    third = spend(connection, plan, new_run(connection), ROWS, "c" * 64)
    assert [each.number for each in (first, second, again, third)] == [1, 2, 1, 3]
    assert first.alpha == plan.judgement.alpha / 2
    assert second.rows == 1000
    assert [each.problem for each in (first, second, again)] == ["", "", ""]
    assert "test set used up" in third.problem


def test_room_for_several_models_is_asked_for_before_any_is_trained(
    connection: Connection, plan: Plan
) -> None:
    """Of a budget of two one is spent; weights that were judged need none, known by what made them."""
    run, tags = new_run(connection), {"assay.recipe": "r", "assay.data": "d"}
    for name, value in tags.items():
        connection.client.set_tag(run, name, value)
    other = {**tags, "assay.recipe": "another"}
    assert lacking(connection, plan, ROWS, [tags, other]) == ""
    spend(connection, plan, run, ROWS, "a" * 64)
    assert lacking(connection, plan, ROWS, [tags, other]) == ""
    assert lacking(connection, plan, ROWS, [{WEIGHTS: "a" * 64}, {WEIGHTS: "b" * 64}]) == ""
    expected = "2 models are to be judged, and there is room for 1: each spends one"
    assert lacking(connection, plan, ROWS, [other, other | {"assay.data": "new"}]).startswith(expected)
    assert lacking(connection, plan, ROWS, [{WEIGHTS: "c" * 64}, {WEIGHTS: "b" * 64}]).startswith(expected)
    assert spend(connection, plan, new_run(connection), ROWS, "b" * 64).number == 2  # asking spent nothing


def dossier(folder: Path, plan: Plan, weights: str, allowance: Allowance) -> Path:
    filed = Dossier(folder)
    filed.add("plan", Locked(name="adult", digests=plan.digests, changes=()))
    filed.add("freeze", Frozen(digest=weights))
    filed.add("spending", allowance)
    return folder


class Frozen(Record):
    """What the ledger asks of the record of training."""

    digest: str


def test_the_judgement_of_a_dossier_is_found_in_the_ledger(
    connection: Connection, plan: Plan, tmp_path: Path
) -> None:
    allowance = spend(connection, plan, new_run(connection), ROWS, "a" * 64)
    found = dossier(tmp_path / "a", plan, "a" * 64, allowance)
    assert ledger_problems(connection, "adult", found) == []
    forged = dossier(tmp_path / "forged", plan, "a" * 64, allowance.model_copy(update={"number": 7}))
    assert ledger_problems(connection, "adult", forged) == ["judgement 7 on record, 1 in the ledger of adult"]
    second = spend(connection, plan, new_run(connection), ROWS, "d" * 64)
    assert ledger_problems(connection, "adult", dossier(tmp_path / "d", plan, "d" * 64, second)) == []
    other = dossier(tmp_path / "b", plan, "b" * 64, allowance)
    assert "no judgement of weights bbbb" in ledger_problems(connection, "adult", other)[0]
    withheld = allowance.model_copy(update={"problem": "test set used up"})
    assert ledger_problems(connection, "adult", dossier(tmp_path / "c", plan, "c" * 64, withheld)) == []


def test_people_can_read_it(connection: Connection, plan: Plan) -> None:
    spend(connection, plan, new_run(connection), ROWS, "a" * 64)
    page = connection.client.get_run(ledger_run(connection)).data.tags["mlflow.note.content"]
    assert "| 0 (1,000 rows) |" in page
    assert "0.5 of alpha" in page


def test_a_missing_ledger_of_a_judged_model_is_a_problem(connection: Connection, plan: Plan) -> None:
    spend(connection, plan, new_run(connection), ROWS, "a" * 64)
    ledger = ledger_run(connection)
    connection.client.delete_run(ledger)
    problem = spend(connection, plan, new_run(connection), ROWS, "b" * 64).problem
    assert "is missing" in problem
    assert f"MLFLOW_TRACKING_URI={connection.uri} and `mlflow runs restore --run-id {ledger}`" in problem
    # The command as it is told, in a shell of its own.
    said = re.search(r"(MLFLOW_TRACKING_URI=\S+) and `mlflow (.*?)`", problem)
    assert said is not None
    address, command = said.groups()
    done = subprocess.run(
        [sys.executable, "-m", "mlflow", *command.split()],
        env=os.environ | dict([address.split("=", 1)]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    after = spend(connection, plan, new_run(connection), ROWS, "b" * 64)
    assert (after.number, after.problem) == (2, "")


def test_deleting_every_trace_of_a_judgement_opens_no_new_budget(connection: Connection, plan: Plan) -> None:
    judged = new_run(connection)
    spend(connection, plan, judged, ROWS, "a" * 64)
    ledger = ledger_run(connection)
    for run in (judged, ledger):
        connection.client.delete_run(run)
    assert ledger in spend(connection, plan, new_run(connection), ROWS, "b" * 64).problem
    connection.client._tracking_client.store._hard_delete_run(ledger)  # what `mlflow gc` does
    assert "from a backup" in spend(connection, plan, new_run(connection), ROWS, "b" * 64).problem


def test_a_missing_ledger_of_a_registered_model_is_a_problem(
    connection: Connection, plan: Plan, tmp_path: Path
) -> None:
    create_version(connection, "adult", "0" * 32, tmp_path.as_uri(), {}, "")
    assert "is missing" in spend(connection, plan, new_run(connection), ROWS, "b" * 64).problem


def test_an_altered_ledger_is_a_problem(connection: Connection, plan: Plan, tmp_path: Path) -> None:
    spend(connection, plan, new_run(connection), ROWS, "a" * 64)
    run = ledger_run(connection)
    path = Path(connection.client.download_artifacts(run, "ledger.json", str(tmp_path)))
    path.write_text(path.read_text().replace("0.5", "0.05"))
    connection.client.log_artifact(run, str(path))
    assert "changed by other hands" in spend(connection, plan, new_run(connection), ROWS, "b" * 64).problem


def test_two_ledgers_are_a_problem(connection: Connection, plan: Plan) -> None:
    spend(connection, plan, new_run(connection), ROWS, "a" * 64)
    connection.client.create_run(connection.experiment("adult"), tags={TAG: "adult"})
    assert "2 ledgers" in spend(connection, plan, new_run(connection), ROWS, "a" * 64).problem


def test_a_kill_while_writing_leaves_a_ledger_that_can_be_read(connection: Connection, plan: Plan) -> None:
    spend(connection, plan, new_run(connection), ROWS, "a" * 64)
    run = ledger_run(connection)
    head = connection.client.get_run(run).data.tags[HEAD]
    connection.client.set_tag(run, HEAD, f"{head} {'f' * 64}")  # killed before the file was replaced
    assert spend(connection, plan, new_run(connection), ROWS, "b" * 64).number == 2


def test_a_kill_before_the_first_file_is_there_spends_nothing(
    connection: Connection, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(type(connection.client), "log_artifact", killed)
        with pytest.raises(KeyboardInterrupt):
            spend(connection, plan, new_run(connection), ROWS, "a" * 64)
    allowance = spend(connection, plan, new_run(connection), ROWS, "b" * 64)
    assert (allowance.number, allowance.problem) == (1, "")


def test_a_ledger_whose_tag_or_file_is_gone_is_a_problem(connection: Connection, plan: Plan) -> None:
    spend(connection, plan, new_run(connection), ROWS, "a" * 64)
    run = ledger_run(connection)
    (file,) = Path(connection.client.get_run(run).info.artifact_uri.removeprefix("file://")).glob("*.json")
    content = file.read_bytes()
    file.unlink()
    assert "is gone" in spend(connection, plan, new_run(connection), ROWS, "b" * 64).problem
    file.write_bytes(content)
    connection.client.delete_tag(run, HEAD)
    assert "is missing" in spend(connection, plan, new_run(connection), ROWS, "b" * 64).problem
