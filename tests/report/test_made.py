"""How the model was made, as the front page tells it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import get_args

from tasks.mitigate.before import CHANGES
from tasks.plan import load_plan
from tasks.privacy.records import Mechanism, Spent
from tasks.report.made import MAKES, made
from tasks.train.records import Trial, Tuned


def frozen(best_epoch: int, privacy: Spent | None = None) -> SimpleNamespace:
    """What is told of a record ``freeze``."""
    return SimpleNamespace(
        fit_rows=30_000,
        made_rows=0,
        made_by={},
        validation_rows=2_500,
        best_epoch=best_epoch,
        history=range(9),
        privacy=privacy,
    )


def test_a_run_tells_its_steps_and_its_rows_and_no_more_than_happened() -> None:
    plan = load_plan("adult", Path(__file__).parents[2] / "data", [])
    freeze = frozen(best_epoch=3)
    lines = ["Learned from 30,000 rows; 2,500 validation rows chose epoch 3 of 9."]
    step = "Against bias, before training: reweighing (attribute sex x race, strength 0.7)."
    assert made(plan, {}) == [step]
    assert made(plan, {"tuning": Tuned(), "freeze": freeze}) == [step, *lines]
    freeze.made_rows = 1200
    assert "30,000 rows, 1,200 of them made by these steps;" in made(plan, {"freeze": freeze})[-1]
    freeze.made_by = {"resampling": 1100, "synthesis": 100}
    told = "1,200 of them made by these steps: 1,100 drawn again (resampling), 100 generated (synthesis);"
    assert told in made(plan, {"freeze": freeze})[-1]


def test_every_step_that_makes_rows_has_its_word() -> None:
    kinds = {get_args(step.model_fields["kind"].annotation)[0] for step in CHANGES}
    assert set(MAKES) == kinds - {"reweighing"}


def test_what_a_private_model_promises_is_told_by_its_accountant_and_what_it_chose_by() -> None:
    plan = load_plan("adult-private", Path(__file__).parents[2] / "data", [])
    spent = Spent(epsilon=2.98, delta=1e-5, clip=1.0, mechanism=Mechanism(noise=1.25, rate=0.01, steps=800))
    freeze = frozen(best_epoch=9, privacy=spent)
    *_, promised, learned = made(plan, {"freeze": freeze})
    assert promised == (
        f"Differentially private: {spent.summary}. It holds for the model, not for figures that were "
        "measured on rows."
    )
    assert "epsilon 2.98 at delta 1e-05" in promised
    assert "800 steps" in promised
    assert learned == (
        "Learned from 30,000 rows; 2,500 validation rows chose nothing, and the last epoch was kept."
    )


def test_what_a_search_chose_is_told_and_is_what_was_carried_out() -> None:
    plan = load_plan("adult", Path(__file__).parents[2] / "data", [])
    chosen = {"mitigation.0.strength": 0.4}
    trials = (Trial(number=0, settings={}), Trial(number=1, settings=chosen, performance=0.861))
    tuned = Tuned(metric="accuracy", trials=trials, chosen=1, changes=chosen, because="the best of 2")
    searched, step = made(plan, {"tuning": tuned})
    assert searched == (
        "Searched: 2 trials on validation rows, for accuracy. Trial 1 was chosen "
        "(mitigation.0.strength = 0.4; accuracy 0.8610 there): the best of 2."
    )
    assert "strength 0.4" in step
