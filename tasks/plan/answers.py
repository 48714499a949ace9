"""Answers with noise: what a caller may learn, by asking, of any row that the model learned from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from math import exp
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from tasks.plan.base import Member
from tasks.plan.data import Classes
from tasks.plan.judgement import TEST, Judgement, Limit

if TYPE_CHECKING:
    from tasks.plan.recipe import Recipe

SHRUNK = (
    *(f"{name}_difference" for name in ("selection_rate", "tpr", "tnr", "fpr", "fnr", "accuracy")),
    *(f"macro_{name}_difference" for name in ("selection_rate", "tpr", "tnr", "fpr", "fnr")),
    *(f"{name}_difference" for name in ("demographic_parity", "equal_opportunity", "predictive_equality")),
    *("equalized_odds_difference", "equalized_odds_mean", "equalized_odds_sum"),
    "average_absolute_odds_difference",
)
"""Gaps that noise makes smaller by a known factor: of rates over rows that no answer chooses.

A rate of answers is a + c x that of decisions. In a difference a cancels; in a ratio, and in a group's own
rate, it does not: whether a ratio of answers keeps a limit of decisions follows from no other limit on it.
"""


class Answers(Member):
    """Randomised response over the predicted class, with a budget for each caller (Warner 1965).

    Each answer is epsilon-differentially private, by itself and for every row that the model learned from;
    the answers to one caller are so at their sum. Callers who put their answers together add theirs up.
    """

    epsilon: Annotated[float, Field(gt=0, le=20)] = Field(
        description="of each answer; of two classes 1 tells 73% as they were decided, 3 tells 95%"
    )
    budget: Annotated[float, Field(gt=0)] = Field(
        description="what all answers to one caller may spend, over all versions of the model"
    )

    @model_validator(mode="after")
    def _budget_holds_an_answer(self) -> Answers:
        if self.budget < self.epsilon:
            raise ValueError(
                f"`budget` is what all answers to a caller may spend: at least `epsilon` ({self.epsilon:g}) "
                f"is expected, found {self.budget:g}"
            )
        return self

    def contrast(self, classes: int) -> float:
        """A gap of answers over that of decisions, of k classes: (e^eps - 1) / (e^eps + k - 1)."""
        return (1 - exp(-self.epsilon)) / (1 + (classes - 1) * exp(-self.epsilon))


def held_against(judgement: Judgement, answers: Answers | None) -> Judgement:
    """The judgement with each limit as it is held against answers with noise; without noise it is the same.

    A share of answers is ``other + contrast x`` that of decisions, so a gap of answers is that of decisions
    times the contrast. Noise must hide no unfair decision: a limit is multiplied by the contrast too. That
    is to judge decisions at the plan's limit with intervals 1 / contrast times as wide as those of answers;
    what keeps it keeps the plan's limit for the answers as well, since their gap is smaller.
    """
    label = judgement.data.label
    if answers is None or not isinstance(label, Classes):
        return judgement
    contrast = answers.contrast(len(label.values))
    audits = {
        name: audit.model_copy(update={"limits": _times(audit.limits, contrast)})
        for name, audit in judgement.audits.items()
    }
    return judgement.model_copy(update={"limits": _times(judgement.limits, contrast), "audits": audits})


def _times(limits: Sequence[Limit], contrast: float) -> list[Limit]:
    return [limit.model_copy(update={"limit": limit.limit * contrast}) for limit in limits]


def answer_problems(judgement: Judgement, recipe: Recipe) -> Iterator[str]:
    """What answers with noise leave no room for."""
    at = "recipe.answers"
    if recipe.answers is None:
        return
    if not isinstance(judgement.data.label, Classes):
        yield (
            f"{at}: classes are expected; noise that hides a number is as wide as its whole range, and its "
            "errors would be those of the noise"
        )
        return
    searched = recipe.tuning.search if recipe.tuning is not None else ()
    if named := [key for key in searched if key.startswith("answers")]:
        yield f"recipe.tuning.search: {', '.join(named)}: what callers are promised is not searched for"
    for i, required in enumerate(judgement.performance):
        if required.metric == "auc":
            at = f"judgement.performance[{i}].metric"
            yield f"{at}: answers with noise have no scores; accuracy or macro_f1 is expected"
    for name, own in judgement.sets.items():
        place = "judgement" if name == TEST else f"judgement.audits.{name}"
        for i, limit in enumerate(own.limits):
            if limit.metric not in SHRUNK:
                yield (
                    f"{place}.limits[{i}].metric: noise moves {limit.metric} by no known factor, so answers "
                    f"with noise can't be held against it; expected is one of {', '.join(SHRUNK)}"
                )
            elif limit.metric == "accuracy_difference" and (several := _meant_by(judgement, name)):
                yield (
                    f"{place}.limits[{i}].metric: noise tells the right class by chance more often where "
                    f"more classes of the plan mean it ({several}), so accuracy by group would follow the "
                    "labels too; limit tpr_difference or fpr_difference"
                )


def _meant_by(judgement: Judgement, on: str) -> str:
    """How many of the plan's classes mean each class of an audit set, in words; "" where all as many."""
    label = judgement.data.label
    if on == TEST or not isinstance(label, Classes):
        return ""
    found = Counter(judgement.audits[on].means(label.values))
    return ", ".join(f"{n} {name}" for name, n in found.items()) if len(set(found.values())) > 1 else ""
