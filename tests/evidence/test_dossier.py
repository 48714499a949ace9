"""The chain of records: what was changed, removed, reordered or cut is named."""

import json
from pathlib import Path

import pytest

from tasks.errors import EvidenceError, Refusal
from tasks.evidence.digest import canonical_json, digest_file, write_atomically
from tasks.evidence.dossier import NO_PREVIOUS, Dossier, body_of, check_files, read_chain
from tasks.evidence.records import FileRef, Record


class Finding(Record):
    """A step's record."""

    value: int
    problems: tuple[str, ...] = ()


@pytest.fixture
def dossier(tmp_path: Path) -> Dossier:
    dossier = Dossier(tmp_path / "run")
    dossier.add("plan", Finding(value=1))
    (dossier.folder / "cube.json").write_text("{}")
    dossier.add("cube", Finding(value=2))
    dossier.add("ending", Finding(value=3))
    return dossier


def test_each_record_names_the_one_before(dossier: Dossier) -> None:
    entries = list(read_chain(dossier.folder))
    paths = sorted((dossier.folder / "records").iterdir())
    assert [p.name for p in paths] == ["00-plan.json", "01-cube.json", "02-ending.json"]
    assert entries[0].previous == NO_PREVIOUS
    assert entries[2].previous == digest_file(paths[1])
    assert dossier.head == digest_file(paths[2])
    assert body_of(entries, "cube")["value"] == 2
    assert check_files(dossier.folder, entries) == []


def test_the_same_steps_give_the_same_head(dossier: Dossier, tmp_path: Path) -> None:
    again = Dossier(tmp_path / "again")
    again.add("plan", Finding(value=1))
    (again.folder / "cube.json").write_text("{}")
    again.add("cube", Finding(value=2))
    again.add("ending", Finding(value=3))
    assert again.head == dossier.head


@pytest.mark.parametrize("tampering", ["edit", "delete", "reorder"])
def test_tampering_names_the_first_bad_record(dossier: Dossier, tampering: str) -> None:
    records = dossier.folder / "records"
    if tampering == "edit":
        path = records / "00-plan.json"
        path.write_text(path.read_text().replace('"value": 1', '"value": 7'))
    elif tampering == "delete":
        (records / "01-cube.json").unlink()
    else:
        (records / "00-plan.json").rename(records / "09-plan.json")
    with pytest.raises(EvidenceError, match=r"01-cube\.json|02-ending\.json"):
        list(read_chain(dossier.folder))


def test_a_record_that_is_cut_is_refused(dossier: Dossier) -> None:
    path = dossier.folder / "records/01-cube.json"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(EvidenceError, match=r"01-cube\.json: not a record of schema"):
        list(read_chain(dossier.folder))


def test_a_changed_or_missing_file_is_named(dossier: Dossier) -> None:
    entries = list(read_chain(dossier.folder))
    (dossier.folder / "cube.json").write_text("{ }")
    assert "cube.json: record 01-cube.json names SHA-256" in check_files(dossier.folder, entries)[0]
    (dossier.folder / "cube.json").unlink()
    assert check_files(dossier.folder, entries) == ["cube.json: named by record 01-cube.json and missing"]


def test_require_records_before_it_refuses(tmp_path: Path) -> None:
    dossier = Dossier(tmp_path / "run")
    with pytest.raises(Refusal, match="no rows"):
        dossier.require("validation", Finding(value=0, problems=("no rows", "no columns")))
    assert body_of(read_chain(dossier.folder), "validation")["problems"] == ["no rows", "no columns"]


def test_an_opened_dossier_goes_on(dossier: Dossier) -> None:
    again = Dossier(dossier.folder)
    again.add("late", Finding(value=4))
    assert [entry.step for entry in read_chain(dossier.folder)] == ["plan", "cube", "ending", "late"]


def test_a_missing_step_is_said(dossier: Dossier) -> None:
    with pytest.raises(EvidenceError, match="no record of the step 'judgement'"):
        body_of(read_chain(dossier.folder), "judgement")


def test_writing_is_whole_or_nothing(tmp_path: Path) -> None:
    target = tmp_path / "folder/file.json"
    write_atomically(target, b"first")
    target.parent.chmod(0o700)
    write_atomically(target, b"second")
    assert target.read_bytes() == b"second"
    assert [p.name for p in target.parent.iterdir()] == ["file.json"]


def test_canonical_json_refuses_what_json_cannot_hold() -> None:
    assert canonical_json({"b": 1, "a": [1.5, "é"]}) == '{"a":[1.5,"é"],"b":1}'.encode()
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json({"a": float("nan")})


def test_file_refs_are_relative_and_sized(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    ref = FileRef.of(tmp_path / "a", relative_to=tmp_path)
    assert (ref.path, ref.bytes, ref.sha256[:8]) == ("a", 3, "ba7816bf")
    assert json.loads(ref.model_dump_json())["bytes"] == 3
