"""Which decisions are shown one by one, and whether a row may be shown at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from tasks.explain.answer import Flags, Floats, Positions
from tasks.explain.context import Context
from tasks.explain.given import Given
from tasks.model.audio import AudioFeatures
from tasks.model.image import ImageFeatures
from tasks.model.rule import ClassRule, Rule
from tasks.plan import Plan

MOST_CLASSES = 12
FEWEST_OF_GROUP = 10
"""Rows of a group, among those explained, below which it is not called the worst."""
DECIBELS = 10 / np.log(10)  # of a natural logarithm of power


def shows_rows(plan: Plan) -> bool:
    """Whether pictures may show what stands in a row.

    Not of a plan that de-identifies its rows, trains under differential privacy or leaves rows with clients:
    a picture of a row in the run's evidence would undo that.
    """
    recipe = plan.recipe
    return plan.judgement.privacy is None and recipe.privacy is None and recipe.federated is None


@dataclass(frozen=True)
class Shown:
    """Decisions shown one by one.

    Attributes:
        rows: positions among the rows explained.
        of_worst: which of them were chosen for the group that fares worst, bool; they come last.
        worst: that group and how it fares, in words; empty where no group has enough rows.
        content: what stands in these rows, in the form that figures draw; by name, (k, ...).
        told: position of the class that each is labelled with, or the number.
    """

    rows: Positions
    of_worst: Flags
    worst: str
    content: Mapping[str, Floats]
    told: Floats

    def arrays(self, given: Given) -> dict[str, Floats]:
        """All that a figure needs beside the attributions."""
        asked = given.targets[self.rows].double().numpy()
        return {**self.content, "decided": asked, "labelled": self.told, "worst": self.of_worst.astype(float)}


def choose(context: Context, given: Given) -> Shown:
    """Some decisions of each class, then those of the group that fares worst, wrong ones first.

    Args:
        context: of the run; its ``decisions`` says how many of the classes together and of the worst group.
        given: the rows explained: the first ones of the context's frame.
    """
    rule, rows = context.predictor.rule, len(given.targets)
    described = context.described.head(rows)
    told = _told(rule, described["label"].to_list())
    answers = given.answer.answers(given.steps, given.targets)
    decided = given.targets.double().numpy()
    wrong = decided != told if isinstance(rule, ClassRule) else np.abs(answers - told)
    groups = {name: described[name].to_list() for name in context.plan.judgement.protected}
    inside, worst = _worst(groups or {"label": described["label"].cast(str).to_list()}, wrong, rule)
    wanted, rank = context.settings.decisions, np.argsort(-wrong.astype(float), kind="stable")
    classes = np.unique(decided)[:MOST_CLASSES]
    each = max(1, wanted // len(classes))
    chosen = [row for own in classes for row in np.flatnonzero(decided == own)[:each]]
    of_worst = [row for row in rank if inside[row] and row not in chosen][:wanted]
    kept = np.array([*chosen, *of_worst], np.int64)
    last = np.arange(len(kept)) >= len(chosen)
    return Shown(kept, last, worst, _content(context, given, kept), told[kept])


def _told(rule: Rule, labels: list[str | float]) -> Floats:
    if isinstance(rule, ClassRule):
        return np.array([rule.classes.index(str(label)) for label in labels], np.float64)
    return np.asarray(labels, np.float64)


def _worst(groups: Mapping[str, list[str]], wrong: Flags | Floats, rule: Rule) -> tuple[Flags, str]:
    """Rows of the group with most errors, and what it is."""
    found = [
        (float(np.mean(wrong[inside])), attribute, level, inside)
        for attribute, levels in groups.items()
        for level in sorted(set(levels))
        if (inside := np.array([one == level for one in levels])).sum() >= FEWEST_OF_GROUP
    ]
    if not found:
        return np.zeros(len(wrong), bool), ""
    error, attribute, level, inside = max(found, key=lambda each: each[0])
    how = f"{error:.1%} wrong" if isinstance(rule, ClassRule) else f"mean absolute error {error:.4g}"
    return inside, f"{attribute} {level}: {how} of {int(inside.sum())} rows explained"


def _content(context: Context, given: Given, rows: Positions) -> dict[str, Floats]:
    features, some = context.predictor.features, given.inputs.rows(torch.from_numpy(rows))
    if isinstance(features, ImageFeatures):
        return {"pixels": some["pixels"].numpy() / 255}
    if isinstance(features, AudioFeatures):
        logarithms = some["mels"][:, 0].double().numpy()
        means, deviations = np.array(features.means)[:, None], np.array(features.deviations)[:, None]
        return {"decibels": (logarithms * deviations + means) * DECIBELS}
    return {"tokens": some["tokens"].double().numpy()}
