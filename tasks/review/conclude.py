"""How a review ends: who approved, whether it counts, and how fair the final human decisions are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from tasks.fairness.cube import Cube
from tasks.fairness.gate import judge
from tasks.fairness.verdict import Judged
from tasks.plan.data import Classes
from tasks.plan.judgement import Judgement, Limit
from tasks.plan.review import Review
from tasks.review.agreement import accepted_wrong, agreement, overrides
from tasks.review.records import Agreement, Answers, Case, Outcome, Reviewed, Share

NEEDED = 2


@dataclass(frozen=True)
class Asking:
    """What the answers are held against.

    Attributes:
        review: the plan's limits.
        judgement: the plan's limits on fairness.
        cases: as drawn.
        described: the whole test part by row_id: a column a protected attribute, ``label`` and ``unit``.
    """

    review: Review
    judgement: Judgement
    cases: Sequence[Case]
    described: pl.DataFrame

    @property
    def label(self) -> Classes:
        """The classes."""
        label = self.judgement.data.label
        assert isinstance(label, Classes)  # noqa: S101 - the plan asks for no review of numbers
        return label

    @property
    def drawn(self) -> pl.DataFrame:
        """The described rows of the cases, in their order."""
        return self.described[[case.row_id for case in self.cases]]


def conclude(answers: Mapping[str, Answers], asking: Asking) -> Reviewed:
    """End a review.

    Any rejection rejects, then any sending back sends back, whoever else approves: neither needs the review
    to count. Without two answers it timed out. Two approvals approve if nobody rubber-stamped and the two
    agree as far as the plan asks.

    Args:
        answers: by reviewer, at most two, checked.
        asking: what they are held against.
    """
    cases = tuple(asking.cases)
    stamps = [accepted_wrong(name, given.decisions, cases) for name, given in answers.items()]
    groups = asking.drawn.select(list(asking.judgement.protected))
    changed = [
        share for name, given in answers.items() for share in overrides(name, given.decisions, cases, groups)
    ]
    flagged = tuple(share.reviewer for share in stamps if is_rubber_stamp(share, asking.review))
    found = _agreement(answers, asking)
    outcome, because = _outcome(answers, found, flagged, asking.review)
    final, disputed = final_decisions(answers, cases)
    judged, left_out = _judge(final, asking) if len(answers) == NEEDED else ((), ())
    return Reviewed(
        outcome=outcome,
        because=because,
        cases=cases,
        agreement=found,
        overrides=tuple(changed),
        accepted_wrong=tuple(stamps),
        rubber_stamps=flagged,
        disputed=disputed,
        judged=judged,
        not_judged=left_out,
    )


def is_rubber_stamp(share: Share, review: Review) -> bool:
    """Whether a reviewer accepted more wrong recommendations than the plan allows; unknown is too many."""
    return share.rate is None or share.rate > review.maximum_wrong_accepted


def final_decisions(answers: Mapping[str, Answers], cases: Sequence[Case]) -> tuple[list[str], int]:
    """The decisions that would stand, and how many are in dispute: those stay as the model made them."""
    final, disputed = [], 0
    for case in cases:
        given = {one.decisions[case.number] for one in answers.values()}
        disputed += len(given) > 1
        final.append(given.pop() if len(given) == 1 else case.prediction)
    return final, disputed


def _agreement(answers: Mapping[str, Answers], asking: Asking) -> Agreement | None:
    if len(answers) < NEEDED:
        return None
    numbers = [case.number for case in asking.cases if case.genuine]
    first, second = ([given.decisions[number] for number in numbers] for given in answers.values())
    return agreement(first, second, asking.label.values)


def _outcome(
    answers: Mapping[str, Answers], found: Agreement | None, flagged: Sequence[str], review: Review
) -> tuple[Outcome, str]:
    said = {name: f"{name}: {given.reason}" for name, given in answers.items()}
    rejected = [said[name] for name, given in answers.items() if given.verdict == "reject"]
    returned = [said[name] for name, given in answers.items() if given.verdict == "send-back"]
    if rejected:
        return "rejected", "; ".join(rejected)
    if returned:
        return "sent back", "; ".join(returned)
    if len(answers) < NEEDED or found is None:
        return "timed out", f"{len(answers)} of {NEEDED} answers came within {review.hours:g} hours"
    problems = [
        f"{name} accepted more than {review.maximum_wrong_accepted:.0%} of the recommendations that were "
        "wrong on purpose: a rubber stamp"
        for name in flagged
    ]
    if found.kappa is None:
        problems.append(
            "both gave one class throughout, so their agreement says nothing (kappa is undefined)"
        )
    elif found.kappa < review.minimum_kappa:
        problems.append(f"the two agree too little: kappa {found.kappa:.2f} < {review.minimum_kappa:g}")
    if problems:
        return "not counted", "; ".join(problems)
    return "approved", f"approved by {' and '.join(answers)}"


def _judge(final: Sequence[str], asking: Asking) -> tuple[tuple[Judged, ...], tuple[str, ...]]:
    """The plan's limits on the final decisions, by the gate that judged the model."""
    judgement, rows = asking.judgement, asking.drawn
    cube = Cube.from_arrays(
        rows["label"],
        final,
        {name: rows[name] for name in judgement.protected},
        unit=None if judgement.unit is None else rows["unit"],
        labels=asking.label.values,
        positive=asking.label.positive,
    )
    # Groups of whom no row was drawn are there too: what is not known of them is no pass.
    cube = cube.widened(
        {name: asking.described[name].unique().sort().to_list() for name in judgement.protected},
        tuple(asking.label.values),
    )
    kept: list[Limit] = []
    left_out = []
    for limit in judgement.limits:
        try:
            judge(cube, [limit], judgement.alpha)
        except ValueError as error:  # of the score, which no reviewer gives
            left_out.append(f"{limit.metric} by {limit.attribute}: {error}")
        else:
            kept.append(limit)
    judged = judge(cube, kept, judgement.alpha) if kept else []
    return tuple(judged), tuple(left_out)
