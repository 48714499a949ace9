"""How a model was made, in sentences: what was searched, the steps against bias, the rows it learned from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tasks.fairness.words import number
from tasks.plan import Plan
from tasks.plan.comparing import told
from tasks.plan.data import Classes


def made(plan: Plan, records: Mapping[str, Any]) -> list[str]:
    """The sentences, of the records that there are.

    Args:
        plan: as written; what a search chose is on record.
        records: step -> record.
    """
    return [
        *_searched(records.get("tuning")),
        *_against_bias(plan, records),
        *_learned(records.get("freeze")),
        *_answered(plan),
    ]


def _searched(tuned: Any) -> Iterator[str]:
    if tuned is None or not tuned.trials:
        return
    chosen = tuned.trials[tuned.chosen]
    settings = ", ".join(f"{key} = {value}" for key, value in tuned.changes.items())
    yield (
        f"Searched: {len(tuned.trials)} trials on validation rows, for {tuned.metric}. Trial {tuned.chosen} "
        f"was chosen ({settings}; {tuned.metric} {number(chosen.performance)} there): {tuned.because}."
    )


def _against_bias(plan: Plan, records: Mapping[str, Any]) -> Iterator[str]:
    tuned = records.get("tuning")
    carried_out = plan.changed(tuned.changes) if tuned is not None else plan
    for step in carried_out.recipe.mitigation:
        yield f"Against bias, {WHEN[step.stage]}: {told(step)}."


WHEN = {
    "rows": "before training",
    "features": "in what the model takes in",
    "training": "during training",
    "decision": "in every decision",
}


def _learned(trained: Any) -> Iterator[str]:
    if trained is None:
        return
    if trained.privacy is not None:
        yield (
            f"Differentially private: {trained.privacy.summary}. It holds for the model, not for figures "
            "that were measured on rows."
        )
    yield (
        f"Learned from {trained.fit_rows:,} rows{_made_rows(trained)}; "
        f"{trained.validation_rows:,} validation rows {_chose(trained)}."
    )


def _made_rows(trained: Any) -> str:
    if not trained.made_rows:
        return ""
    each = ", ".join(f"{count:,} {MAKES[kind]} ({kind})" for kind, count in trained.made_by.items())
    return f", {trained.made_rows:,} of them made by these steps{f': {each}' if each else ''}"


MAKES = {
    "resampling": "drawn again",
    "counterfactual": "copied with another group",
    "augmentation": "altered",
    "synthesis": "generated",
}
"""What the rows are that steps of each kind make."""


def _chose(trained: Any) -> str:
    if trained.privacy is not None:
        return "chose nothing, and the last epoch was kept"
    return f"chose epoch {trained.best_epoch} of {len(trained.history)}"


def _answered(plan: Plan) -> Iterator[str]:
    answers, label = plan.recipe.answers, plan.judgement.data.label
    if answers is None or not isinstance(label, Classes):
        return
    contrast = answers.contrast(len(label.values))
    yield (
        f"Answers with noise: randomised response at epsilon {answers.epsilon:g} an answer, "
        f"{answers.budget:g} a caller. Figures here are of answers with noise, as callers get them: rates "
        f"lie {contrast:.4f} times as far apart as those of decisions, and so much of each limit is in force."
    )
