"""Each check holds for what is right by construction, and fails for an explanation planted to be wrong."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.explain import checks
from tasks.explain.records import Check, Explanation

RNG = np.random.default_rng(7)
SLOPES = np.array([5.0, -3.0, 2.0, 1.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0])
ROWS = RNG.normal(size=(40, 10))
RIGHT = ROWS * SLOPES  # of a linear model with base 0 these are the Shapley values
PLANTED = RNG.normal(size=RIGHT.shape)  # says nothing of the model


def linear(kept: np.ndarray) -> np.ndarray:
    return (ROWS * kept) @ SLOPES + 1.0


def test_completeness_finds_attributions_that_do_not_add_up() -> None:
    outputs, bases = linear(np.ones((40, 10), bool)), np.ones(40)
    assert checks.completeness(RIGHT, outputs, bases).holds
    lacking = checks.completeness(RIGHT * 0.9, outputs, bases)
    assert (lacking.value, lacking.holds) == (pytest.approx(0.1, abs=1e-6), False)
    assert not checks.completeness(PLANTED, outputs, bases).holds


def test_completeness_of_a_model_that_never_leaves_its_base() -> None:
    assert checks.completeness(np.zeros((3, 2)), np.ones(3), np.ones(3)).value == 0
    assert not checks.completeness(np.ones((3, 2)), np.ones(3), np.ones(3)).holds


def test_stability_finds_attributions_that_another_draw_changes() -> None:
    near = RIGHT + 0.1 * RNG.normal(size=RIGHT.shape)
    assert checks.stability(RIGHT, near).holds
    assert not checks.stability(RIGHT, PLANTED).holds
    assert checks.stability(np.ones((4, 3)), np.ones((4, 3))).value == 0


def test_deletion_and_insertion_find_an_order_no_better_than_a_random_one() -> None:
    right = checks.removal(linear, RIGHT, np.random.default_rng(1))
    assert all(check.holds for check in right.checks)
    planted = checks.removal(linear, PLANTED, np.random.default_rng(1))
    assert not any(check.holds for check in planted.checks)
    upside_down = checks.removal(linear, -RIGHT, np.random.default_rng(1))
    assert all(check.value is not None and check.value < 0 for check in upside_down.checks)


def test_curves_of_two_features_by_hand() -> None:
    """One row, output 4 from base 1: the first feature brings 2, the second 1."""
    brings = np.array([2.0, 1.0])
    found = checks.removal(lambda kept: 1 + kept @ brings, brings[None], np.random.default_rng(0), 2, 1)
    assert found.curves is not None
    assert found.curves.kept == (0, 0.5, 1)
    assert found.curves.insertion == (0, pytest.approx(2 / 3, abs=1e-6), 1)
    assert found.curves.deletion == (0, pytest.approx(1 / 3, abs=1e-6), 1)


def test_removal_asks_as_often_as_it_says_and_holds_nothing_of_a_constant_model() -> None:
    asked = []

    def answer(kept: np.ndarray) -> np.ndarray:
        asked.append(len(kept))
        return linear(kept)

    checks.removal(answer, RIGHT, np.random.default_rng(1))
    assert len(asked) == checks.removal_answers(10)
    constant = checks.removal(lambda kept: np.ones(len(kept)), RIGHT, np.random.default_rng(1))
    assert constant.curves is None
    assert [(check.value, check.holds) for check in constant.checks] == [(None, False)] * 2


def test_randomised_weights_find_an_explanation_of_the_rows_instead_of_the_model() -> None:
    assert checks.randomised(RIGHT, PLANTED).holds
    edges = ROWS * np.linspace(3, 1, 10)  # a detector that never looks at the model
    assert not checks.randomised(edges, edges).holds
    assert not checks.randomised(np.ones((4, 3)), np.ones((4, 3))).holds


def test_fidelity_finds_a_simpler_model_that_does_not_tell_the_output() -> None:
    kept = RNG.integers(0, 2, (200, 10)).astype(bool)
    outputs = np.array([(row * kept) @ SLOPES + 1 for row in ROWS])
    near = np.exp(-(~kept).sum(axis=1) / 4) * np.ones((40, 1))
    assert checks.fidelity(1 + RIGHT @ kept.T, outputs, near).value == 1
    for planted in (PLANTED, -RIGHT, 3 * RIGHT, np.roll(RIGHT, 1, axis=1)):
        assert not checks.fidelity(1 + planted @ kept.T, outputs, near).holds
    constant = np.ones_like(outputs)
    assert checks.fidelity(constant, constant, near).value is None
    assert not checks.fidelity(outputs, constant, near).holds


def test_fidelity_by_hand() -> None:
    """Outputs 0 and 3 weigh twice: of their 9 around the mean 1.5 a model that says 0.5 for 0 leaves 0.5."""
    outputs, told, weights = ([[0, 1, 2, 3]], [[0.5, 1, 2, 3]], [[2, 0, 0, 2]])
    found = checks.fidelity(*(np.array(each, float) for each in (told, outputs, weights)))
    assert found.value == pytest.approx(1 - 0.5 / 9, abs=1e-6)


def test_an_explanation_is_as_reliable_as_its_checks_and_says_nothing_else() -> None:
    good, bad = (Check.of("completeness", value, "at most", 0.05, "") for value in (0.01, 0.2))
    own = {"part": "output", "method": "SHAP", "of": "", "rows": 1, "evaluations": 1}
    assert Explanation.checked([good], **own).reliable
    assert not Explanation.checked([good, bad], **own).reliable
    assert not Explanation.checked([], **own).reliable
    with pytest.raises(ValueError, match="`reliable` is False by its checks"):
        Explanation(checks=(good, bad), reliable=True, **own)
    with pytest.raises(ValueError, match="gives False, found True"):
        Check(name="completeness", value=None, side="at most", limit=1, holds=True, meaning="")
