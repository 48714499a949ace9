"""A retraining on personal data leaves none of it anywhere; who is forgotten is gone, as a replay tells."""

from __future__ import annotations

import hashlib
import json

import pytest

from tasks.privacy.keys import Key, file_mark
from tasks.privacy.sweep import sweep
from tasks.privacy.tokens import token

from .conftest import Assay, Workspace, body
from .tiny import ROWS

SECRET = hashlib.sha256(b"of this test").digest()
KEY = Key(SECRET, "tiny")
EMAIL, NAME, SSN = "zelda.quimby@planted.example", "Zelda Quimby", "536-90-4399"
NOTE = f"Called {NAME} about her number {SSN}"


@pytest.fixture(scope="module")
def personal(unrun: Workspace, assay: Assay, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """After a retrain on Adult with a customer and a note in each row, whose raw files are elsewhere."""
    top = tmp_path_factory.mktemp("personal")
    workspace = unrun.copy_to(top / "workspace")
    document = workspace.document()
    judgement = document["judgement"]
    names = b"zelda\nquimby\nhomer\n"
    (workspace.plan.parent / "names.txt").write_bytes(names)
    (top / "origin").mkdir()
    for source in judgement["data"]["sources"]:
        lines = []
        for number, row in enumerate(workspace.rows(source["part"])):
            customer = f"{source['part']}{number // 2}@planted.example"
            note = f"Homer at 10.0.{number // 200}.{number % 200}" if number % 50 == 0 else "nothing to say"
            if source["part"] == "test" and number in (6, 7):
                customer, note = EMAIL, NOTE
            lines.append(", ".join([*row[:-1], customer, note, row[-1]]))
        content = ("\n".join(lines) + "\n").encode()
        (workspace.top / source["name"]).unlink()
        path = top / "origin" / source["name"]
        path.write_bytes(content)
        source |= {"sha256": file_mark(KEY, hashlib.sha256(content).hexdigest()), "origins": [path.as_uri()]}
    judgement["data"]["columns"] |= {"customer": {"type": "category"}, "note": {"type": "category"}}
    judgement["unit"] = "customer"
    judgement["privacy"] = {
        "columns": {"customer": "token"},
        "texts": ["note"],
        "recognise": ["email", "national", "ip", "name"],
        "names": {"file": "names.txt", "sha256": hashlib.sha256(names).hexdigest()},
        "quasi_identifiers": ["age"],
    }
    document["recipe"]["features"]["exclude"] = ["customer", "note"]
    workspace.write(document)
    done = assay(workspace.top, "retrain", "tiny", ASSAY_PRIVACY_KEY=SECRET.hex())
    assert done.code == 0, done
    return workspace


def test_nothing_personal_is_left_anywhere(personal: Workspace, assay: Assay) -> None:
    raw = (personal.top.parent / "origin" / "test.csv").read_bytes()
    values = [EMAIL, NAME, SSN, "test9@planted.example", SECRET.hex(), hashlib.sha256(raw).hexdigest()]
    left = sweep(values, personal.top, assay.scratch)
    assert [(one.path.as_posix(), values[one.value][:5], one.how) for one in left] == []
    # The same search does see what stands there instead, in all of these, and the values where they are.
    held = {
        one.path.relative_to(personal.top).parts[0]
        for one in sweep([token(KEY, "customer", EMAIL)], personal.top)
    }
    assert held >= {"data", ".dvc"}
    # MLflow's and Prefect's own databases are among them; that a leak into these is seen, and into what else
    # a step may write, is shown in tests/privacy/test_leaks.py and tests/register/test_leaks.py.
    named = {one.path.name for one in sweep(["tiny"], personal.top / "var", assay.scratch)}
    assert named >= {"mlflow.db", "prefect.db"}
    assert {one.value for one in sweep(values, personal.top.parent / "origin")} == {0, 1, 2, 3}


def test_what_is_left_is_recorded(personal: Workspace) -> None:
    dossier = personal.dossiers()[-1]
    data = body(dossier, "data")
    assert data["privacy"]["fingerprint"] == KEY.fingerprint
    assert data["privacy"]["replaced"]["NATIONAL"] == 2
    assert data["privacy"]["replaced"]["NAME"] == 4 + sum(ROWS.values()) // 50
    hidden = body(dossier, "representativeness")["anonymity"]
    assert hidden["rows"] == sum(ROWS.values())
    assert hidden["quasi_identifiers"][-1] == "column age"
    assert hidden["smallest_k"] >= 1


def test_a_forgotten_person_is_gone_and_a_replay_says_so(personal: Workspace, assay: Assay) -> None:
    wrong = assay(
        personal.top, "forget", "tiny", "--unit", "nobody@planted.example", ASSAY_PRIVACY_KEY=SECRET.hex()
    )
    assert wrong.code == 2
    assert "no row of the pinned version has this unit: nothing was done" in wrong.errors
    assert "nobody" not in wrong.errors
    done = assay(personal.top, "forget", "tiny", "--unit", EMAIL, ASSAY_PRIVACY_KEY=SECRET.hex())
    assert done.code == 0, done
    assert "2 rows of the pinned version" in done.output
    stones = json.loads((personal.plan.parent / "forgotten.json").read_text())
    assert [stone["by"] for stone in stones["gone"]] == ["unit"]
    assert sweep([EMAIL], personal.top) == []
    assert sweep([token(KEY, "customer", EMAIL)], personal.top / "data", personal.top / ".dvc") == []

    again = assay(personal.top, "replay", "tiny@champion", ASSAY_PRIVACY_KEY=SECRET.hex())
    assert again.code == 4, again
    assert "Rebuilt in part" in again.output
    assert "data/tiny/forgotten.json" in again.output
    assert f"2 of {ROWS['test']} rows are gone" in again.output
    assert f"{ROWS['test'] - 2} of {ROWS['test']} rows predicted again, each the same" in again.output
    keyless = assay(personal.top, "replay", "tiny@champion")
    assert keyless.code == 4, keyless
    assert "not predicted again: plan tiny: the key" in keyless.output
    assert "1 limits judged again" in keyless.output
