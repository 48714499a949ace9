"""What must fit between judgement and recipe: kind of data, features, model, label, loss and metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tasks.plan.data import Number
from tasks.plan.judgement import Judgement
from tasks.plan.recipe import Recipe
from tasks.plan.training import BinaryCrossEntropy, MeanSquaredError

OF_NUMBERS = ("r2",)
"""Performance metrics of a predicted number; the others are of classes."""


def with_defaults(document: Any) -> Any:
    """The plan as written, with what follows from the data filled in: the features' kind and the loss.

    Anything that isn't shaped like a plan is left for the types to refuse.
    """
    data, recipe = _at(document, "judgement", "data"), _at(document, "recipe")
    if not isinstance(data, Mapping) or not isinstance(recipe, Mapping):
        return document
    filled = {**recipe, "features": {"kind": data.get("kind"), **(_at(recipe, "features") or {})}}
    training = recipe.get("training") or {}
    if _at(data, "label", "type") == "number" and isinstance(training, Mapping) and "loss" not in training:
        filled["training"] = {**training, "loss": {"kind": "mse"}}
    return {**document, "recipe": filled}


def _at(document: Any, *keys: str) -> Any:
    for key in keys:
        if not isinstance(document, Mapping):
            return None
        document = document.get(key)
    return document


def recipe_problems(kind: str, recipe: Recipe) -> Iterator[str]:
    """Features and model that can't take the data."""
    if recipe.features.kind != kind:
        yield f"recipe.features.kind: the data is {kind}, found {recipe.features.kind!r}; leave it out"
    if kind not in recipe.model.takes:
        takes = ", ".join(recipe.model.takes)
        yield f"recipe.model.kind: {recipe.model.kind!r} takes {takes}, the data is {kind}"


def label_problems(judgement: Judgement, recipe: Recipe) -> Iterator[str]:
    """Loss, metrics and mitigation that do not fit what is predicted."""
    label, loss = judgement.data.label, recipe.training.loss
    numeric = isinstance(label, Number)
    if numeric != isinstance(loss, MeanSquaredError):
        fits = "mse" if numeric else "cross_entropy or binary_cross_entropy"
        yield f"recipe.training.loss.kind: {fits} is expected for this label, found {loss.kind!r}"
    if isinstance(loss, BinaryCrossEntropy) and not isinstance(label, Number) and len(label.values) != 2:
        yield f"recipe.training.loss.kind: {loss.kind!r} is for two classes, found {len(label.values)}"
    for i, required in enumerate(judgement.performance):
        if (required.metric in OF_NUMBERS) != numeric:
            what = "a number" if numeric else "a class"
            yield f"judgement.performance[{i}].metric: {required.metric!r} is no metric of {what}"
    if numeric and recipe.mitigation:
        yield "recipe.mitigation: reweighing makes group and class independent; the label is a number"
    if numeric and judgement.test_set.stratified:
        yield "judgement.test_set.stratified: the label is a number, and has no classes to share out"
