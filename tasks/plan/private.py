"""What differential privacy leaves no room for: whatever learns from private rows outside of its budget."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasks.plan.data import Data, Tabular
from tasks.plan.features import TextFeatures
from tasks.plan.judgement import Judgement
from tasks.plan.model import CNN, MLP, Model, Pretrained
from tasks.plan.recipe import Recipe
from tasks.plan.source import Column
from tasks.plan.training import GradientDescent, Plateau, Training

AT = "recipe.privacy"


def differential_problems(judgement: Judgement, recipe: Recipe, excluded: Sequence[str]) -> Iterator[str]:
    """Parts of the plan that would use private rows beyond what epsilon pays for.

    Args:
        judgement: of the plan.
        recipe: whose privacy is looked at.
        excluded: columns that the model never sees.
    """
    if recipe.privacy is None:
        return
    yield from (f"{AT}: {problem}" for problem in _row_problems(judgement, recipe))
    yield from (f"{AT}: {problem}" for problem in _data_problems(judgement.data, recipe, excluded))
    yield from (f"{AT}: {problem}" for problem in _model_problems(recipe.model))
    yield from (f"{AT}: {problem}" for problem in _training_problems(recipe.training))


def _row_problems(judgement: Judgement, recipe: Recipe) -> Iterator[str]:
    """What makes rows of rows, or one row's weight depend on the others."""
    if judgement.population is not None and judgement.population.raking is not None:
        yield (
            "judgement.population.raking weighs each row by how many others are like it, which is not "
            "paid for; leave it out"
        )
    if recipe.mitigation:
        kinds = ", ".join(step.kind for step in recipe.mitigation)
        yield f"recipe.mitigation must be empty: {kinds} would learn from, copy or weigh private rows unpaid"
    if recipe.federated is not None:
        yield "recipe.federated must be null: clients take no noisy steps"
    if recipe.tuning is not None:
        yield "recipe.tuning must be null: each of its trials would be another training on the same rows"


def _data_problems(data: Data, recipe: Recipe, excluded: Sequence[str]) -> Iterator[str]:
    """Features whose range, levels or tokens could only be learned from private rows."""
    if isinstance(data, Tabular):
        for name, column in data.columns.items():
            if name not in excluded and (lacking := _not_public(column)):
                yield (
                    f"judgement.data.columns.{name} lacks {lacking}, which would be learned from private "
                    "rows: state it, or leave the column out by recipe.features.exclude"
                )
    features, brings = recipe.features, isinstance(recipe.model, Pretrained)
    if isinstance(features, TextFeatures) and features.tokenizer != "byte" and not brings:
        yield (
            "recipe.features.tokenizer: byte is expected, or a pretrained model, which brings its own; "
            f"found {features.tokenizer}, whose tokens would be learned from private texts"
        )


def _not_public(column: Column) -> str:
    if column.type == "category":
        return "" if column.values else "`values`"
    ends = (("minimum", column.minimum), ("maximum", column.maximum))
    return " and ".join(f"`{name}`" for name, value in ends if value is None)


def _model_problems(model: Model) -> Iterator[str]:
    if isinstance(model, Pretrained) and model.frozen_layers != model.layers:
        yield (
            f"recipe.model.frozen_layers: {model.layers}, which is all, is expected, found "
            f"{model.frozen_layers}: the head alone can learn, since the blocks are computed on the tokens "
            "of all rows together, which gives no gradient of a single row"
        )
    if isinstance(model, CNN) and model.norm == "batch":
        yield "recipe.model.norm: group or none is expected; batch normalisation mixes the rows of a batch"
    if isinstance(model, MLP) and model.members != 1:
        yield f"recipe.model.members: 1 is expected, found {model.members}"


def _training_problems(training: Training) -> Iterator[str]:
    """Settings that look at validation rows, or that make steps which are not those paid for."""
    expected = {"patience": None, "clip_norm": None, "accumulate": 1, "workers": 1, "compile": False}
    reasons = {
        "patience": "stopping by private rows is not paid for, and the last epoch is kept",
        "clip_norm": "each row's gradient is cut by recipe.privacy.clip",
    }
    for name, value in expected.items():
        if (found := getattr(training, name)) != value:
            wanted = "null" if value is None else str(value).lower()
            because = f": {reasons[name]}" if name in reasons else ""
            yield f"recipe.training.{name}: {wanted} is expected, found {str(found).lower()}{because}"
    if training.precision != "float32":
        yield f"recipe.training.precision: float32 is expected, found {training.precision}"
    if isinstance(training.optimizer, GradientDescent):
        yield "recipe.training.optimizer: sgd, adam or adamw is expected; every batch is drawn at random"
    if isinstance(training.schedule, Plateau):
        yield "recipe.training.schedule: plateau follows the loss of private validation rows"
    if getattr(training.loss, "class_weights", "none") != "none":
        yield "recipe.training.loss.class_weights: none is expected; they are counts of private rows"
