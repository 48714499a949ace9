"""A page's figures against a small dossier: what is changed, stale or typed by hand is named."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.documents.clauses import ANNEX_IV, Held, answers
from tasks.documents.proof import page_problems
from tasks.documents.render import PAGES, check_documents, write_documents
from tasks.documents.said import WAYS
from tasks.documents.sourced import Evidence, Sourced
from tasks.errors import EvidenceError, PlanError
from tasks.evidence.dossier import Dossier
from tasks.evidence.records import Record
from tasks.mitigate.records import Decision
from tasks.plan.load import load_plan, read_statements
from tasks.plan.locked import lock
from tasks.plan.statements import Statements
from tasks.privacy.records import Mechanism, Spent
from tasks.train.records import Trained

LARGE = shutil.ignore_patterns("raw", "prepared")
TEMPLATES = Path(__file__).parents[2] / "tasks" / "documents" / "pages"


class Ending(Record):
    """The end of a run, as flows/run.py files it."""

    ending: str
    message: str


@pytest.fixture
def crashed(tmp_path: Path) -> Path:
    """The dossier of a run that crashed before anything was recorded but its end."""
    Dossier(tmp_path).add("ending", Ending(ending="Crashed", message="OSError: 3 disks full"))
    return tmp_path


def test_pages_of_a_run_that_judged_nothing_say_so(crashed: Path) -> None:
    names = {path.name for path in write_documents(crashed)}
    assert names == {"tables.json", *PAGES[:3]}
    audit = (crashed / "documents" / "audit.html").read_text()
    assert "Nothing was judged" in audit
    assert ">OSError: 3 disks full</data>" in audit
    assert "PASS</span>" not in audit
    assert check_documents(crashed) == []


def test_a_page_without_its_evidence_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="a page without evidence says nothing"):
        write_documents(tmp_path)


@pytest.mark.parametrize(
    ("found", "written", "told"),
    [
        ("OSError: 3 disks full</data>", "OSError: 2 disks full</data>", "the page 'OSError: 2 disks full'"),
        ("<h2>Verdicts</h2>", "<h2>Verdicts</h2>\n<p>4 of 4 PASS</p>", "typed by hand"),
        ("#/body/message", "#/body/nothing", "has nothing at /body/nothing"),
        ("records/00-ending.json#/body/message", "../../etc/passwd#/body/message", "which the dossier lacks"),
        ('data-as="text"', 'data-as="x"', "said as 'x'"),
        ("Nothing was judged", "All was judged", "is not what the evidence gives"),
    ],
)  # fmt: skip
def test_a_changed_page_is_named(crashed: Path, found: str, written: str, told: str) -> None:
    write_documents(crashed)
    page = crashed / "documents" / "audit.html"
    text = page.read_text()
    assert found in text
    page.write_text(text.replace(found, written, 1))
    (problem,) = check_documents(crashed)
    assert problem.startswith("documents/audit.html: line ")
    assert told in problem


def test_a_page_is_stale_after_a_record_was_appended(crashed: Path) -> None:
    write_documents(crashed)
    page = (crashed / "documents" / "audit.html").read_text()
    Dossier(crashed).add("ending", Ending(ending="Refused", message="seen again"))
    assert all("documents/" in problem for problem in check_documents(crashed))
    assert len(check_documents(crashed)) == 3
    (crashed / "records" / "00-ending.json").write_text("{}")
    assert "is stale: records/00-ending.json was changed" in page_problems(page, crashed)[0]
    with pytest.raises(EvidenceError):
        check_documents(crashed)


def test_altered_tables_are_named_and_a_check_writes_nothing(crashed: Path) -> None:
    write_documents(crashed)
    tables = crashed / "documents" / "tables.json"
    tables.write_text('{"sets": [ ]}')
    (problem,) = check_documents(crashed)
    assert problem == "documents/tables.json: line 1 is not what the evidence gives"
    assert tables.read_text() == '{"sets": [ ]}'


def test_a_missing_page_is_named(crashed: Path) -> None:
    write_documents(crashed)
    (crashed / "documents" / "annex_iv.html").unlink()
    assert check_documents(crashed) == [
        "documents/annex_iv.html: is missing; `assay documents --write` makes it"
    ]


FROZEN = Trained(
    folder="model",
    files=(),
    digest="ab" * 32,
    history=(),
    best_epoch=3,
    validation={"accuracy": 0.86},
    parameters=2_000,
    flops=10**6,
    device="cpu",
    threads=1,
    torch="2.13.0",
    fit_rows=2_700,
    validation_rows=500,
)
DECISION = Decision(
    attribute="sex",
    columns=("sex",),
    groups=(),
    accuracy=0.84,
    accuracy_before=0.85,
    notes=("The common threshold is kept by X (7): fewer than 50 validation rows",),
    sentence="Decides by sex: thresholds 0.41 for Female, 0.50 for Male",
)
SPENT = Spent(epsilon=2.98, delta=1e-5, clip=1.0, mechanism=Mechanism(noise=1.25, rate=0.01, steps=800))


def model_card(folder: Path, **more: Any) -> str:
    """The page of a run that froze a model of Adult's plan, and was ended then."""
    dossier, plans = Dossier(folder), TEMPLATES.parents[2] / "data"
    dossier.add("plan", lock(load_plan("adult", plans), (), plans, folder))
    dossier.add("freeze", FROZEN.model_copy(update=more))
    dossier.add("ending", Ending(ending="Crashed", message="OSError: disk full"))
    write_documents(folder)
    page = (folder / "documents" / "model_card.html").read_text()
    return re.sub(r"<[^>]*>", "", page)


def test_a_model_card_tells_what_was_promised_what_is_read_and_which_rows_were_made(tmp_path: Path) -> None:
    page = model_card(
        tmp_path, decision=DECISION, privacy=SPENT, made_rows=120, made_by={"resampling": 70, "synthesis": 50}
    )
    assert "Differentially private: accountant: rdp; " in page
    assert "delta: 1e-05; epsilon: 2.98; mechanism.noise: 1.25;" in page
    assert "Each decision reads a protected attribute. accuracy: 0.84; accuracy_before: 0.85; " in page
    assert "sentence: Decides by sex: thresholds 0.41 for Female, 0.50 for Male" in page
    assert "notes: The common threshold is kept by X (7): fewer than 50" in page
    made = "made by {}{} of the rows learned from: {}; no row for validation or testing is made"
    assert made.format("resampling", 70, "drawn again") in page
    assert made.format("synthesis", 50, "generated") in page


def test_a_model_card_says_none_of_it_of_a_plain_model(tmp_path: Path) -> None:
    page = model_card(tmp_path)
    assert "2,700 rows; 500 for validation" in page
    assert not re.search("Differentially private|reads a protected attribute|made by", page)


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_no_template_holds_a_figure(path: Path) -> None:
    """Digits stand within a law's name alone; all else must come from the evidence."""
    text = re.sub(r"<cite>.*?</cite>|\{[{%].*?[%}]\}|<[^>]*>", "", path.read_text(), flags=re.DOTALL)
    assert re.search(r"\d", text) is None


def test_a_value_knows_its_place() -> None:
    one = Sourced({"a/b": [{"c~d": 0.123456}]}, "records/00-x.json", "f" * 64)["a/b"][0]["c~d"]
    assert one.at == "/a~1b/0/c~0d"
    assert str(one.shown("key")).endswith(">c~d</data>")
    assert str(one.shown("number")) == (
        '<data value="0.123456" data-as="number" data-from="records/00-x.json#/a~1b/0/c~0d" '
        f'data-sha256="{"f" * 64}">0.1235</data>'
    )


@given(st.text(max_size=40))
def test_what_comes_from_data_is_shown_as_text(value: str) -> None:
    shown = str(Sourced(value, "x.json", "0" * 64).shown("text"))
    inner = shown.partition(">")[2].removesuffix("</data>")
    assert "<" not in inner
    assert shown.count("<") == 2


def test_a_clause_is_complete_only_with_records_and_statement(crashed: Path) -> None:
    held = {one.clause.number: one.held for one in answers(Evidence(crashed), None)}
    assert set(held.values()) == {Held.MISSING}
    stated = Sourced({"risk_management": "A committee."}, "statements.json", "0" * 64)
    held = {one.clause.number: one.held for one in answers(Evidence(crashed), stated)}
    assert held.pop("5") is Held.COMPLETE
    assert set(held.values()) == {Held.MISSING}
    Dossier(crashed).add("environment", Ending(ending="", message=""))
    stated = Sourced({"hardware": "A GPU."}, "statements.json", "0" * 64)
    held = {one.clause.number: one.held for one in answers(Evidence(crashed), stated)}
    assert (held["1(c)"], held["1(e)"], held["2(c)"]) == (Held.COMPLETE, Held.COMPLETE, Held.PARTLY)


def test_every_clause_can_be_answered() -> None:
    keys = set(Statements.model_fields)
    assert {clause.stated for clause in ANNEX_IV if clause.stated} == keys - {"distributed"}
    assert all(clause.steps or clause.stated for clause in ANNEX_IV)
    assert "key" not in WAYS


def test_statements_that_can_not_be_read_are_refused_all_at_once(tmp_path: Path) -> None:
    assert read_statements(tmp_path) is None
    (tmp_path / "statements.yaml").write_text("risk: none\nhardware: ''\n")
    with pytest.raises(PlanError) as refused:
        read_statements(tmp_path)
    assert len(refused.value.problems) == 2


def test_statements_are_read_with_the_plan(tmp_path: Path) -> None:
    shutil.copytree(TEMPLATES.parents[2] / "data" / "adult", tmp_path / "adult", ignore=LARGE)
    assert load_plan("adult", tmp_path).name == "adult"
    (tmp_path / "adult" / "statements.yaml").write_text("- intended_purpose: a list\n")
    with pytest.raises(PlanError, match=r"statements\.yaml"):
        load_plan("adult", tmp_path)
