"""The budget of rows over all trainings that learned from them, which a new one may draw on or not.

What is added up is the noise of each training, by Renyi differential privacy, and for each row apart: of two
trainings on different rows neither spends on the other's. The row that was learned from most decides.

A row's digest is over the columns that a plan describes, so under other columns the same row has another
name. Where files are shared and names can't be compared, every row counts as learned from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.evidence.digest import digest_of
from tasks.evidence.records import Deidentified, Record
from tasks.plan.differential import DpSgd
from tasks.plan.judgement import Judgement
from tasks.privacy.accountant import epsilon_of
from tasks.privacy.records import Drawn, Mechanism

Rows = NDArray[np.uint64]
"""Digests of rows, distinct."""
ROUNDING = 1e-9


class Origin(Record):
    """Where the rows of a training come from, and what decides their digests.

    Attributes:
        sources: the first 64 bits, in hex, of the SHA-256 of each file that rows are learned from.
        naming: digest of what turns a file into rows with digests: its format, the described columns, the
            label, and how personal data was replaced.
        fingerprint: of the key of de-identification, under which tokens and digests are made; None without.
    """

    sources: tuple[str, ...]
    naming: str
    fingerprint: str | None = None


def origin_of(judgement: Judgement, deidentified: Deidentified | None) -> Origin:
    """The origin of the training part.

    Args:
        judgement: of the plan.
        deidentified: how the dataset version was de-identified, if it was.
    """
    data = judgement.data
    named = {
        "data": data.model_dump(mode="json", exclude={"sources"}),
        "members": sorted(source.members or "" for source in data.sources),
        "privacy": judgement.privacy and judgement.privacy.model_dump(mode="json"),
        "method": deidentified and deidentified.method,
    }
    sources = {source.sha256[:16] for source in data.sources if source.part != "test"}
    return Origin(
        sources=tuple(sorted(sources)),
        naming=digest_of(named),
        fingerprint=deidentified and deidentified.fingerprint,
    )


class Line(Record):
    """One training that drew on the budget of its rows.

    Attributes:
        key: digest of recipe and rows; a training that goes on after a crash has the same.
        rows: SHA-256 of the digests of the rows that it learned from.
        mechanism: all steps of the whole training, also those that a crash kept it from taking.
        run: the MLflow run.
        origin: of the rows; None in lines of before 2026-11-23, whose noise had one of 2^32 seeds: such a
            training promised nothing, and is taken to have spent everything on any row.
    """

    key: str
    rows: str
    mechanism: Mechanism
    run: str
    origin: Origin | None = None

    def comparable(self, origin: Origin) -> bool:
        """Whether rows of that origin, where they are this line's, have the digests that they have here.

        They have under the same naming and key. Under another naming no file may be shared: then they are
        other rows, as far as can be seen. Under another key alone nothing can be seen: a file's mark is
        keyed too.
        """
        if self.origin is None:
            return False
        if self.origin.naming == origin.naming:
            return self.origin.fingerprint == origin.fingerprint
        return set(self.origin.sources).isdisjoint(origin.sources)


def draw(
    lines: Sequence[Line],
    sets: Mapping[str, Rows],
    rows: Rows,
    origin: Origin,
    wanted: Mechanism | None,
    member: DpSgd,
) -> Drawn:
    """Whether a training may begin, and what the row learned from most will have spent after it.

    Args:
        lines: of every training so far, by any plan.
        sets: rows of each line, by their SHA-256.
        rows: to learn from.
        origin: of these rows; a line that can't be compared with it learned from every one of them.
        wanted: steps of the training; None for one that goes on, and is among the lines.
        member: says the budget and delta.

    Returns:
        What is drawn; with a problem where the budget does not have it.
    """
    whole = [not line.comparable(origin) for line in lines]
    among = [every | np.isin(rows, sets[line.rows]) for line, every in zip(lines, whole, strict=True)]
    patterns = np.unique(np.stack(among, axis=1), axis=0) if among else np.zeros((1, 0), bool)
    more = [wanted] if wanted is not None else []
    by_pattern = [
        ([lines[i].mechanism for i in pattern.nonzero()[0]], int(pattern.sum())) for pattern in patterns
    ]
    spent = [(epsilon_of([*before, *more], member.delta), count, before) for before, count in by_pattern]
    total, count, before = max(spent, key=lambda each: each[0])
    own = epsilon_of(more, member.delta)
    drawn = Drawn(
        epsilon=own, total=total, budget=member.total, delta=member.delta, trainings=count + len(more)
    )
    if unbounded := [line.run for line in lines if line.origin is None]:
        return drawn.model_copy(update={"problem": _unbounded(unbounded)})
    if total <= member.total + ROUNDING:
        return drawn
    problem = (
        f"privacy budget spent: {_trainings(count, sum(whole))} spent epsilon "
        f"{epsilon_of(before, member.delta):.3g} at delta {member.delta:.3g}, this one would bring it to "
        f"{total:.3g}, and recipe.privacy.budget is {member.total:g}. Train on rows never learned from "
        "before, or decide in the plan that these may tell more"
    )
    return drawn.model_copy(update={"problem": problem})


def _unbounded(runs: Sequence[str]) -> str:
    """Why nothing is drawn beside trainings whose noise could be tried out (docs/privacy.md, Randomness)."""
    return (
        f"privacy budget spent: MLflow run {', '.join(runs)} trained with noise that could be taken off "
        "again, so its rows may have spent any epsilon, and it did not note of which files they are: these "
        "may be among them. That can't be undone: withdraw the models of these rows. Rows that were never "
        "learned from there can be trained on with a ledger of their own, in another MLflow "
        "(ASSAY_TRACKING_URI)"
    )


def _trainings(count: int, whole: int) -> str:
    """What has drawn before, and how much of it can't be told apart by row."""
    otherwise = (
        f" ({whole} of them under other columns or another key, which counts for every row)" if whole else ""
    )
    return f"{count} training{'' if count == 1 else 's'} on some of these rows{otherwise}"
