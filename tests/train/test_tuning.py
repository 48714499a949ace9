"""A search over the recipe: on validation rows alone, resumable, honest where nothing keeps the limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from tasks.errors import Refusal
from tasks.plan.limits import parse_limits
from tasks.plan.plan import Plan
from tasks.train.part import Rows
from tasks.train.records import Trial
from tasks.train.tuning import tune

from .conftest import Sample

RATE = {"training.optimizer.rate": {"low": 1e-4, "high": 1e-1, "scale": "log"}}
HIDDEN = {"model.hidden": {"values": [[4], [16, 8]]}}


def searching(plan: Plan, search: dict[str, Any], **settings: Any) -> Plan:
    document = plan.model_dump(mode="json")
    document["recipe"]["training"]["epochs"] = 2
    document["recipe"]["tuning"] = {"trials": 4, "search": search, **settings}
    document["judgement"]["limits"] = document["judgement"]["limits"][:1]  # by sex alone: few rows
    return Plan.model_validate(document)


def rows_of(sample: Sample) -> Rows:
    return Rows(sample.frame.with_row_index("row_id"), sample.described, None)


def test_the_best_within_limits_is_chosen_and_every_trial_told(sample: Sample, tmp_path: Path) -> None:
    told: list[Trial] = []
    plan = searching(sample.plan, {**RATE, **HIDDEN}, metric="accuracy", headroom=0.0)
    tuned = tune(rows_of(sample), plan, tmp_path, told.append)
    assert [trial.number for trial in told] == [0, 1, 2, 3]
    assert tuned.trials == tuple(told)
    assert {tuple(trial.settings["model.hidden"]) for trial in told} <= {(4,), (16, 8)}
    within = [t for t in told if t.excess is not None and t.excess <= 0]
    if within:
        assert tuned.trials[tuned.chosen or 0].performance == max(t.performance or 0 for t in within)
    chosen = plan.changed(tuned.changes).recipe
    assert chosen.training.optimizer.rate == tuned.changes["training.optimizer.rate"]
    assert (tuned.chosen or 0) in {t.number for t in told}


def test_a_killed_search_goes_on_to_the_same_trials(sample: Sample, tmp_path: Path) -> None:
    plan = searching(sample.plan, RATE)

    def killed(trial: Trial) -> None:
        if trial.number == 1:
            raise KeyboardInterrupt

    undisturbed = tune(rows_of(sample), plan, tmp_path / "whole", lambda _: None)
    with pytest.raises(KeyboardInterrupt):
        tune(rows_of(sample), plan, tmp_path / "killed", killed)
    (tmp_path / "killed" / "trial-00001.json").unlink()
    assert tune(rows_of(sample), plan, tmp_path / "killed", lambda _: None) == undisturbed


def test_where_no_trial_keeps_the_limits_the_least_beyond_is_chosen_and_it_is_said(
    sample: Sample, tmp_path: Path
) -> None:
    plan = searching(sample.plan, RATE)
    impossible = [{"metric": "selection_rate_minimum", "attribute": "sex", "limit": 0.9}]
    judgement = plan.judgement.model_copy(update={"limits": parse_limits(impossible)})
    plan = plan.model_copy(update={"judgement": judgement})
    tuned = tune(rows_of(sample), plan, tmp_path, lambda _: None)
    assert "no trial keeps the limits" in tuned.because
    assert tuned.chosen == min(tuned.trials, key=lambda t: (t.excess or 0, t.number)).number


def test_pareto_front_holds_what_nothing_beats(sample: Sample, tmp_path: Path) -> None:
    tuned = tune(rows_of(sample), searching(sample.plan, RATE, aim="pareto"), tmp_path, lambda _: None)
    best = max(tuned.trials, key=lambda t: (t.performance or 0, -(t.excess or 0)))
    fairest = min(tuned.trials, key=lambda t: (t.excess or 0, -(t.performance or 0)))
    assert {best.number, fairest.number} <= set(tuned.front)


def test_the_training_part_is_all_that_counts(sample: Sample, tmp_path: Path) -> None:
    """The training part alone is handed to the search: with fewer of its rows, trials come out otherwise."""
    plan = searching(sample.plan, RATE)
    whole = tune(rows_of(sample), plan, tmp_path / "whole", lambda _: None)
    fewer = Rows(rows_of(sample).frame[:1200], sample.described[:1200], None)
    assert tune(fewer, plan, tmp_path / "fewer", lambda _: None) != whole


def test_trials_that_cannot_be_trained_are_on_record_and_all_of_them_refuse(
    sample: Sample, tmp_path: Path
) -> None:
    wild = {"training.optimizer.rate": {"low": 1e29, "high": 1e30}}
    plan = searching(sample.plan, wild).changed({"training.clip_norm": None})
    told: list[Trial] = []
    with pytest.raises(Refusal, match="none of 4 trials could be trained; the first: training, epoch 1"):
        tune(rows_of(sample), plan, tmp_path, told.append)
    assert all("the loss is" in trial.because for trial in told)


@pytest.mark.parametrize(
    ("search", "problem"),
    [
        ({"training.optimizer.speed": {"low": 1, "high": 2}}, "the recipe has no key"),
        ({"training.batch": {"low": 0, "high": 64, "type": "integer"}}, "0 does not fit"),
        ({"seed": {"low": 0, "high": 9, "type": "integer"}}, "can't be searched"),
        ({"split.validation": {"low": 0.1, "high": 0.3}}, "can't be searched"),
        ({"training.optimizer.rate": {"low": 0, "high": 1, "scale": "log"}}, "lies above 0"),
        ({"model.hidden": {"values": [[4], ["wide"]]}}, "does not fit"),
    ],
)
def test_a_search_that_does_not_fit_the_recipe_is_refused(
    sample: Sample, search: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValidationError, match=problem):
        searching(sample.plan, search)


def test_without_a_search_nothing_changes(sample: Sample, tmp_path: Path) -> None:
    empty = Rows(pl.DataFrame(), pl.DataFrame(), None)
    assert tune(empty, sample.plan, tmp_path, lambda _: None).changes == {}
    assert sample.plan.changed({}) == sample.plan
