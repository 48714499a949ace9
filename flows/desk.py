"""A review under way: its dossier on this machine, its packet, the answers taken, and its ending."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from pathlib import Path

from filelock import FileLock, Timeout
from rich.console import Console

from flows.outcome import Outcome
from flows.turns import turn
from infra.settings import Settings
from tasks.documents.render import write_documents
from tasks.errors import EvidenceError, PlanError, Refusal
from tasks.evidence.digest import digest_file
from tasks.evidence.dossier import Dossier
from tasks.evidence.keys import signing_key
from tasks.evidence.records import Record
from tasks.evidence.signature import Signed, sign_dossier
from tasks.ingest.parts import read_part
from tasks.register.client import Connection, connect
from tasks.register.described import describe_review
from tasks.register.register import Filing, give_alias
from tasks.register.registry import Version, resolve, tag_version
from tasks.register.reviews import HEAD, file_records, require_active, succession_problem
from tasks.register.signed import file_signature
from tasks.register.verify import download_dossier
from tasks.replay.forgotten import forgotten_since
from tasks.replay.replay import Replay
from tasks.replay.workspace import pinned_sources, rebuild_dataset
from tasks.review.answers import COMMAND, problems_of, read_text, target_of
from tasks.review.conclude import conclude
from tasks.review.laid import Laid, lay_out
from tasks.review.packet import PAGE, TABLE
from tasks.review.records import ANSWER, PACKET, REFUSED, REVIEW, Answered, Packet, RefusedText, Reviewed
from tasks.review.standing import Standing, require_reviewers
from tasks.review.summary import summary

MOST_REFUSED = 20
"""Texts that may be refused; more of them are no mistakes, and the review ends without counting."""
EXIT = {"approved": 0, "timed out": 4}


@dataclass
class Desk:
    """A review under way.

    Attributes:
        settings: of the environment.
        connection: MLflow.
        version: under review.
        folder: its dossier on this machine.
    """

    settings: Settings
    connection: Connection
    version: Version
    folder: Path

    @property
    def standing(self) -> Standing:
        """How the review stands, read anew."""
        return Standing.of(self.folder)

    @property
    def target(self) -> str:
        """MODEL@VERSION."""
        return f"{self.version.name}@{self.version.version}"

    @property
    def place(self) -> Path:
        """Where the packet lies; it holds persons' data, and is no part of the dossier."""
        return self.settings.var / "reviews" / self.version.name / self.version.version

    @cached_property
    def laid(self) -> Laid:
        """The drawn decisions with all that is known of them, from the rows as pinned."""
        standing = self.standing
        plan, here = standing.plan, self.settings.data / standing.plan.name
        if told := forgotten_since(plan, here):
            raise Refusal(f"the packet can't be made of the rows that were judged: {told}")
        pinned = pinned_sources(Replay(standing.folder, standing.entries, plan))
        with tempfile.TemporaryDirectory(prefix="assay-review-") as scratch:
            dataset = rebuild_dataset(plan, pinned, here, self.settings.mirror, Path(scratch))
            read = partial(read_part, dataset, judgement=plan.judgement)
            return lay_out(standing, read("test"), partial(read, "train"))

    def lay_out(self) -> Packet:
        """Make the packet, put it on record, and leave it where the reviewers get it.

        Raises:
            EvidenceError: if it is not the one on record.
        """
        packet = self.standing.packet
        if packet is None:
            require_active(self.connection, self.version, self.folder)
            until = datetime.now(UTC) + timedelta(hours=self.standing.review.hours)
            packet = self.laid.packet(until.isoformat(timespec="seconds"))
            self.laid.kept.write(self.folder)
            self._add(PACKET, packet)
        self.laid.require_recorded(packet)
        self.laid.write(packet, self.place)
        return packet

    def wait_here(self, packet: Packet, flow_run_id: str, api: str) -> None:
        """Say in MLflow where answers are waited for, and on which packet."""
        if not self.standing.answers and not self.standing.refused:
            self._file({"assay.review": "awaits review"})
        where = {"assay.review_flow_run": flow_run_id, "assay.review_api": api}
        tag_version(self.connection, self.version.name, self.version.version, where)
        _say(f"Packet      {(self.place / PAGE).as_posix()} and {TABLE}")
        how = f"assay review {self.target} --key FILE --answers {TABLE} --verdict ..."
        _say(f"Waiting     for two signed answers until {packet.deadline}: {how}")

    @property
    def waits(self) -> bool:
        """Whether answers are still to come."""
        standing = self.standing
        return not (standing.reviewed or standing.complete or standing.refused >= MOST_REFUSED)

    def take(self, text: str) -> None:
        """Take a signed text as a reviewer's answers, or put on record why not.

        MLflow's copy of the dossier gets the answers when all are in: who answers second must not read them.
        """
        asked = self.standing.asked
        try:
            signed = read_text(text)
            problems = problems_of(signed, asked)
        except ValueError as error:
            signed, problems = None, [str(error)]
        if signed is None or problems:
            digest = hashlib.sha256(text.encode()).hexdigest()
            self._add(REFUSED, RefusedText(digest=digest, problems=tuple(problems)))
            _say(f"Refused     {'; '.join(problems)}")
            return
        reviewer = asked.reviewer_of(signed.answers.key)
        assert reviewer is not None  # noqa: S101 - a key that nobody has is a problem
        self._add(ANSWER, Answered(reviewer=reviewer, signed=signed))
        _say(f"Taken       the answers of {reviewer}")

    def close(self) -> None:
        """Put on record how the review ended; what follows from it is for `file`."""
        standing = self.standing
        found = conclude(standing.answers, self.laid.asking)
        if found.outcome == "timed out" and standing.refused >= MOST_REFUSED:
            because = f"{standing.refused} texts were refused: somebody sends what is no review"
            found = found.model_copy(update={"outcome": "not counted", "because": because})
        if found.outcome == "approved":
            problem = succession_problem(self.connection, standing.registration)
            given = (
                {"because": f"{found.because}; {problem}"} if problem else {"alias": standing.awaits.alias}
            )
            found = found.model_copy(update=given)
        self._add(REVIEW, found)

    @property
    def reviewed(self) -> Reviewed:
        """How it ended."""
        reviewed = self.standing.reviewed
        assert reviewed is not None  # noqa: S101 - `close` came before
        return reviewed

    def file(self) -> None:
        """Bring MLflow up to date with what is on record; an approved version gets its alias.

        Raises:
            RegistryError: when the run was deleted, or another version became champion meanwhile.
        """
        reviewed = self.reviewed
        self._file({"assay.review": reviewed.outcome, "assay.review_because": reviewed.because})
        if reviewed.alias is not None:
            registration = self.standing.registration.model_copy(update={"alias": reviewed.alias})
            filing = Filing(self.connection, self.version.run_id, self.settings.var / "locks", {})
            with turn(f"promote {self.version.name}"):
                give_alias(filing, registration)
        describe_review(self.connection, self.version, reviewed.outcome, reviewed.because, reviewed.alias)

    @property
    def outcome(self) -> Outcome:
        """For whoever started the flow."""
        reviewed = self.reviewed
        in_vain = reviewed.outcome == "approved" and reviewed.alias is None
        given = f"is {reviewed.alias}" if reviewed.alias else "has no alias"
        return Outcome(
            title=reviewed.outcome.capitalize(),
            exit_code=4 if in_vain else EXIT.get(reviewed.outcome, 3),
            lines=(f"{self.target} {given}: {reviewed.because}", *summary(reviewed)),
            judged=reviewed.judged,
        )

    def _file(self, tags: dict[str, str]) -> None:
        """Sign the dossier as it is now, and bring the run's copy and the version's tags up to date."""
        require_active(self.connection, self.version, self.folder)
        signed = self._sign()  # the same bytes again, unless the key is another by now
        file_records(self.connection, self.version, self.folder, tags)
        file_signature(self.connection, self.version.run_id, self.folder, signed, self.standing.registration)

    def _sign(self) -> Signed:
        trusted = self.standing.plan.operations.signing.trusted_keys
        return sign_dossier(self.folder, signing_key(self.settings.signing_key, self.settings.var, trusted))

    def _add(self, step: str, record: Record) -> None:
        """Record a step, and sign: a dossier that waits for its next answer is whole too."""
        Dossier(self.folder).add(step, record)
        write_documents(self.folder)
        self._sign()


@contextmanager
def open_desk(settings: Settings, target: str) -> Iterator[Desk]:
    """Open the review of a version, one at a time on this machine.

    Raises:
        PlanError: if it awaits none, or another process waits for its answers.
        RegistryError: if the version, or its run's dossier, can't be had.
        EvidenceError: if this machine's copy of the dossier is not the registry's.
    """
    model, ref = target_of(target)
    connection = connect(settings.mlflow_uri, settings.artifact_root)
    version = resolve(connection, model, ref)
    locks = settings.var / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    lock = FileLock(locks / f"{model}.{version.version}.review.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        problem = f"the review of {version} is waiting already, in another process on this machine"
        raise PlanError(COMMAND, [problem]) from error
    try:
        desk = Desk(settings, connection, version, _local_dossier(settings, connection, version))
        require_reviewers(desk.standing.plan, desk.standing.awaits.author)
        yield desk
    finally:
        lock.release()


def _local_dossier(settings: Settings, connection: Connection, version: Version) -> Path:
    """The run's dossier on this machine: the run's own folder, or the registry's copy where there is none."""
    folder = settings.var / "dossiers" / version.name / version.run_id
    if not folder.is_dir():
        with tempfile.TemporaryDirectory(prefix="assay-dossier-") as scratch:
            shutil.copytree(download_dossier(connection, version.run_id, Path(scratch)), folder)
    heads = {digest_file(path) for path in (folder / "records").glob("*.json")}
    if version.tags.get(HEAD) not in heads:
        raise EvidenceError(
            f"{folder}: no record has the digest {version.tags.get(HEAD, 'nothing')[:12]}… that {version} "
            "names as its dossier's head: move the folder away, and the registry's copy is taken"
        )
    return folder


def _say(line: str) -> None:
    # For whoever waits at a terminal; standard output is for the ending.
    Console(stderr=True).print(line, highlight=False, markup=False, soft_wrap=True)
