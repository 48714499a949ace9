"""What must fit between judgement and recipe: kind of data, features, model, label, loss and metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tasks.plan.base import crossing
from tasks.plan.data import Classes, Number
from tasks.plan.features import TextFeatures
from tasks.plan.federated import with_epochs
from tasks.plan.judgement import TEST, Judgement, Limit
from tasks.plan.metrics import NUMBERS, SCORES
from tasks.plan.model import CNN, Pretrained
from tasks.plan.recipe import Recipe
from tasks.plan.training import AdamW, BinaryCrossEntropy, Cosine, MeanSquaredError

OF_NUMBERS = ("r2",)
"""Performance metrics of a predicted number; the others are of classes."""
HALF = 0.5  # epochs


def with_defaults(document: Any) -> Any:
    """The plan as written, with what may be left unsaid filled in.

    The features' kind is the data's, the loss follows from the label, and whoever sets a rate need not name
    the default optimiser. Anything that isn't shaped like a plan is left for the types to refuse.
    """
    data, recipe = _at(document, "judgement", "data"), _at(document, "recipe")
    if not isinstance(data, Mapping) or not isinstance(recipe, Mapping):
        return document
    filled = {**recipe, "features": {"kind": data.get("kind"), **(_at(recipe, "features") or {})}}
    training = recipe.get("training") or {}
    if isinstance(training, Mapping):
        loss = "mse" if _at(data, "label", "type") == "number" else "cross_entropy"
        unsaid = {"loss": loss, "optimizer": AdamW().kind, "schedule": Cosine().kind}
        given = {"loss": {}, "schedule": {}, **training}
        members = {
            key: {"kind": kind, **given[key]}
            for key, kind in unsaid.items()
            if isinstance(given.get(key), Mapping)
        }
        filled["training"] = {**training, **members}
    return {**document, "recipe": _with_warmup(with_epochs(filled))}


def _with_warmup(recipe: Mapping[str, Any]) -> Mapping[str, Any]:
    """The recipe as written; of a single epoch half is the warm-up, where the default would take it all."""
    training: Any = recipe.get("training")
    schedule = _at(training, "schedule")
    if _at(training, "epochs") != 1 or _at(schedule, "kind") != Cosine().kind:
        return recipe
    return {**recipe, "training": {**training, "schedule": {"warmup_epochs": HALF, **schedule}}}


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
    features, model = recipe.features, recipe.model
    if (
        isinstance(features, TextFeatures)
        and isinstance(model, Pretrained)
        and features.length > model.positions
    ):
        yield (
            f"recipe.features.length: at most recipe.model.positions ({model.positions}) is expected, found "
            f"{features.length}: the encoder knows no place beyond"
        )


def training_problems(recipe: Recipe) -> Iterator[str]:
    """Settings of the training that leave no room for each other, or for the model's."""
    model, training, at = recipe.model, recipe.training, "recipe.training"
    if training.workers > 1 and isinstance(model, CNN) and model.norm == "batch":
        yield (
            f"recipe.model.norm: group or none is expected with {training.workers} workers "
            f"({at}.workers), found batch: each would normalise its share of a batch by itself, which is "
            "not what one process learns"
        )
    if training.batch < training.workers:
        yield (
            f"{at}.batch: at least {training.workers}, the number of {at}.workers, is expected, found "
            f"{training.batch}: each batch is shared out among them (accumulate adds up batches, and makes "
            "none larger)"
        )
    schedule = training.schedule
    if isinstance(schedule, Cosine) and schedule.warmup_epochs >= training.epochs:
        yield (
            f"{at}.schedule.warmup_epochs: fewer than {at}.epochs ({training.epochs}) is expected, found "
            f"{schedule.warmup_epochs:g}: the rate would rise to the end; lower it, or leave it out"
        )


def label_problems(judgement: Judgement, recipe: Recipe) -> Iterator[str]:
    """Loss and metrics that do not fit what is predicted."""
    label, loss = judgement.data.label, recipe.training.loss
    numeric = isinstance(label, Number)
    if numeric != isinstance(loss, MeanSquaredError):
        fits = "mse" if numeric else "cross_entropy or binary_cross_entropy"
        yield f"recipe.training.loss.kind: {fits} is expected for this label, found {loss.kind!r}"
    if isinstance(loss, BinaryCrossEntropy) and not isinstance(label, Number) and len(label.values) != 2:
        yield f"recipe.training.loss.kind: {loss.kind!r} is for two classes, found {len(label.values)}"
    yield from _metric_problems(judgement, numeric=numeric)
    yield from _search_problems(label, recipe)
    if numeric and judgement.test_set.stratified:
        yield "judgement.test_set.stratified: the label is a number, and has no classes to share out"
    if numeric and judgement.unit is not None:
        yield "judgement.unit: a predicted number is judged by rows, which must be independent"


def _metric_problems(judgement: Judgement, *, numeric: bool) -> Iterator[str]:
    """Metrics of classes where a number is predicted, or the other way round."""
    what = "a number" if numeric else "a class"
    for i, required in enumerate(judgement.performance):
        if (required.metric in OF_NUMBERS) != numeric:
            yield f"judgement.performance[{i}].metric: {required.metric!r} is no metric of {what}"
        elif required.metric == "auc" and len(getattr(judgement.data.label, "values", ())) != 2:
            yield f"judgement.performance[{i}].metric: 'auc' is of two classes, the label has more"
    for name, own in judgement.sets.items():
        at = "judgement" if name == TEST else f"judgement.audits.{name}"
        for i, limit in enumerate(own.limits):
            if (limit.metric in NUMBERS) != numeric:
                yield f"{at}.limits[{i}].metric: {limit.metric!r} is no metric of {what}"
            if numeric and "label" in crossing(limit.attribute):
                yield f"{at}.limits[{i}].attribute: the label is a number, and no group"
            if limit.metric in SCORES:
                yield from (f"{at}.limits[{i}].{problem}" for problem in _score_problems(limit, own))


def _score_problems(limit: Limit, own: Judgement) -> Iterator[str]:
    """What no score is kept for: it would be found after training, on test rows."""
    if limit.attribute not in own.protected:
        names = ", ".join(own.protected)
        yield (
            f"attribute: {limit.metric!r} is of scores, kept by attribute: one of {names} is expected, "
            f"found {limit.attribute!r}"
        )
    if isinstance(own.data.label, Classes) and own.data.label.positive is None:
        yield f"metric: {limit.metric!r} holds one class against the rest: name it as the label's `positive`"


def _search_problems(label: Classes | Number, recipe: Recipe) -> Iterator[str]:
    """A search for a performance that validation does not measure."""
    metric = recipe.tuning.metric if recipe.tuning is not None else None
    if metric is None:
        return
    if (metric in OF_NUMBERS) != isinstance(label, Number):
        yield f"recipe.tuning.metric: {metric!r} is no metric of this label"
    elif metric == "auc" and isinstance(label, Classes) and len(label.values) != 2:
        yield f"recipe.tuning.metric: {metric!r} is of two classes, the label has {len(label.values)}"
