"""How a review stands: read from the dossier alone, so that whoever goes on with it needs nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tasks.errors import PlanError
from tasks.evidence.digest import digest_file
from tasks.evidence.dossier import Entry, read_chain
from tasks.evidence.keys import PublicKey
from tasks.plan import Plan, read_locked
from tasks.plan.data import Classes
from tasks.plan.review import Review
from tasks.register.records import Awaited, Registration
from tasks.review.answers import COMMAND, Asked, is_author
from tasks.review.conclude import NEEDED
from tasks.review.records import ANSWER, PACKET, REFUSED, REVIEW, Answered, Answers, Packet, Reviewed


@dataclass(frozen=True)
class Standing:
    """The review of a version that was registered without its alias.

    Attributes:
        folder: the dossier.
        entries: its records.
        plan: as locked.
        registration: the version, and what it awaits.
    """

    folder: Path
    entries: tuple[Entry, ...]
    plan: Plan
    registration: Registration

    @classmethod
    def of(cls, folder: Path) -> Standing:
        """Read a dossier.

        Raises:
            EvidenceError: for a broken chain.
            PlanError: if nothing in it awaits a review.
        """
        entries, plan = tuple(read_chain(folder)), read_locked(folder)
        bodies = {entry.step: entry.body for entry in entries}
        registration = (
            Registration.model_validate(bodies["registration"]) if "registration" in bodies else None
        )
        if registration is None or registration.awaits is None or plan.operations.review is None:
            problem = (
                f"{folder}: nothing awaits a review here: the plan asks for none (operations.review), or the "
                "run ended without a model version"
            )
            raise PlanError(COMMAND, [problem])
        return cls(folder, entries, plan, registration)

    @property
    def review(self) -> Review:
        """What the plan asks."""
        assert self.plan.operations.review is not None  # noqa: S101 - `of` has looked
        return self.plan.operations.review

    @property
    def awaits(self) -> Awaited:
        """What the version gets once approved, and who started its run."""
        assert self.registration.awaits is not None  # noqa: S101 - `of` has looked
        return self.registration.awaits

    @property
    def label(self) -> Classes:
        """The classes that are decided."""
        label = self.plan.judgement.data.label
        assert isinstance(label, Classes)  # noqa: S101 - the plan asks for no review of numbers
        return label

    @property
    def packet(self) -> Packet | None:
        """What was laid before the reviewers, None so far."""
        found = self._of(PACKET)
        return Packet.model_validate(found[-1].body) if found else None

    @property
    def taken(self) -> list[Answered]:
        """The answers taken so far, with their signatures."""
        return [Answered.model_validate(entry.body) for entry in self._of(ANSWER)]

    @property
    def answers(self) -> dict[str, Answers]:
        """The same without, by reviewer."""
        return {one.reviewer: one.signed.answers for one in self.taken}

    @property
    def refused(self) -> int:
        """Texts that were not taken."""
        return len(self._of(REFUSED))

    @property
    def reviewed(self) -> Reviewed | None:
        """How it ended, None so far."""
        found = self._of(REVIEW)
        return Reviewed.model_validate(found[-1].body) if found else None

    @property
    def head(self) -> str:
        """SHA-256 of the packet's record: what reviewers sign."""
        entry = self._of(PACKET)[-1]
        return digest_file(self.folder / "records" / entry.file_name)

    @property
    def asked(self) -> Asked:
        """What is asked, and of whom.

        Raises:
            PlanError: before the packet was made.
        """
        if self.packet is None:
            target = f"{self.registration.model}@{self.registration.version}"
            raise PlanError(
                COMMAND, [f"{target} has no packet yet: `assay review {target}` makes it, and waits"]
            )
        return Asked(
            packet=self.packet,
            head=self.head,
            reviewers={name: PublicKey.parse(text) for name, text in self.review.reviewers.items()},
            classes=self.label.values,
            author=self.awaits.author,
            answered=tuple(self.answers),
        )

    @property
    def complete(self) -> bool:
        """Whether all answers are in."""
        return len(self.answers) >= NEEDED

    def _of(self, step: str) -> list[Entry]:
        return [entry for entry in self.entries if entry.step == step]


def require_reviewers(plan: Plan, author: str) -> None:
    """Refuse a run that nobody could review: two of its reviewers must be others than who starts it.

    Raises:
        PlanError: naming them.
    """
    review = plan.operations.review
    if review is None:
        return
    others = [name for name in review.reviewers if not is_author(name, author)]
    if len(others) < NEEDED:
        problem = (
            f"operations.review.reviewers: {NEEDED} who did not start the run are needed; {author} starts "
            f"it, which leaves {', '.join(others)}: name another reviewer, or let somebody else start it "
            "(ASSAY_AUTHOR says who does)"
        )
        raise PlanError(f"data/{plan.name}/plan.yaml", [problem])
