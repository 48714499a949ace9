"""How the model was made, as the front page tells it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from tasks.plan import load_plan
from tasks.report.made import made
from tasks.train.records import Trial, Tuned


def test_a_run_tells_its_steps_and_its_rows_and_no_more_than_happened() -> None:
    plan = load_plan("adult", Path(__file__).parents[2] / "data", [])
    freeze = SimpleNamespace(
        fit_rows=30_000,
        made_rows=0,
        validation_rows=2_500,
        best_epoch=3,
        history=range(9),
        privacy=None,
    )
    lines = ["Learned from 30,000 rows; 2,500 validation rows chose epoch 3 of 9."]
    step = "Against bias, before training: reweighing (attribute sex x race, strength 0.7)."
    assert made(plan, {}) == [step]
    assert made(plan, {"tuning": Tuned(), "freeze": freeze}) == [step, *lines]
    freeze.made_rows = 12
    assert "30,000 rows, 12 of them made by these steps;" in made(plan, {"freeze": freeze})[-1]


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
