"""Answers are taken or refused; each reason to refuse is met here, and said."""

from __future__ import annotations

import csv
import json
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tasks.errors import PlanError
from tasks.evidence.keys import SigningKey
from tasks.review.answers import Asked, problems_of, read_decisions, read_text, sign, text_of
from tasks.review.keys import new_key, read_key
from tasks.review.records import Signed

from .conftest import CASES

ALL = dict.fromkeys(range(1, CASES + 1), "yes")
Asking = Callable[..., Asked]
Keys = Mapping[str, SigningKey]


def signed_by(key: SigningKey, asked: Asked, **changes: object) -> Signed:
    given = {"decisions": ALL, "verdict": "approve", "reason": ""} | changes
    return sign(asked, key, **given)  # type: ignore[arg-type]


def test_whole_answers_of_a_reviewer_are_taken(keys: Keys, asking: Asking) -> None:
    asked = asking()
    signed = read_text(text_of(signed_by(keys["berta"], asked)) + "\n")
    assert problems_of(signed, asked) == []
    assert asked.reviewer_of(signed.answers.key) == "berta"


def test_a_key_that_the_plan_does_not_list_is_refused(keys: Keys, asking: Asking) -> None:
    asked = asking()
    (problem,) = problems_of(signed_by(keys["stranger"], asked), asked)
    assert "none of the plan's reviewers' (ada, berta, cleo)" in problem


@pytest.mark.parametrize("field", ["verdict", "reason", "decisions", "key"])
def test_what_was_changed_after_signing_is_refused(keys: Keys, asking: Asking, field: str) -> None:
    asked = asking()
    document = json.loads(text_of(signed_by(keys["berta"], asked, verdict="reject", reason="unfair")))
    other = {"verdict": "approve", "reason": "fair", "decisions": ALL | {1: "no"}, "key": keys["cleo"].key_id}
    document["answers"][field] = other[field]
    (problem,) = problems_of(read_text(json.dumps(document)), asked)
    assert "something was changed after signing" in problem


def test_an_approval_of_another_version_is_refused(keys: Keys, asking: Asking) -> None:
    replayed = signed_by(keys["berta"], asking(version="2"))
    (problem,) = problems_of(replayed, asking(version="3"))
    assert "signed for credit version 2, this is the review of credit version 3" in problem


def test_an_approval_of_another_packet_of_this_version_is_refused(keys: Keys, asking: Asking) -> None:
    asked = asking()
    older = Asked(asked.packet, "c" * 64, asked.reviewers, asked.classes, asked.author)
    (problem,) = problems_of(signed_by(keys["berta"], older), asked)
    assert "answer the packet that is waiting" in problem


def test_whoever_started_the_run_is_refused_in_any_capitals(keys: Keys, asking: Asking) -> None:
    asked = asking()
    (problem,) = problems_of(signed_by(keys["ada"], asked), asked)
    assert "ada started the run" in problem


def test_nobody_answers_twice(keys: Keys, asking: Asking) -> None:
    asked = asking(answered=("berta",))
    (problem,) = problems_of(signed_by(keys["berta"], asked), asked)
    assert "berta has answered already" in problem
    assert problems_of(signed_by(keys["cleo"], asked), asked) == []


def test_all_that_is_missing_or_strange_is_told_at_once(keys: Keys, asking: Asking) -> None:
    asked = asking()
    decisions = {**ALL, 99: "yes", 2: "perhaps"}
    del decisions[7], decisions[8]
    problems = problems_of(
        signed_by(keys["berta"], asked, decisions=decisions, verdict="send-back", reason=" "), asked
    )
    assert problems == [
        "no decision on 2 of 20 cases: 7, 8",
        "the packet has cases 1 to 20, found 99",
        "a decision is one of no, yes; found perhaps",
        "`send-back` needs a reason",
    ]


def test_answers_that_come_too_late_are_refused(keys: Keys, asking: Asking) -> None:
    asked = asking(hours=-1)
    (problem,) = problems_of(signed_by(keys["berta"], asked), asked)
    assert "the time for answers ended" in problem


@pytest.mark.parametrize("text", ["", "approve", "{}", '{"answers": {}, "signature": "00"}', "[" * 50])
def test_what_is_no_signed_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="the line that `assay review"):
        read_text(text)


def filled(path: Path, packet: str, decisions: Mapping[int, str]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["packet", "case", "age", "decision"])
        writer.writerows([packet, case, 30, decision] for case, decision in decisions.items())
    return path


def test_the_filled_in_table_is_read(asking: Asking, tmp_path: Path) -> None:
    packet = asking().packet
    path = filled(tmp_path / "packet.csv", packet.digest, {1: " yes ", 2: ""})
    assert read_decisions(path, packet) == {1: "yes"}


def test_the_table_of_another_packet_is_refused(asking: Asking, tmp_path: Path) -> None:
    packet = asking().packet
    with pytest.raises(
        PlanError, match=r"decisions on packet aaaaaaaaaaaa… are expected .*found cccccccccccc…"
    ):
        read_decisions(filled(tmp_path / "packet.csv", "c" * 64, ALL), packet)
    (tmp_path / "other.csv").write_text("case;decision\n1;yes\n")
    with pytest.raises(PlanError, match="its column `decision` filled in"):
        read_decisions(tmp_path / "other.csv", packet)


def test_a_reviewers_key_is_theirs_alone_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "me.pem"
    public = new_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_key(path).public == public
    with pytest.raises(PlanError, match="is there already"):
        new_key(path)
    with pytest.raises(PlanError, match="nowhere is no folder"):
        new_key(tmp_path / "nowhere" / "me.pem")
    path.chmod(0o644)
    with pytest.raises(PlanError, match="others may read it"):
        read_key(path)
    path.chmod(0o600)
    path.write_text("no key")
    with pytest.raises(PlanError, match="it can't be read as one"):
        read_key(path)
