"""Tuning: trials on the training part alone, compared on its validation rows, and the point that is chosen.

Optuna proposes, and forgets nothing when a run is killed: every finished trial is a file, told to it again.
Each proposal draws from its own seed, so a search that goes on proposes what an undisturbed one would have.
A file's name ends in the SHA-256 of its bytes: a trial that was harmed must not choose the model.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import optuna
from optuna.study import StudyDirection
from pydantic import ValidationError

from tasks.errors import NotEnoughMemory, Refusal
from tasks.evaluate.evaluate import count_labels, count_predictions
from tasks.evaluate.predict import predict_part
from tasks.evidence.digest import write_atomically
from tasks.fairness.counts import judge_sets
from tasks.fairness.cube import Cube
from tasks.fairness.verdict import Judged
from tasks.model.device import choose_device
from tasks.model.predictor import Predictor
from tasks.plan.judgement import TEST, Limit, TooSmall
from tasks.plan.metrics import METRICS
from tasks.plan.plan import Plan
from tasks.plan.tuning import Between, OneOf, Setting, Tuning
from tasks.train.part import Rows
from tasks.train.prepare import held_out, known_of
from tasks.train.records import Trial, Tuned
from tasks.train.train import train

UNDEFINED = 1e9
"""Excess of a gap that can't be measured on the validation rows: further out than any that can."""


class Judging(NamedTuple):
    """What the trials of a search have in common.

    Attributes:
        plan: its recipe holds the search.
        metric: the performance searched for.
        training: counts of the training part by group, from which the gate settles which groups it judges.
        test_rows: rows of the test part, for which it does; nothing else of them is known here.
    """

    plan: Plan
    metric: str
    training: Cube
    test_rows: int


def tune(rows: Rows, test_rows: int, plan: Plan, folder: Path, on_trial: Callable[[Trial], None]) -> Tuned:
    """Search the recipe as the plan says; without a search, nothing is changed.

    Args:
        rows: the training part; never test rows.
        test_rows: how many rows the test part has, which settles the groups that the gate will judge.
        plan: its recipe holds the search.
        folder: for this search's finished trials, by device, which a later call goes on from.
        on_trial: called with each finished trial, also with those that an earlier call finished.

    Raises:
        Refusal: no trial could be trained and measured, or a limit is undefined in all of them.
    """
    tuning = plan.recipe.tuning
    if tuning is None:
        return Tuned()
    optuna.logging.disable_default_handler()
    folder /= choose_device().type  # another one would not have measured the same
    metric = tuning.metric or plan.judgement.performance[0].metric
    judging = Judging(plan, metric, count_labels(rows.described, plan.judgement), test_rows)
    directions = [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE]
    study = optuna.create_study(directions=directions[: 1 + (tuning.aim == "pareto")])
    trials: list[Trial] = []
    refused: list[str] = []
    for number in range(tuning.trials):
        study.sampler = optuna.samplers.TPESampler(seed=(plan.recipe.seed * 100_003 + number) % 2**32)
        asked = study.ask(_distributions(tuning.search))
        settings = _settings(asked.params, tuning)
        trial = _finished(folder, number, settings, refused)
        if trial is None:
            trial = _try(rows, judging, number, settings, folder / "trial")
            content = trial.model_dump_json(indent=1).encode()
            write_atomically(folder / f"trial-{number:05d}-{sha256(content).hexdigest()}.json", content)
        _tell(study, asked, trial, tuning)
        trials.append(trial)
        on_trial(trial)
    return _chosen(trials, judging, tuning).model_copy(update={"refused_trials": tuple(refused)})


def _finished(folder: Path, number: int, settings: Mapping[str, Any], refused: list[str]) -> Trial | None:
    """A trial that an earlier call finished; a harmed one counts as absent, and is told of in ``refused``."""
    for path in sorted(folder.glob(f"trial-{number:05d}-*.json")):
        content = path.read_bytes()
        if sha256(content).hexdigest() != path.stem.rpartition("-")[2]:
            refused.append(
                f"{path.name}: its bytes do not have the SHA-256 that its name states; "
                "the trial is truncated or altered and was not used"
            )
            continue
        trial = Trial.model_validate_json(content)
        if (trial.number, trial.settings) == (number, settings):
            return trial
        refused.append(
            f"{path.name}: it holds trial {trial.number} with {settings_text(trial.settings)}, expected is "
            f"trial {number} with {settings_text(settings)}; the trial is of another search and was not used"
        )
    return None


def _distributions(search: Mapping[str, Setting]) -> dict[str, optuna.distributions.BaseDistribution]:
    return {key: _distribution(setting) for key, setting in search.items()}


def _distribution(setting: Setting) -> optuna.distributions.BaseDistribution:
    if isinstance(setting, OneOf):  # by position: Optuna takes no lists
        return optuna.distributions.CategoricalDistribution(range(len(setting.values)))
    log = setting.scale == "log"
    if setting.type == "integer":
        return optuna.distributions.IntDistribution(int(setting.low), int(setting.high), log=log)
    return optuna.distributions.FloatDistribution(setting.low, setting.high, log=log)


def _settings(point: Mapping[str, Any], tuning: Tuning) -> dict[str, Any]:
    """Settings of the recipe at a point of Optuna's."""
    search = tuning.search
    return {
        key: value if isinstance(search[key], Between) else search[key].ends()[value]
        for key, value in point.items()
    }


def _try(rows: Rows, judging: Judging, number: int, settings: dict[str, Any], folder: Path) -> Trial:
    """Train with the settings and measure on the validation rows.

    What one trial can't do (its loss is infinite, a batch has no room in memory) is its own result. A file
    that is missing, or a worker that ended, is none: the search ends there and may go on later.
    """
    failed = Trial(number=number, settings=settings)
    try:
        changed = judging.plan.changed(settings)
    except ValidationError as error:  # each fits alone, or the plan were refused: not all do together
        return failed.model_copy(update={"because": error.errors()[0]["msg"]})
    try:
        trained = train(*rows, changed, folder / "model", folder / "checkpoints")
    except (Refusal, NotEnoughMemory) as error:
        return failed.model_copy(update={"because": str(error)})
    performance = trained.validation.get(judging.metric)
    if performance is None or not math.isfinite(performance):
        because = (
            f"{judging.metric} is undefined on the {trained.validation_rows} validation rows, as where all "
            "are of one class; raise recipe.split.validation, or search by another recipe.tuning.metric"
        )
        return failed.model_copy(update={"because": because})
    judged = _judged(rows, changed, judging, folder / "model")
    gaps = {_words(one): one.measurement for one in judged}
    return Trial(
        number=number,
        settings=settings,
        performance=performance,
        gaps=gaps,
        undefined={_words(one): one.settles or one.sentence for one in judged if one.measurement is None},
        excess=_excesses(gaps, changed)[0],
        epochs=len(trained.history),
    )


def _words(limit: Limit | Judged) -> str:
    return f"{limit.metric} by {limit.attribute}"


def _judged(rows: Rows, plan: Plan, judging: Judging, model: Path) -> list[Judged]:
    """The gate's limits on the validation rows that the model can take, between the gate's groups."""
    predictor = Predictor.load(model).without_noise()  # on validation rows decisions are known
    held = known_of(held_out(rows.frame, plan), rows.frame, predictor.features)
    predictions = predict_part(predictor, rows.frame.filter(held), plan.judgement)
    cube = count_predictions(
        predictions, rows.described.filter(held), plan.judgement, predictor.rule.score_edges
    )
    small = _as_the_gate(plan.judgement.too_small, judging, cube.rows)
    # An audit set is opened after the freeze.
    own = plan.judgement.model_copy(update={"audits": {}, "too_small": small})
    return judge_sets({TEST: cube}, judging.training, own, own.alpha)


def _as_the_gate(small: TooSmall, judging: Judging, rows: int) -> TooSmall:
    """The policy that judges, on so many validation rows, the groups that the gate judges on the test part.

    The gate judges a group whose training count, times test rows / training rows, reaches the smallest
    denominator. On validation rows the same count promises less, so the smallest denominator is lowered
    alike: with the plan's own a search would be blind to groups that the gate will judge, and with none
    at all it would follow those that the gate lists as too small. A gap between few validation rows is
    noise for that: `headroom` and `split.validation` are there for it.
    """
    least = math.ceil(small.smallest_denominator * judging.training.rows / judging.test_rows)
    # Counts are whole, so half a row less settles the same groups, whatever the products are rounded to.
    promised = (least - 0.5) * rows / judging.training.rows
    return small.model_copy(update={"smallest_denominator": promised})


def _excesses(gaps: Mapping[str, float | None], plan: Plan) -> list[float]:
    """How far each gap lies beyond its limit less the headroom, the worst first; at most 0 is within."""
    headroom = plan.recipe.tuning.headroom if plan.recipe.tuning is not None else 0.0
    return sorted(
        (_excess(limit, gaps[_words(limit)], headroom) for limit in plan.judgement.limits), reverse=True
    )


def _excess(limit: Limit, gap: float | None, headroom: float) -> float:
    if gap is None:
        return UNDEFINED
    if METRICS[limit.metric].kind in ("ratio", "minimum"):
        return limit.limit + headroom * (1 - limit.limit) - gap
    return gap - limit.limit * (1 - headroom)


def _tell(study: optuna.Study, asked: optuna.Trial, trial: Trial, tuning: Tuning) -> None:
    if trial.performance is None or trial.excess is None:
        study.tell(asked, state=optuna.trial.TrialState.FAIL)
        return
    asked.set_constraint("limits", trial.excess)
    study.tell(asked, [trial.performance, trial.excess][: 1 + (tuning.aim == "pareto")])


def _chosen(trials: Sequence[Trial], judging: Judging, tuning: Tuning) -> Tuned:
    """The best within limits; where none is, the one least beyond them, which the gate will look at."""
    told = [trial for trial in trials if trial.performance is not None and trial.excess is not None]
    if not told:
        raise Refusal(
            f"tuning: none of {len(trials)} trials could be trained and measured; the first: "
            f"{trials[0].because}"
        )
    _require_defined(told, judging.plan)
    within = [trial for trial in told if _value(trial.excess) <= 0]
    if within:
        best = max(within, key=lambda trial: (_value(trial.performance), -trial.number))
        because = f"the best {judging.metric} of {len(within)} trials within the limits on validation rows"
    else:
        best = min(told, key=lambda trial: _beyond(trial, judging.plan))
        because = "no trial keeps the limits on validation rows; this one is least beyond them"
        if best.undefined:
            because += f", with {', '.join(best.undefined)} undefined"
    return Tuned(
        aim=tuning.aim,
        metric=judging.metric,
        headroom=tuning.headroom,
        trials=tuple(trials),
        front=tuple(trial.number for trial in told if not any(_dominates(o, trial) for o in told)),
        chosen=best.number,
        changes=best.settings,
        because=because,
    )


def _require_defined(told: Sequence[Trial], plan: Plan) -> None:
    """Refuse a search in which a limit was never measured: nothing would be chosen by it.

    Raises:
        Refusal: naming such limits, each with what keeps it from being measured.
    """
    never = [name for name in map(_words, plan.judgement.limits) if all(t.gaps[name] is None for t in told)]
    if never:
        reasons = "; ".join(f"{name} ({told[0].undefined[name]})" for name in dict.fromkeys(never))
        raise Refusal(
            f"tuning: on validation rows every limit is expected to be defined in some trial, undefined in "
            f"all {len(told)}: {reasons}. Raise recipe.split.validation, let judgement.too_small leave small "
            "groups out, or leave recipe.tuning out"
        )


def _beyond(trial: Trial, plan: Plan) -> tuple[list[float], float, int]:
    """The less, the better: the worst limit decides, on a tie the next one, then performance."""
    return _excesses(trial.gaps, plan), -_value(trial.performance), trial.number


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
