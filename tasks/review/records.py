"""Records of a review: chained to the dossier behind the run's ending, while the version has no alias yet.

No record holds a value of a row: a decision is named by its number in the packet, later by ``row_id`` too.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tasks.evidence.records import Record
from tasks.fairness.verdict import Judged

PACKET, ANSWER, REFUSED, REVIEW = "review-packet", "review-answer", "review-refused", "review"
STEPS = (PACKET, ANSWER, REFUSED, REVIEW)
"""What may follow the ending of a run."""
SCHEMA = "assay.review/1"
Wish = Literal["approve", "reject", "send-back"]
Outcome = Literal["approved", "rejected", "sent back", "timed out", "not counted"]
Why = Literal["uncertain", "worst group", "counterfactual flip", "random", "wrong on purpose"]


class Flips(Record):
    """Decisions that a change alone would turn, of which some are drawn.

    Attributes:
        by: what was changed: a protected attribute's own value, the words of a text that name it, the column
            that is nearest, or nothing.
        asked: decisions that were made again so.
        turned: how many of them turn.
        told: the same in words; where none turns, or nothing can be changed, why.
    """

    by: Literal["own value", "words", "nearest counterfactual", "nothing"]
    asked: int
    turned: int
    told: str


class Packet(Record):
    """What was laid before the reviewers; the head of the dossier with this record is what they sign.

    Attributes:
        model: the registered model's name.
        version: its number.
        digest: SHA-256 of the packet's cases as canonical JSON: inputs, recommendations and explanations.
        cases: how many; numbered from 1.
        drawn: why -> how many.
        flips: where counterfactual flips come from, or why there are none.
        deadline: UTC, ISO 8601; answers that come later do not count.
    """

    model: str
    version: str
    digest: str
    cases: int
    drawn: dict[str, int]
    flips: Flips
    deadline: str


class Answers(Record):
    """What a reviewer signs.

    Attributes:
        schema_version: of this form; keeps a signature from being one of something else.
        model: the registered model's name.
        version: its number.
        packet: digest of the packet that was looked at.
        head: SHA-256 of the dossier's record of that packet, and so of everything before it.
        key: id of the reviewer's key.
        decisions: case -> class, as the reviewer would decide.
        verdict: on the version.
        reason: why; needed unless it is approved.
    """

    schema_version: str = SCHEMA
    model: str
    version: str
    packet: str
    head: str
    key: str
    decisions: dict[int, str]
    verdict: Wish
    reason: str = Field("", max_length=4000)


class Signed(Record):
    """Answers with their signature.

    Attributes:
        answers: what was signed.
        signature: Ed25519 over the answers' canonical JSON, 128 hex digits.
    """

    answers: Answers
    signature: str = Field(pattern=r"^[0-9a-f]{128}$")


class Answered(Record):
    """A reviewer's answers that were taken.

    Attributes:
        reviewer: as the plan names them.
        signed: as they came.
    """

    reviewer: str
    signed: Signed


class RefusedText(Record):
    """A text that was sent as a review and not taken.

    Attributes:
        digest: SHA-256 of the text; the text itself proves nothing and may hold anything.
        problems: every reason.
    """

    digest: str
    problems: tuple[str, ...]


class Case(Record):
    """A decision drawn for review.

    Attributes:
        number: in the packet, from 1.
        row_id: of the test part.
        row_digest: of the row's values.
        why: it was drawn.
        prediction: what the model decided.
        shown: the recommendation that the reviewers saw; not ``prediction`` where it was to be wrong.
    """

    number: int
    row_id: int
    row_digest: str
    why: Why
    prediction: str
    shown: str

    @property
    def genuine(self) -> bool:
        """Whether the model's own decision was shown."""
        return self.prediction == self.shown


class Agreement(Record):
    """How far two reviewers agree, on the decisions that were shown as the model made them.

    Attributes:
        n: decisions.
        agreed: those on which both decided alike.
        kappa: Cohen's; None where both gave one class throughout, so that chance explains everything.
        low: lower end of its two-sided 95% interval.
        high: upper end.
    """

    n: int
    agreed: int
    kappa: float | None
    low: float | None
    high: float | None


class Share(Record):
    """A reviewer's share of decisions, with its two-sided 95% interval (Clopper and Pearson).

    Attributes:
        reviewer: whose.
        attribute: protected attribute, "" for all rows.
        group: its level, "" likewise.
        events: decisions so made.
        n: of how many.
        rate: events / n, None without any.
        low: lower limit.
        high: upper limit.
    """

    reviewer: str
    attribute: str
    group: str
    events: int
    n: int
    rate: float | None
    low: float | None
    high: float | None


class Reviewed(Record):
    """How a review ended, and what its answers say.

    Attributes:
        outcome: in a word or two.
        because: in words.
        alias: what the version is given, None but for an approved one.
        cases: what was drawn; told only now, since it says which recommendations were wrong on purpose.
        agreement: None unless two answered.
        overrides: shares of the model's decisions that a reviewer would make otherwise, by group.
        accepted_wrong: shares of the wrong recommendations that a reviewer accepted: automation bias.
        rubber_stamps: reviewers who accepted more of them than the plan allows.
        disputed: decisions on which the reviewers differ; they are counted as the model made them.
        judged: the plan's limits on the final human decisions of the rows drawn, which are no random sample.
        not_judged: limits that can't be judged on decisions alone.
    """

    outcome: Outcome
    because: str
    alias: str | None = None
    cases: tuple[Case, ...]
    agreement: Agreement | None = None
    overrides: tuple[Share, ...] = ()
    accepted_wrong: tuple[Share, ...] = ()
    rubber_stamps: tuple[str, ...] = ()
    disputed: int = 0
    judged: tuple[Judged, ...] = ()
    not_judged: tuple[str, ...] = ()
