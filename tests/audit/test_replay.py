"""Replay of an audit: it rebuilds every number, and names whatever was tampered with."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.audit.audit import Asked, audit
from tasks.audit.replay import replay
from tasks.audit.store import read_audit, write_audit
from tasks.errors import EvidenceError, PlanError
from tasks.evidence.digest import canonical_json, digest_of

from .conftest import Write, asked


@pytest.fixture
def record(compas: Asked, tmp_path: Path) -> Path:
    path = tmp_path / "audit.json"
    write_audit(audit(compas), path)
    return path


def tampered(record: Path, change: Callable[[Any], object], *, sealed: bool = False) -> Path:
    """The record with a change, as an editor leaves it or with a fitting digest."""
    content = json.loads(record.read_bytes())
    change(content["audit"])
    if sealed:
        content["sha256"] = digest_of(content["audit"])
    record.write_bytes(canonical_json(content))
    return record


def test_every_number_is_rebuilt(record: Path) -> None:
    found = replay(record)
    assert found.mismatches == []
    assert found.recounted
    assert found.notes == []
    assert [one.verdict for one in found.judged] == [one.verdict for one in read_audit(record)[0].judged]


def one_count(content: Any) -> None:
    content["cube"]["counts"][0][0][0][0] += 1


def one_verdict(content: Any) -> None:
    assert content["judged"][0]["verdict"] == "FAIL"
    content["judged"][0]["verdict"] = "PASS"


def one_limit(content: Any) -> None:
    content["limits"]["limits"][0]["limit"] = 0.2


def one_interval(content: Any) -> None:
    content["judged"][1]["groups"][0]["high"] += 1e-6


def the_level(content: Any) -> None:
    content["alpha"] = 0.01


def the_positive_class(content: Any) -> None:
    content["positive"] = "0"


def one_law(content: Any) -> None:
    content["laws"]["four_fifths"][0]["groups"][0]["finding"] = "undefined"


def one_verdict_less(content: Any) -> None:
    content["judged"].pop()


def one_limit_less(content: Any) -> None:
    content["limits"]["limits"].pop()
    content["judged"].pop()


TAMPERED = [
    (one_count, "cell .*: 3?.* on record"),
    (
        one_verdict,
        r"verdict 1 \(\w+_ratio by race\): verdict: 'PASS' on record, 'FAIL' rebuilt",
    ),
    (one_limit, r"verdict 1 .*: limit: 0.8 on record, 0.2 rebuilt"),
    (one_interval, r"verdict 2 .*: groups\[0\].high"),
    (the_level, "alpha: 0.05 on record, 0.01 rebuilt"),
    (the_positive_class, "positive class '0' on record"),
    (one_law, r"laws: four_fifths\[0\].groups\[0\].finding: 'undefined' on record"),
    (one_verdict_less, "verdicts: 5 on record, the limits make 6"),
    (one_limit_less, "limits: called conventional, and are others"),
]


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize(("change", "named"), TAMPERED)
def test_what_was_tampered_with_is_named(
    record: Path, change: Callable[[Any], object], named: str, *, sealed: bool
) -> None:
    found = replay(tampered(record, change, sealed=sealed))
    told = "\n".join(found.mismatches)
    assert re.search(named, told), told
    assert ("record: sha256" in told) is not sealed


def test_a_count_is_missed_even_without_the_rows(record: Path) -> None:
    """A changed count no longer gives the verdicts' intervals, though nothing can be recounted."""
    tampered(record, one_count, sealed=True)
    tampered(record, lambda content: content["file"].update(path="gone.csv"), sealed=True)
    found = replay(record)
    assert not found.recounted
    assert any("the counts are of" in line for line in found.mismatches)
    assert any("verdict 1" in line for line in found.mismatches)


def test_one_changed_row_is_named(planted: Write, tmp_path: Path) -> None:
    path, record = planted(1_000, 0.1), tmp_path / "audit.json"
    write_audit(audit(asked(path)), record)
    lines = path.read_text().splitlines()
    assert lines[1] == "a,1,1"
    path.write_text("\n".join([lines[0], "a,1,0", *lines[2:]]) + "\n")
    found = replay(record)
    assert "has SHA-256" in found.mismatches[0]
    assert found.mismatches[1:] == [
        "cube: cell a, true 1, predicted 0: 0 on record, 1 recounted",
        "cube: cell a, true 1, predicted 1: 200 on record, 199 recounted",
    ]
    path.write_text("other\n1\n")
    assert any("there is no such column" in line for line in replay(record).mismatches)


def test_the_file_is_found_beside_the_record_or_where_told(planted: Write, tmp_path: Path) -> None:
    path, folder = planted(1_000, 0.1), tmp_path / "elsewhere"
    folder.mkdir()
    write_audit(audit(asked(path)), folder / "audit.json")
    shutil.move(path, tmp_path / "moved.csv")
    alone = replay(folder / "audit.json")
    assert not alone.recounted
    assert "not at hand" in alone.notes[0]
    assert replay(folder / "audit.json", tmp_path / "moved.csv").recounted
    shutil.move(tmp_path / "moved.csv", folder / path.name)
    assert replay(folder / "audit.json").recounted
    with pytest.raises(PlanError, match="there is no file"):
        replay(folder / "audit.json", tmp_path / "gone.csv")


def test_limits_of_a_file_are_compared_with_it(planted: Write, tmp_path: Path) -> None:
    limits, record = tmp_path / "limits.yaml", tmp_path / "audit.json"
    limits.write_text("- {metric: demographic_parity_difference, attribute: group, limit: 0.3}\n")
    write_audit(audit(asked(planted(1_000, 0.1), limits=limits)), record)
    assert f"the limits are those of {limits}" in replay(record).checked
    limits.write_text("- {metric: demographic_parity_difference, attribute: group, limit: 0.1}\n")
    assert any("other bytes than were read" in line for line in replay(record).mismatches)
    limits.unlink()
    assert any("the limits are those on record" in line for line in replay(record).notes)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"audit": 1, "sha256": ""}', b"\xff"])
def test_what_is_no_audit_is_a_wrong_command(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(content)
    with pytest.raises(PlanError, match="an audit"):
        replay(path)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda content: content["judged"][0].update(verdict="GOOD"), r"judged\[0\].verdict"),
        (lambda content: content.update(rows="many"), "rows"),
        (lambda content: content["cube"].update(counts=[[1]]), "cube"),
        (lambda content: content["cube"].pop("labels"), "cube"),
    ],
)
def test_what_can_not_be_an_audit_is_named(record: Path, change: Callable[[Any], object], named: str) -> None:
    with pytest.raises(EvidenceError, match=named) as refused:
        replay(tampered(record, change))
    assert refused.value.exit_code == 3
