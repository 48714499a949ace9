"""The budget of rows over all trainings that learned from them, which a new one may draw on or not.

What is added up is the noise of each training, by Renyi differential privacy, and for each row apart: of two
trainings on different rows neither spends on the other's. The row that was learned from most decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.evidence.records import Record
from tasks.plan.differential import DpSgd
from tasks.privacy.accountant import epsilon_of
from tasks.privacy.records import Drawn, Mechanism

Rows = NDArray[np.uint64]
"""Digests of rows, distinct."""
ROUNDING = 1e-9


class Line(Record):
    """One training that drew on the budget of its rows.

    Attributes:
        key: digest of recipe and rows; a training that goes on after a crash has the same.
        rows: SHA-256 of the digests of the rows that it learned from.
        mechanism: all steps of the whole training, also those that a crash kept it from taking.
        run: the MLflow run.
    """

    key: str
    rows: str
    mechanism: Mechanism
    run: str


def draw(
    lines: Sequence[Line],
    sets: Mapping[str, Rows],
    rows: Rows,
    wanted: Mechanism | None,
    member: DpSgd,
) -> Drawn:
    """Whether a training may begin, and what the row learned from most will have spent after it.

    Args:
        lines: of every training so far, by any plan.
        sets: rows of each line, by their SHA-256.
        rows: to learn from.
        wanted: steps of the training; None for one that goes on, and is among the lines.
        member: says the budget and delta.

    Returns:
        What is drawn; with a problem where the budget does not have it.
    """
    among = [np.isin(rows, sets[line.rows]) for line in lines]
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
    if total <= member.total + ROUNDING:
        return drawn
    already = f"{count} training{'' if count == 1 else 's'} on some of these rows spent epsilon "
    problem = (
        f"privacy budget spent: {already}{epsilon_of(before, member.delta):.3g} at delta {member.delta:.3g}, "
        f"this one would bring it to {total:.3g}, and recipe.privacy.budget is {member.total:g}. Train on "
        "rows never learned from before, or decide in the plan that these may tell more"
    )
    return drawn.model_copy(update={"problem": problem})
