"""Platt scaling by group: against scikit-learn's own, on planted scores, and with too few rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import _sigmoid_calibration

from tasks.mitigate.calibration import AS_IT_IS, SMALLEST, Fit, calibrate, platt


def planted(rows: int, slope: float, intercept: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Log odds that a model gave, and classes whose true log odds are ``slope * given + intercept``."""
    draw = np.random.default_rng(seed)
    odds = draw.normal(0, 2, rows)
    return odds, draw.random(rows) < 1 / (1 + np.exp(-(slope * odds + intercept)))


@settings(max_examples=12, deadline=None)
@given(st.floats(0.2, 3), st.floats(-2, 2), st.integers(0, 9))
def test_the_fit_is_scikit_learns(slope: float, intercept: float, seed: int) -> None:
    odds, positive = planted(400, slope, intercept, seed)
    weights = np.random.default_rng(seed).uniform(0.5, 2, 400)
    found = platt(odds, positive, weights)
    # It minimises the same loss, with Platt's targets, by BFGS; its sign is turned.
    theirs = _sigmoid_calibration(odds, positive.astype(float), weights)
    assert (found.slope, found.intercept) == pytest.approx((-theirs[0], -theirs[1]), abs=2e-3)


def test_planted_slopes_come_back_by_group() -> None:
    one, other = planted(40_000, 0.5, -1.0), planted(40_000, 1.5, 0.4, seed=1)
    odds, positive = (np.concatenate(pair) for pair in zip(one, other, strict=True))
    groups = np.repeat([0, 1], 40_000)
    found = calibrate(odds, positive, groups, np.ones(80_000), ["Female", "Male"])
    assert found.groups[0] == pytest.approx((0.5, -1.0), abs=0.05)
    assert found.groups[1] == pytest.approx((1.5, 0.4), abs=0.05)
    assert found.notes == ()


def test_separable_rows_have_a_finite_fit() -> None:
    odds = np.array([-3.0, -2.0, 2.0, 3.0] * 30)
    found = platt(odds, odds > 0, np.ones(120))
    assert np.isfinite(found).all()
    # As sure as Platt's targets: 61/62 at most.
    assert 1 / (1 + np.exp(-(3 * found.slope + found.intercept))) < 0.995


def test_a_small_group_keeps_the_common_fit_and_it_is_said() -> None:
    odds, positive = planted(3000, 0.5, -1.0)
    groups = np.zeros(3000, np.int64)
    few = np.flatnonzero(positive)[: SMALLEST - 1]
    groups[few] = 1
    found = calibrate(odds, positive, groups, np.ones(3000), ["large", "small"])
    assert found.groups[1] == found.common != found.groups[0]
    assert found.notes == ("small keeps the common fit: 0 rows of its rarer class, 50 are needed",)


def test_scores_are_never_turned_round() -> None:
    odds, positive = planted(4000, 1.0, 0.0)
    groups = np.repeat([0, 1], 2000)
    odds[2000:] *= -1
    found = calibrate(odds, positive, groups, np.ones(4000), ["right", "wrong"])
    assert found.groups[0].slope > 0
    assert found.groups[1] == found.common
    assert "wrong keeps the common fit: by its own its scores would change their order" in found.notes
    backwards = calibrate(
        -planted(2000, 1.0, 0.0)[0], planted(2000, 1.0, 0.0)[1], groups[:2000], np.ones(2000), ["a"]
    )
    assert backwards.common == AS_IT_IS == Fit(1.0, 0.0)
    assert any("they stay as they are" in note for note in backwards.notes)
