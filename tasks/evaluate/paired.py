"""Whether a model is worse than another on the same rows."""

from __future__ import annotations

from math import sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from tasks.errors import Refusal
from tasks.evaluate.records import Paired

Booleans = NDArray[np.bool_]
Floats = NDArray[np.float64]


def compare_right(correct_new: Booleans, correct_old: Booleans, margin: float, alpha: float = 0.05) -> Paired:
    """Whether a model is worse than another on the same rows.

    "not worse" when the one-sided lower limit of the difference in accuracy (new - old) lies above
    -margin; "worse" when its upper limit lies below -margin; else "not shown". Limits by Tango's score
    method for paired proportions (1998, Statistics in Medicine 17:891).

    Args:
        correct_new: whether the new model is right, shape [rows], at least one row.
        correct_old: whether the old one is, on the same rows in the same order.
        margin: how much worse still counts as not worse, in [0, 1).
        alpha: one-sided level of either limit.

    Raises:
        ValueError: for lengths that differ.
    """
    if len(correct_new) != len(correct_old):
        raise ValueError(f"the same rows are compared, found {len(correct_new)} and {len(correct_old)}")
    n = len(correct_new)
    better = int((correct_new & ~correct_old).sum())
    worse = int((~correct_new & correct_old).sum())
    low, high = paired_limits(better, worse, n, alpha)
    return Paired(
        metric="accuracy",
        n=n,
        better=better,
        worse=worse,
        difference=(better - worse) / n,
        low=low,
        high=high,
        margin=margin,
        alpha=alpha,
        verdict=_verdict(low, high, margin),
    )


def paired_limits(gained: int, lost: int, n: int, alpha: float) -> tuple[float, float]:
    """Limits of a difference of two shares of the same rows, by Tango's score method.

    Args:
        gained: rows that only the second share counts.
        lost: rows that only the first one counts.
        n: rows, at least one.
        alpha: one-sided level of either limit.
    """
    return _tango(gained, lost, n, alpha), -_tango(lost, gained, n, alpha)


def compare_squares(new: Floats, old: Floats, truth: Floats, margin: float, alpha: float = 0.05) -> Paired:
    """The same for predicted numbers, by R2: the difference of squared errors over the truth's variance.

    Limits by the delta method on the means of both, paired by row: normal, as R2's own interval is.

    Args:
        new: predictions of the new model, shape [rows], at least two rows.
        old: of the old one, on the same rows in the same order.
        truth: true numbers, not all the same.
        margin: how much worse still counts as not worse, in points of R2.
        alpha: one-sided level of either limit.

    Raises:
        ValueError: for lengths that differ.
        Refusal: where all true values are the same.
    """
    if not len(new) == len(old) == len(truth):
        raise ValueError(f"the same rows are compared, found {len(new)}, {len(old)} and {len(truth)}")
    gain, spread = (old - truth) ** 2 - (new - truth) ** 2, (truth - truth.mean()) ** 2
    if not spread.any():
        raise Refusal("R2 compares errors with the spread of the true values: they are all the same")
    difference = float(gain.mean() / spread.mean())
    influence = (gain - difference * spread) / spread.mean()
    wide = -float(ndtri(alpha)) * float(influence.std(ddof=1)) / sqrt(len(truth))
    low, high = difference - wide, difference + wide
    return Paired(
        metric="r2",
        n=len(truth),
        better=int((gain > 0).sum()),
        worse=int((gain < 0).sum()),
        difference=difference,
        low=low,
        high=high,
        margin=margin,
        alpha=alpha,
        verdict=_verdict(low, high, margin),
    )


def _verdict(low: float, high: float, margin: float) -> Literal["not worse", "worse", "not shown"]:
    return "not worse" if low > -margin else "worse" if high < -margin else "not shown"


def _tango(b: int, c: int, n: int, alpha: float) -> float:
    """Lower limit of (b - c) / n: the d at which Tango's score statistic reaches z."""
    z = -float(ndtri(alpha))

    def distance(d: float) -> float:
        a_, b_ = 2 * n, -b - c + (2 * n - b + c) * d
        share = (sqrt(max(b_ * b_ - 4 * a_ * (-c * d * (1 - d)), 0.0)) - b_) / (2 * a_)
        variance = n * (2 * share + d * (1 - d))
        return (b - c - n * d) / sqrt(variance) - z if variance > 0 else -z

    low, high = -1.0, (b - c) / n  # the statistic falls from low to high
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if distance(middle) > 0 else (low, middle)
    return low
