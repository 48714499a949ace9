"""Tuning: trials on the training part alone, compared on its validation rows, and the point that is chosen.

Optuna proposes, and forgets nothing when a run is killed: every finished trial is a file, told to it again.
Each proposal draws from its own seed, so a search that goes on proposes what an undisturbed one would have.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.study import StudyDirection

from tasks.errors import Refusal
from tasks.evaluate.evaluate import count_predictions
from tasks.evaluate.predict import predict_part
from tasks.evidence.digest import write_atomically
from tasks.fairness.counts import judge_sets
from tasks.model.predictor import Predictor
from tasks.plan.judgement import TEST
from tasks.plan.metrics import METRICS
from tasks.plan.plan import Plan
from tasks.plan.tuning import Between, OneOf, Setting, Tuning
from tasks.train.part import Rows
from tasks.train.prepare import held_out
from tasks.train.records import Trial, Tuned
from tasks.train.train import train

UNDEFINED = 1e9
"""Excess of a gap that can't be measured on the validation rows: further out than any that can."""


def tune(rows: Rows, plan: Plan, folder: Path, on_trial: Callable[[Trial], None]) -> Tuned:
    """Search the recipe as the plan says; without a search, nothing is changed.

    Args:
        rows: the training part; never test rows.
        plan: its recipe holds the search.
        folder: for this search's finished trials, which a later call goes on from.
        on_trial: called with each finished trial, also with those that an earlier call finished.
    """
    tuning = plan.recipe.tuning
    if tuning is None:
        return Tuned()
    optuna.logging.disable_default_handler()
    metric = tuning.metric or plan.judgement.performance[0].metric
    directions = [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE]
    study = optuna.create_study(directions=directions[: 1 + (tuning.aim == "pareto")])
    trials: list[Trial] = []
    for number in range(tuning.trials):
        study.sampler = optuna.samplers.TPESampler(seed=(plan.recipe.seed * 100_003 + number) % 2**32)
        asked = study.ask(_distributions(tuning.search))
        path = folder / f"trial-{number:05d}.json"
        if not path.is_file():
            found = _try(rows, plan, number, asked.params, metric, folder / "trial")
            write_atomically(path, found.model_dump_json(indent=1).encode())
        trial = Trial.model_validate_json(path.read_bytes())
        _tell(study, asked, trial, tuning)
        trials.append(trial)
        on_trial(trial)
    return _chosen(trials, tuning, metric)


def _distributions(search: Mapping[str, Setting]) -> dict[str, optuna.distributions.BaseDistribution]:
    return {key: _distribution(setting) for key, setting in search.items()}


def _distribution(setting: Setting) -> optuna.distributions.BaseDistribution:
    if isinstance(setting, OneOf):  # by position: Optuna takes no lists
        return optuna.distributions.CategoricalDistribution(range(len(setting.values)))
    log = setting.scale == "log"
    if setting.type == "integer":
        return optuna.distributions.IntDistribution(int(setting.low), int(setting.high), log=log)
    return optuna.distributions.FloatDistribution(setting.low, setting.high, log=log)


def _try(rows: Rows, plan: Plan, number: int, point: Mapping[str, Any], metric: str, folder: Path) -> Trial:
    """Train with the point's settings and measure on the validation rows."""
    search = plan.recipe.tuning.search if plan.recipe.tuning is not None else {}
    settings = {
        key: value if isinstance(search[key], Between) else search[key].ends()[value]
        for key, value in point.items()
    }
    changed = plan.changed(settings)
    try:
        trained = train(*rows, changed, folder / "model", folder / "checkpoints")
    except Refusal as refusal:
        return Trial(number=number, settings=settings, because=str(refusal))
    headroom = plan.recipe.tuning.headroom if plan.recipe.tuning is not None else 0.0
    gaps = _gaps(rows, changed, folder / "model")
    excess = [
        _excess(limit.metric, limit.limit, gap, headroom)
        for limit, gap in zip(plan.judgement.limits, gaps, strict=True)
    ]
    names = [f"{limit.metric} by {limit.attribute}" for limit in plan.judgement.limits]
    return Trial(
        number=number,
        settings=settings,
        performance=trained.validation[metric],
        gaps=dict(zip(names, gaps, strict=True)),
        excess=max(excess),
        epochs=len(trained.history),
    )


def _gaps(rows: Rows, plan: Plan, model: Path) -> list[float | None]:
    """The gate's metrics on the validation rows that the model can take; None where undefined."""
    held = held_out(rows.frame, plan)
    predictor = Predictor.load(model).without_noise()  # on validation rows decisions are known
    held[held] = ~predictor.features.unknown_rows(rows.frame.filter(held))
    predictions = predict_part(predictor, rows.frame.filter(held), plan.judgement)
    cube = count_predictions(
        predictions, rows.described.filter(held), plan.judgement, predictor.rule.score_edges
    )
    own = plan.judgement.model_copy(update={"audits": {}})  # an audit set is opened after the freeze
    return [judged.measurement for judged in judge_sets({TEST: cube}, None, own, own.alpha)]


def _excess(metric: str, limit: float, gap: float | None, headroom: float) -> float:
    """How far a gap lies beyond the limit less its headroom; at most 0 is within."""
    if gap is None:
        return UNDEFINED
    if METRICS[metric].kind in ("ratio", "minimum"):
        return limit + headroom * (1 - limit) - gap
    return gap - limit * (1 - headroom)


def _tell(study: optuna.Study, asked: optuna.Trial, trial: Trial, tuning: Tuning) -> None:
    if trial.performance is None or trial.excess is None:
        study.tell(asked, state=optuna.trial.TrialState.FAIL)
        return
    asked.set_constraint("limits", trial.excess)
    study.tell(asked, [trial.performance, trial.excess][: 1 + (tuning.aim == "pareto")])


def _chosen(trials: Sequence[Trial], tuning: Tuning, metric: str) -> Tuned:
    """The best within limits; where none is, the one least beyond them, which the gate will look at."""
    told = [trial for trial in trials if trial.performance is not None and trial.excess is not None]
    if not told:
        raise Refusal(
            f"tuning: none of {len(trials)} trials could be trained; the first: {trials[0].because}"
        )
    within = [trial for trial in told if _value(trial.excess) <= 0]
    if within:
        best = max(within, key=lambda trial: (_value(trial.performance), -trial.number))
        because = f"the best {metric} of {len(within)} trials within the limits on validation rows"
    else:
        best = min(told, key=lambda trial: (_value(trial.excess), trial.number))
        because = "no trial keeps the limits on validation rows; this one is least beyond them"
    return Tuned(
        aim=tuning.aim,
        metric=metric,
        headroom=tuning.headroom,
        trials=tuple(trials),
        front=tuple(trial.number for trial in told if not any(_dominates(o, trial) for o in told)),
        chosen=best.number,
        changes=best.settings,
        because=because,
    )


def _dominates(one: Trial, other: Trial) -> bool:
    pairs = [
        (_value(one.performance), _value(other.performance)),
        (-_value(one.excess), -_value(other.excess)),
    ]
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


def _value(number: float | None) -> float:
    assert number is not None  # noqa: S101 - asked of trials that were trained
    return number


def settings_text(settings: Mapping[str, Any]) -> str:
    """Settings on one line, for a progress bar or a name."""
    return ", ".join(f"{key.rpartition('.')[2]}={json.dumps(value)}" for key, value in settings.items())
