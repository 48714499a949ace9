"""Membership inference: how well a row's loss tells whether the model learned from it."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import stats

from tasks.errors import Refusal
from tasks.evidence.records import Record

Losses = npt.NDArray[np.float64]


class Attack(Record):
    """What the attack of Yeom et al. 2018 reaches: a loss of at most the members' mean is called a member's.

    Attributes:
        advantage: share of members called members less that of others, -1 to 1; 0 is guessing.
        low: of the 95% interval.
        high: of the 95% interval.
        auc: probability that a member's loss is below another row's, which no threshold enters.
        members: rows that the model learned from.
        others: rows of the same kind that it did not.
    """

    advantage: float
    low: float
    high: float
    auc: float
    members: int
    others: int


def attack(members: Losses, others: Losses) -> Attack:
    """Attack a model by the losses of single rows.

    Args:
        members: losses of rows that it learned from.
        others: losses of rows that it never saw, drawn as the members were.

    Raises:
        Refusal: a side has no rows, or a loss is no finite number.
    """
    for name, losses in (("members", members), ("others", others)):
        if not len(losses) or not np.isfinite(losses).all():
            raise Refusal(f"membership inference: a finite loss of every row of the {name} is expected")
    threshold = members.mean()
    hit, false = float((members <= threshold).mean()), float((others <= threshold).mean())
    spread = math.sqrt(hit * (1 - hit) / len(members) + false * (1 - false) / len(others))
    above = stats.mannwhitneyu(others, members).statistic / (len(members) * len(others))
    return Attack(
        advantage=hit - false,
        low=hit - false - 1.96 * spread,
        high=hit - false + 1.96 * spread,
        auc=float(above),
        members=len(members),
        others=len(others),
    )


def greatest_advantage(epsilon: float, delta: float) -> float:
    """The advantage that no attack at all exceeds under differential privacy (Kairouz et al. 2015, figure 1).

    True and false positive rate obey t <= e^epsilon f + delta and 1 - f <= e^epsilon (1 - t) + delta; their
    difference is greatest where both are equalities.
    """
    return (math.expm1(epsilon) + 2 * delta) / (math.exp(epsilon) + 1)
