"""Answers: read from the reviewer's table, signed, and checked before they are taken."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from tasks.errors import PlanError
from tasks.evidence.digest import canonical_json
from tasks.evidence.keys import PublicKey, SigningKey
from tasks.review.records import SCHEMA, Answers, Packet, Signed, Wish

COMMAND = "review"
LONGEST = 1_000_000  # characters of a signed text; a packet of 1,000 decisions takes a tenth of it
SHOWN = 10


@dataclass(frozen=True)
class Asked:
    """What a review asks, and of whom.

    Attributes:
        packet: what was laid before the reviewers.
        head: of the dossier with the packet's record.
        reviewers: name -> public key, as the plan has them.
        classes: that a decision may be.
        author: who started the run.
        answered: names of those who have answered.
        moment: at which answers are looked at, UTC; now where it is None.
    """

    packet: Packet
    head: str
    reviewers: Mapping[str, PublicKey]
    classes: Sequence[str]
    author: str
    answered: Sequence[str] = ()
    moment: datetime | None = None

    def reviewer_of(self, key_id: str) -> str | None:
        """The name that the plan gives to a key."""
        return next((name for name, key in self.reviewers.items() if key.key_id == key_id), None)

    @property
    def overdue(self) -> bool:
        """Whether the time for answers is over."""
        return (self.moment or datetime.now(UTC)) > datetime.fromisoformat(self.packet.deadline)


def target_of(target: str) -> tuple[str, str]:
    """MODEL and REF.

    Raises:
        PlanError: for anything else.
    """
    model, at, ref = target.partition("@")
    if not (model and at and ref):
        problem = f"MODEL@REF is expected, REF a version or an alias (adult@3), found {target!r}"
        raise PlanError(COMMAND, [problem])
    return model, ref


def read_decisions(path: Path, packet: Packet) -> dict[int, str]:
    """The column ``decision`` of a filled-in packet.csv; what is left blank is left out.

    Raises:
        PlanError: for a file that is no such table, or was filled in for another packet.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
        decisions = {int(row["case"]): (row["decision"] or "").strip() for row in rows}
        packets = {row["packet"] for row in rows}
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        problem = (
            f"{path}: packet.csv is expected, its column `decision` filled in: comma-separated UTF-8 with "
            f"the columns packet, case and decision ({type(error).__name__}: {error})"
        )
        raise PlanError(COMMAND, [problem]) from error
    if packets != {packet.digest}:
        found = ", ".join(sorted(f"{one[:12]}…" for one in packets)) or "no row"
        problem = (
            f"{path}: decisions on packet {packet.digest[:12]}… are expected ({packet.model} version "
            f"{packet.version}), found {found}: fill in the table of this version's packet"
        )
        raise PlanError(COMMAND, [problem])
    if len(decisions) != len(rows):
        raise PlanError(COMMAND, [f"{path}: a case stands there more than once"])
    return {case: decision for case, decision in decisions.items() if decision}


def sign(asked: Asked, key: SigningKey, decisions: Mapping[int, str], verdict: Wish, reason: str) -> Signed:
    """Sign a reviewer's answers."""
    answers = Answers(
        model=asked.packet.model,
        version=asked.packet.version,
        packet=asked.packet.digest,
        head=asked.head,
        key=key.key_id,
        decisions=dict(decisions),
        verdict=verdict,
        reason=reason.strip(),
    )
    return Signed(answers=answers, signature=key.sign(signed_bytes(answers)).hex())


def signed_bytes(answers: Answers) -> bytes:
    """What the signature is over: canonical JSON, the schema's name within."""
    return canonical_json(answers.model_dump(mode="json"))


def text_of(signed: Signed) -> str:
    """The signed answers as one line of text, as the form takes them."""
    return canonical_json(signed.model_dump(mode="json")).decode()


def read_text(text: str) -> Signed:
    """Read what :func:`text_of` wrote.

    Raises:
        ValueError: for anything else.
    """
    if len(text) > LONGEST:
        raise ValueError(f"at most {LONGEST:,} characters are expected, found {len(text):,}")
    try:
        return Signed.model_validate_json(text.strip())
    except ValidationError as error:
        places = ", ".join(".".join(map(str, one["loc"])) or one["msg"] for one in error.errors()[:3])
        raise ValueError(
            "the line that `assay review MODEL@VERSION --key ... --answers ...` printed is expected; it does "
            f"not fit in: {places}"
        ) from error


def problems_of(signed: Signed, asked: Asked) -> list[str]:
    """Every reason not to take answers; only what a known key signed is looked at any further."""
    answers = signed.answers
    name = asked.reviewer_of(answers.key)
    if name is None:
        known = ", ".join(asked.reviewers)
        return [f"key {answers.key[:16]}… is none of the plan's reviewers' ({known})"]
    if not asked.reviewers[name].verify(bytes.fromhex(signed.signature), signed_bytes(answers)):
        return [f"the signature is not {name}'s over these answers: something was changed after signing"]
    return [*_who(name, asked), *_what(answers, asked), *_complete(answers, asked)]


def _who(name: str, asked: Asked) -> Iterator[str]:
    if is_author(name, asked.author):
        yield f"{name} started the run: whoever approves it must be somebody else"
    if name in asked.answered:
        yield f"{name} has answered already: the second reviewer must be somebody else"


def is_author(name: str, author: str) -> bool:
    """Whether a reviewer is who started the run, in whatever capitals."""
    return name.strip().casefold() == author.strip().casefold()


def _what(answers: Answers, asked: Asked) -> Iterator[str]:
    packet = asked.packet
    if answers.schema_version != SCHEMA:
        yield f"schema {SCHEMA} is expected, found {answers.schema_version!r}"
    if (answers.model, answers.version) != (packet.model, packet.version):
        yield (
            f"the answers are signed for {answers.model} version {answers.version}, this is the review of "
            f"{packet.model} version {packet.version}: an approval holds for one version"
        )
    elif (answers.packet, answers.head) != (packet.digest, asked.head):
        yield (
            f"the answers are signed for packet {answers.packet[:12]}… and head {answers.head[:12]}…, this "
            f"review's are {packet.digest[:12]}… and {asked.head[:12]}…: answer the packet that is waiting"
        )
    if asked.overdue:
        yield f"the time for answers ended at {packet.deadline}"


def _complete(answers: Answers, asked: Asked) -> Iterator[str]:
    cases = range(1, asked.packet.cases + 1)
    if missing := [case for case in cases if case not in answers.decisions]:
        yield f"no decision on {len(missing)} of {len(cases)} cases: {_few(missing)}"
    if strange := sorted(set(answers.decisions) - set(cases)):
        yield f"the packet has cases 1 to {len(cases)}, found {_few(strange)}"
    if unknown := sorted(set(answers.decisions.values()) - set(asked.classes)):
        yield f"a decision is one of {', '.join(asked.classes)}; found {_few(unknown)}"
    if answers.verdict != "approve" and not answers.reason.strip():
        yield f"`{answers.verdict}` needs a reason"


def _few(found: Sequence[object]) -> str:
    listed = ", ".join(map(str, found[:SHOWN]))
    return listed if len(found) <= SHOWN else f"{listed} and {len(found) - SHOWN} more"
