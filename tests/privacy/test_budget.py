"""The budget of rows over trainings: added up by row, refused when spent."""

import numpy as np
import pytest

from tasks.plan.differential import DpSgd
from tasks.privacy.accountant import epsilon_of
from tasks.privacy.budget import Line, Rows, draw
from tasks.privacy.records import Drawn, Mechanism

STEPS = Mechanism(noise=2.0, rate=0.1, steps=50)
MEMBER = DpSgd(kind="dp_sgd", epsilon=2.0, delta=1e-5, budget=3.0)


def rows(first: int, last: int) -> Rows:
    return np.arange(first, last, dtype=np.uint64)


def drawn(earlier: list[Rows], own: Rows, wanted: Mechanism | None = STEPS) -> Drawn:
    """What a training on ``own`` may draw after trainings on the earlier sets."""
    lines = [Line(key=str(i), rows=str(i), mechanism=STEPS, run=f"run {i}") for i in range(len(earlier))]
    return draw(lines, {str(i): each for i, each in enumerate(earlier)}, own, wanted, MEMBER)


def test_trainings_on_the_same_rows_add_up_as_one_of_all_their_steps() -> None:
    found = drawn([rows(0, 100)], rows(0, 100))
    together = STEPS.model_copy(update={"steps": 100})
    assert found.total == pytest.approx(epsilon_of([together], 1e-5))
    assert found.epsilon < found.total < 2 * found.epsilon  # less than by adding epsilons
    assert (found.trainings, found.problem) == (2, "")


def test_a_spent_budget_is_refused_with_both_figures() -> None:
    before = 0
    while not (found := drawn([rows(0, 100)] * before, rows(0, 100))).problem:
        before += 1
    assert before > 1
    assert found.total > 3
    spent = epsilon_of([STEPS] * before, 1e-5)
    assert spent <= 3
    assert (
        f"{before} trainings on some of these rows spent epsilon {spent:.3g} at delta 1e-05" in found.problem
    )
    assert "recipe.privacy.budget is 3" in found.problem
    assert found.problems == (found.problem,)


def test_the_row_that_was_learned_from_most_decides() -> None:
    """Two trainings on halves spend on no row twice; a single row of both does."""
    apart = drawn([rows(0, 50), rows(50, 100)], rows(0, 100))
    assert apart.trainings == 2
    shared = drawn([rows(0, 51), rows(50, 100)], rows(0, 100))
    assert shared.trainings == 3
    assert shared.total > apart.total
    assert drawn([rows(0, 50)], rows(50, 100)).total == pytest.approx(epsilon_of([STEPS], 1e-5))


def test_a_training_that_goes_on_draws_nothing_more() -> None:
    found = drawn([rows(0, 100)], rows(0, 100), wanted=None)
    assert found.epsilon == 0
    assert found.total == pytest.approx(epsilon_of([STEPS], 1e-5))
