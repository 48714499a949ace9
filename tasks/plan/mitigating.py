"""What must fit between the steps against bias and the rest of the plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasks.plan.base import crossing
from tasks.plan.data import Classes, Number, Tabular, Text
from tasks.plan.judgement import Judgement
from tasks.plan.mitigation import (
    Augmentation,
    Calibration,
    Counterfactual,
    Masking,
    Step,
    Synthesis,
    Thresholds,
)
from tasks.plan.names import absent_attributes
from tasks.plan.recipe import Recipe

STAGES = ("rows", "features", "training", "decision")


def mitigation_problems(judgement: Judgement, recipe: Recipe, excluded: Sequence[str]) -> Iterator[str]:
    """Steps that the data, the label or the other steps leave no room for.

    Args:
        judgement: of the plan.
        recipe: whose steps are looked at.
        excluded: columns that the model never sees.
    """
    for i, step in enumerate(recipe.mitigation):
        at = f"recipe.mitigation[{i}]"
        if attribute := getattr(step, "attribute", None):
            also = ("label",) if isinstance(step, Augmentation) else ()
            yield from absent_attributes(judgement, {f"{at}.attribute": attribute}, also)
        yield from (f"{at}: {problem}" for problem in _step_problems(step, judgement, excluded))
        if isinstance(step, Calibration | Thresholds):
            yield from (f"{at}: {problem}" for problem in _reading_problems(step, judgement))
    yield from _order_problems(recipe.mitigation)


def _step_problems(step: Step, judgement: Judgement, excluded: Sequence[str]) -> Iterator[str]:
    data, label = judgement.data, judgement.data.label
    if isinstance(label, Number) and not isinstance(step, Counterfactual | Masking):
        yield f"{step.kind} makes group and class independent; the label is a number"
    if isinstance(step, Masking | Counterfactual) and isinstance(data, Text):
        yield from _text_problems(step, data)
    elif isinstance(step, Masking):
        yield "masking is of text; a table's column is left out by recipe.features.exclude"
    if isinstance(step, Counterfactual) and not isinstance(data, Text):
        yield from _copy_problems(step, judgement, excluded)
    if isinstance(step, Synthesis) and not isinstance(data, Tabular):
        yield f"synthesis is of tables, the data is {data.kind}"
    if isinstance(step, Augmentation) and data.kind not in ("image", "audio"):
        yield f"augmentation is of images and recordings, the data is {data.kind}"
    if isinstance(label, Classes) and len(label.values) != 2 and _needs_two_classes(step):
        yield f"{step.kind} is for two classes, found {len(label.values)}"


def _needs_two_classes(step: Step) -> bool:
    within = step.stage == "training" and getattr(step, "metric", "") != "bounded_group_loss"
    return step.stage == "decision" or within


def _text_problems(step: Masking | Counterfactual, data: Text) -> Iterator[str]:
    if isinstance(step, Counterfactual):
        if step.attribute is not None:
            yield "counterfactual: the data is text, which takes `swaps`"
        return
    known = ", ".join(data.identities) or "none"
    for name in step.identities:
        if name not in data.identities:
            yield f"identities: {name!r} is none of judgement.data.identities (there are: {known})"


def _copy_problems(step: Counterfactual, judgement: Judgement, excluded: Sequence[str]) -> Iterator[str]:
    """Of what is no text: a table's copies have another level of one attribute, which the model sees."""
    data, attribute = judgement.data, step.attribute
    if attribute is None or not isinstance(data, Tabular):
        yield f"counterfactual: `swaps` are of text and `attribute` is of tables, the data is {data.kind}"
    elif len(crossing(attribute)) > 1:
        yield f"counterfactual: one attribute gets another level, found the crossing {attribute!r}"
    elif attribute in judgement.protected and judgement.protected[attribute].column in excluded:
        column = judgement.protected[attribute].column
        yield f"counterfactual: the model never sees column {column!r}, so a copy would be the row itself"


def _reading_problems(step: Calibration | Thresholds, judgement: Judgement) -> Iterator[str]:
    """Columns that a decision would read, and that whoever asks for one may not have."""
    parts = [part for part in crossing(step.attribute) if part in judgement.protected]
    for column in (judgement.protected[part].column for part in parts):
        wanted = judgement.data.described().get(column)
        if wanted is None:
            continue  # said with the attribute
        if column not in judgement.data.columns:
            yield (
                f"{step.kind} reads column {column!r} at every decision, which the source does not have: it "
                f"is found in the {judgement.data.kind}, and would have to be found alike by whoever asks"
            )
        for name, audit in judgement.audits.items():
            own = audit.data.described().get(column)
            found = "no such column" if own is None else own.type
            if found != wanted.type:
                yield (
                    f"{step.kind} reads column {column!r} ({wanted.type}) at every decision; audit set "
                    f"{name} has {found}: give it the column, leave the set out, or the step"
                )


def _order_problems(steps: Sequence[Step]) -> Iterator[str]:
    """Steps are listed in the order in which they are made, and some are alone of their kind."""
    places = [STAGES.index(step.stage) for step in steps]
    if places != sorted(places):
        yield (
            "recipe.mitigation: steps before training (of rows, then of features), during and after it are "
            f"expected in this order, found {', '.join(step.kind for step in steps)}"
        )
    for kind in ("masking", "calibration", "thresholds"):
        if sum(step.kind == kind for step in steps) > 1:
            yield f"recipe.mitigation: one step of {kind} is expected, found several"
    if sum(step.stage == "training" for step in steps) > 1:
        yield "recipe.mitigation: one constraint or adversary is expected, found several"
    kinds = [step.kind for step in steps if step.stage == "decision"]
    if kinds == ["thresholds", "calibration"]:
        yield "recipe.mitigation: scores are calibrated before thresholds are set on them"
    readers = {step.attribute for step in steps if isinstance(step, Calibration | Thresholds)}
    if len(readers) > 1:
        yield f"recipe.mitigation: calibration and thresholds by one attribute are expected, found {readers}"
