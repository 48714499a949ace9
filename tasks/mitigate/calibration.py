"""Platt scaling by group: a slope and an intercept on the log odds, fitted on validation rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Flags: TypeAlias = npt.NDArray[np.bool_]

SMALLEST = 50
"""Rows below which a group keeps what is common to all: here of either class, for two numbers are fitted."""
STEPS = 100
CLOSE = 1e-10  # of the gradient by row


class Fit(NamedTuple):
    """A calibration: log odds become ``slope * odds + intercept``."""

    slope: float
    intercept: float


AS_IT_IS = Fit(1.0, 0.0)


class Calibrated(NamedTuple):
    """Fits of the groups, and of all rows for whoever is of none.

    Attributes:
        groups: in order.
        common: of all rows.
        notes: sentences on groups that keep the common fit, and on a common fit that could not be.
    """

    groups: tuple[Fit, ...]
    common: Fit
    notes: tuple[str, ...]


def calibrate(
    odds: Floats, positive: Flags, groups: npt.NDArray[np.int64], weights: Floats, names: Sequence[str]
) -> Calibrated:
    """Fit every group that has the rows for it.

    Args:
        odds: log odds of the positive class, (n,).
        positive: the rows' classes, (n,).
        groups: their positions in ``names``, (n,).
        weights: positive, of mean 1 (Platt's targets count rows), (n,).
        names: of the groups.
    """
    notes = []
    common = platt(odds, positive, weights)
    if common.slope <= 0:
        common = AS_IT_IS
        notes.append(
            "scores do not rise with the share of positives: without a common fit they stay as they are"
        )
    fits = []
    for number, name in enumerate(names):
        own = groups == number
        rows = min(int((positive & own).sum()), int((~positive & own).sum()))
        fit = platt(odds[own], positive[own], weights[own]) if rows >= SMALLEST else None
        if fit is None:
            notes.append(
                f"{name} keeps the common fit: {rows} rows of its rarer class, {SMALLEST} are needed"
            )
        elif fit.slope <= 0:
            notes.append(f"{name} keeps the common fit: by its own its scores would change their order")
            fit = None
        fits.append(fit or common)
    return Calibrated(tuple(fits), common, tuple(notes))


def platt(odds: Floats, positive: Flags, weights: Floats) -> Fit:
    """Slope and intercept of most likelihood, by Newton's method with step halving.

    Platt 1999, "Probabilistic outputs for support vector machines", with his targets (N+ + 1) / (N+ + 2) and
    1 / (N- + 2) in place of 1 and 0, N the sum of weights of a class: separable rows have a finite fit. The
    loss as Lin, Lin and Weng 2007 ("A note on Platt's probabilistic outputs") write it.

    Args:
        odds: log odds, finite, (n,).
        positive: (n,).
        weights: positive, (n,).
    """
    ups, downs = weights[positive].sum(), weights[~positive].sum()
    target = np.where(positive, (ups + 1) / (ups + 2), 1 / (downs + 2))
    design = np.stack([odds, np.ones_like(odds)])
    fit = np.array([1.0, 0.0])
    loss = _loss(fit, design, target, weights)
    for _ in range(STEPS):
        likely = _sigmoid(fit @ design)
        gradient = design @ (weights * (likely - target))
        if np.abs(gradient).max() <= CLOSE * len(odds):
            break
        curvature = (design * (weights * likely * (1 - likely))) @ design.T
        step = np.linalg.solve(curvature + 1e-12 * np.trace(curvature) * np.eye(2), gradient)
        size = 1.0
        while size > CLOSE and _loss(fit - size * step, design, target, weights) > loss:
            size /= 2
        fit = fit - size * step
        before, loss = loss, _loss(fit, design, target, weights)
        if before - loss <= CLOSE * abs(before):
            break
    return Fit(float(fit[0]), float(fit[1]))


def _sigmoid(values: Floats) -> Floats:
    found: Floats = 0.5 * (1 + np.tanh(values / 2))
    return found


def _loss(fit: Floats, design: Floats, target: Floats, weights: Floats) -> float:
    """Cross-entropy in nats: log(1 + exp(z)) - target z."""
    values = fit @ design
    return float(weights @ (np.logaddexp(0, values) - target * values))
