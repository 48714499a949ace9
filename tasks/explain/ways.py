"""The ways to explain an input: which a model allows, what each costs, and which ones the budget bears."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np

from tasks.explain.answer import Floats, no_gradient
from tasks.explain.attention import attention, blocks_of
from tasks.explain.attribution import PIECES, Method, grad_cam, integrated_gradients, saliency
from tasks.explain.checks import COMPLETE, completeness, removal_answers
from tasks.explain.context import Context
from tasks.explain.given import Given
from tasks.explain.parts import Unexplained
from tasks.explain.records import Check
from tasks.model.cnn import CNN
from tasks.train.records import GRADIENT

LEAST_ROWS = 8
SHARE = 0.8
"""Of what is left of the budget."""
MADE_THRICE = 3
"""Of the rows, of the rows with noise, and of a network with its weights shuffled."""
INTEGRATED = "integrated gradients"


@dataclass(frozen=True)
class Way:
    """A way to explain the input.

    Attributes:
        method: gives attributions.
        each: evaluations that it takes of a row, once.
        adds_up: whether its attributions should add up to the answer's distance from the baseline.
    """

    method: Method
    each: int
    adds_up: bool = False


WAYS: Mapping[str, Way] = MappingProxyType(
    {
        INTEGRATED: Way(integrated_gradients, GRADIENT * PIECES[0], adds_up=True),
        "saliency": Way(saliency, GRADIENT),
        "Grad-CAM": Way(grad_cam, GRADIENT + 1),
        "attention": Way(attention, 1),
    }
)
"""The most important first."""


def cost_of(way: Way) -> int:
    """Evaluations that one row takes, checks included, for as many features as checks tell apart."""
    return MADE_THRICE * way.each + removal_answers(1000) + 2 * way.adds_up


def ways_of(context: Context) -> tuple[dict[str, Way], list[str]]:
    """The ways that this model allows, and why others are left out."""
    few, reasons = Given.of(context.predictor, context.frame.head(LEAST_ROWS)), list[str]()
    found, body = dict(WAYS), context.predictor.network.body
    context.budget.spend((1 + GRADIENT) * len(few.targets))
    if not few.there.any():
        return {}, ["no row holds a unit that could be explained"]
    if why := no_gradient(few.answer, few.steps):
        reasons.append(f"no gradients: {why}")
        found = {"attention": WAYS["attention"]}
    else:
        found[INTEGRATED] = _fine_enough(context, few)
    if not isinstance(body, CNN):
        found.pop("Grad-CAM", None)
    if not blocks_of(few.answer) or few.steps.values.dim() != 3:
        found.pop("attention", None)
    return found, reasons


def _fine_enough(context: Context, few: Given) -> Way:
    """Integrated gradients by as few points as add up on a few rows, and as the budget bears."""
    chosen, budget = WAYS[INTEGRATED], context.budget
    for pieces in PIECES:
        way = Way(partial(integrated_gradients, pieces=pieces), GRADIENT * pieces, adds_up=True)
        trial = len(few.targets) * (way.each + 2)
        if LEAST_ROWS * cost_of(way) > SHARE * (budget.left - trial):
            break
        chosen = way
        budget.spend(trial)
        error = complete(few, found_by(way.method, few)).value
        if error is not None and error <= COMPLETE / 2:  # other rows may be steeper
            break
    return chosen


def affordable_rows(context: Context, ways: dict[str, Way], reasons: list[str]) -> int:
    """Rows that can be explained; ways are given up, the least important first, where there are too few.

    Args:
        context: its budget counts.
        ways: those given up are taken out.
        reasons: gets a sentence on each.

    Raises:
        Unexplained: even one way is too much.
    """
    wanted, budget = min(context.settings.rows, len(context.frame)), context.budget
    while True:
        each = sum(map(cost_of, ways.values()))
        if rows := budget.affordable(wanted, each, LEAST_ROWS, SHARE):
            return rows
        if len(ways) == 1:
            raise Unexplained(
                f"explaining the input takes {LEAST_ROWS} rows, {each} evaluations each: there are "
                f"{len(context.frame)} rows and {int(SHARE * budget.left)} evaluations"
            )
        name, _ = ways.popitem()
        reasons.append(f"{name} is left out: with it, the evaluations allow too few rows")


def found_by(method: Method, given: Given) -> Floats:
    """Attributions (n, units...) of the rows, 0 at units that a row has not."""
    found = method(given.answer, given.steps, given.targets, given.baseline)
    return np.where(given.there, found, 0.0)


def complete(given: Given, found: Floats) -> Check:
    """Whether attributions (n, units...) add up to the answer's distance from the baseline."""
    none = np.zeros(given.features(found).shape, bool)
    flat = found.reshape(len(found), -1)
    return completeness(flat, given.with_features(~none), given.with_features(none))
