"""From typed rows to predictions, with a frozen model."""

from __future__ import annotations

from functools import partial

import polars as pl

from tasks.errors import Refusal
from tasks.evaluate.kinds import kind_of
from tasks.model.noise import RandomisedResponse
from tasks.model.predictor import Predictor
from tasks.plan import Plan
from tasks.plan.data import Classes
from tasks.plan.judgement import TEST, Judgement


def noise_of(plan: Plan) -> RandomisedResponse | None:
    """The noise that a plan's model answers with; None where it answers as it decides."""
    answers, label = plan.recipe.answers, plan.judgement.data.label
    if answers is None or not isinstance(label, Classes):
        return None
    return RandomisedResponse(answers.epsilon, answers.budget, len(label.values), plan.name)


def predict_part(
    predictor: Predictor, frame: pl.DataFrame, judgement: Judgement, on: str = TEST
) -> pl.DataFrame:
    """Predictions of a typed part as predictions.csv has them; as retrain and replay do.

    Of a model that answers with noise they have it, the same whenever these rows are predicted.

    Args:
        predictor: the model.
        frame: the rows; all of them, where the model answers with noise.
        judgement: of the plan.
        on: the set that they are of: the test part, or an audit set.

    Raises:
        Refusal: for rows that the model can't take, such as a category that it never saw.
    """
    own = judgement.sets[on]
    try:
        taken = _as_taken(frame, own, judgement)
        scores, groups = predictor.scores(taken), predictor.groups(taken)
    except ValueError as error:
        where = "test part" if on == TEST else f"audit set {on}"
        raise Refusal(f"{where}: the model can't take it: {error}") from error
    noisy = None
    if predictor.noise is not None:
        noisy = partial(predictor.noise.judged, digests=frame["row_digest"].to_list(), model=predictor.digest)
    told = kind_of(judgement).answers(scores, predictor.rule, judgement, on, groups, noisy)
    return frame.select("row_id", "row_digest").hstack(told)


def _as_taken(frame: pl.DataFrame, own: Judgement, judgement: Judgement) -> pl.DataFrame:
    """The rows with what the model takes in under the name that it has in the plan."""
    found, taken = own.data.payload, judgement.data.payload
    return frame if found == taken else frame.rename({str(found): str(taken)})
