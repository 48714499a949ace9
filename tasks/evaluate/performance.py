"""How well a model does on the test part: accuracy, macro-F1 and AUC of classes, R2 and error of numbers."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri

from tasks.errors import Refusal
from tasks.evaluate.records import Estimate
from tasks.fairness.bounds import lower_limit, upper_limit

Booleans = NDArray[np.bool_]
LEVEL = 0.025
"""Each side of the 95% interval."""


def accuracy(correct: Booleans) -> Estimate:
    """Share of right predictions with its Clopper-Pearson interval.

    Args:
        correct: whether each prediction is right, shape [rows], at least one row.
    """
    events, n = np.array([correct.sum()]), np.array([len(correct)])
    return Estimate(
        name="accuracy",
        value=float(events[0] / n[0]),
        low=float(lower_limit(events, n, LEVEL)[0]),
        high=float(upper_limit(events, n, LEVEL)[0]),
        n=len(correct),
    )


def auc(positive: Booleans, score: NDArray[Any]) -> Estimate:
    """Area under the ROC curve: P(score of a positive > of a negative) + P(equal) / 2.

    Mann-Whitney by mid-ranks, so ties are exact; the interval is DeLong's (1988) on the logit, computed
    by ranks (Sun and Xu 2014). Where DeLong's variance is 0 (perfect separation) the limits are those of
    Clopper and Pearson with the smaller class as the sample.

    Args:
        positive: whether each row is of the positive class, shape [rows].
        score: higher for positive, shape [rows].

    Raises:
        Refusal: when a class has no rows, since AUC is then undefined.
    """
    m, n = int(positive.sum()), int((~positive).sum())
    if m == 0 or n == 0:
        raise Refusal(
            f"AUC compares two classes: rows of both are expected, found {m} positive and {n} negative"
        )
    ranks = _middle_ranks(score)
    above = (ranks[positive] - _middle_ranks(score[positive])) / n
    below = 1 - (ranks[~positive] - _middle_ranks(score[~positive])) / m
    value = float(above.mean())
    variance = _variance(above) / m + _variance(below) / n
    if not 0 < value < 1 or variance == 0:
        low, high = _limits_without_variance(value, min(m, n))
    else:
        spread = -float(ndtri(LEVEL)) * sqrt(variance) / (value * (1 - value))
        low, high = float(expit(logit(value) - spread)), float(expit(logit(value) + spread))
    return Estimate(name="auc", value=value, low=low, high=high, n=m + n)


def macro_f1(truth: NDArray[np.int64], decided: NDArray[np.int64], classes: int) -> Estimate:
    """Mean over the classes of F1 = 2 TP / (2 TP + FP + FN), with its interval by the delta method.

    The interval is that of Takahashi et al. (2022, Applied Intelligence 52:4961), equation 8: the counts
    of (true class, predicted class) are multinomial. A class that is neither true nor predicted anywhere
    has no F1: it counts as 0, which only lowers the mean.

    Args:
        truth: positions of the true classes, shape [rows], at least one row.
        decided: positions of the predicted ones.
        classes: how many there are.
    """
    n = len(truth)
    shares = np.bincount(truth * classes + decided, minlength=classes**2).reshape(classes, classes) / n
    right, held = shares.diagonal(), shares.sum(axis=1) + shares.sum(axis=0)
    there = np.where(held > 0, held, 1.0)
    f1 = 2 * right / there
    # Derivative of each F1 by a share: 2 (1 - F1) / held on the diagonal, -F1 / held of both classes off it.
    slope = -(f1 / there)[:, None] - (f1 / there)[None, :]
    slope[np.diag_indices(classes)] = 2 * (1 - f1) / there
    slope = slope / classes
    variance = float((shares * slope**2).sum() - (shares * slope).sum() ** 2) / n
    value, spread = float(f1.mean()), -float(ndtri(LEVEL)) * sqrt(max(variance, 0.0))
    return Estimate(
        name="macro_f1", value=value, low=max(0.0, value - spread), high=min(1.0, value + spread), n=n
    )


def r2(truth: NDArray[np.float64], predicted: NDArray[np.float64]) -> Estimate:
    """1 - sum of squared errors / sum of squared deviations from the mean, with its interval.

    The interval is by the delta method on the means of both sums' terms.

    Args:
        truth: shape [rows], at least two different values.
        predicted: likewise.

    Raises:
        Refusal: where all true values are the same, since R2 is then undefined.
    """
    error, spread = (truth - predicted) ** 2, (truth - truth.mean()) ** 2
    if not spread.any():
        raise Refusal("R2 compares errors with the spread of the true values: they are all the same")
    share = float(error.mean() / spread.mean())
    influence = (error - share * spread) / spread.mean()
    wide = -float(ndtri(LEVEL)) * float(influence.std()) / sqrt(len(truth))
    return Estimate(name="r2", value=1 - share, low=1 - share - wide, high=1 - share + wide, n=len(truth))


def mae(truth: NDArray[np.float64], predicted: NDArray[np.float64]) -> Estimate:
    """Mean absolute error with its normal interval, in the unit of the label.

    Args:
        truth: shape [rows], at least one row.
        predicted: likewise.
    """
    error = np.abs(predicted - truth)
    value, wide = float(error.mean()), -float(ndtri(LEVEL)) * sqrt(_variance(error) / len(error))
    return Estimate(name="mae", value=value, low=max(0.0, value - wide), high=value + wide, n=len(error))


def _middle_ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    """Ranks from 1; equal values share the middle of theirs."""
    _, position, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[position])


def _variance(values: NDArray[np.float64]) -> float:
    return float(values.var(ddof=1)) if len(values) > 1 else 0.25


def _limits_without_variance(value: float, size: int) -> tuple[float, float]:
    events, n = np.array([value * size]), np.array([size])
    return float(lower_limit(events, n, LEVEL)[0]), float(upper_limit(events, n, LEVEL)[0])
