"""Variants of a plan to compare: without mitigation, each step alone, all of them, and compare.yaml's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from tasks.errors import PlanError
from tasks.plan.base import Member
from tasks.plan.data import Classes
from tasks.plan.load import explain, load_plan, parse_plan, read_yaml
from tasks.plan.mitigation import Step
from tasks.plan.plan import Plan

LISTED = 3  # terms or pairs; of more their number
FILE = "compare.yaml"
NONE, ALL = "none", "plan"
"""Names of the variant without any step, and of the one with all of the plan's."""
OWN_FILES = "compare."
"""So begin names of what a comparison leaves beside the variants' folders."""
FIXED = {
    "mitigation": "steps stand under `mitigation`",
    "seed": "every variant is trained with the plan's seed",
    "split": "every variant is chosen on the same validation rows",
    "tuning": "a comparison searches nothing",
    "answers": "every variant answers with the plan's noise",
}
"""Parts of the recipe that variants share, or have elsewhere, and why."""
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$", max_length=60)]
SHAPE = "NAME: {mitigation: [{kind: reweighing, attribute: sex, strength: 0.5}]}"


class Wanted(Member):
    """A variant that compare.yaml names.

    Attributes:
        mitigation: its steps, as a plan writes them, in place of the plan's.
        set: other settings of the recipe, key below `recipe` -> value.
    """

    mitigation: list[Any]
    set: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class PlanVariant:
    """A plan that differs from the one compared in its recipe alone.

    Attributes:
        name: of the variant.
        plan: whole and checked; its judgement is that of every other variant.
        settings: what else of the recipe differs.
    """

    name: str
    plan: Plan
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def steps(self) -> tuple[str, ...]:
        """Its mitigation in words."""
        return tuple(map(told, self.plan.recipe.mitigation))


def told(step: Step) -> str:
    """A step in words: its kind, then every setting that it was given: "reweighing (attribute sex)"."""
    given = step.model_dump(mode="json", exclude_unset=True, exclude={"kind"})
    listed = ", ".join(f"{key} {_short(value)}" for key, value in given.items())
    return f"{step.kind} ({listed})" if listed else step.kind


def _short(value: object) -> str:
    return f"of {len(value)}" if isinstance(value, list) and len(value) > LISTED else str(value)


def read_variants(name: str, data: Path) -> tuple[PlanVariant, ...]:
    """Every variant of ``data/NAME``, checked as a plan is before any work starts; `none` comes first.

    A variant that compare.yaml names and that is also one of the plan's own keeps the file's name.

    Args:
        name: the plan's folder below ``data``.
        data: the folder of plans.

    Raises:
        PlanError: with every problem of the plan or of all variants; where there is nothing to compare;
            for a plan that predicts a number, or searches its recipe.
    """
    plan, path = load_plan(name, data), data / name / FILE
    if problems := list(_problems(plan, path)):
        raise PlanError(str(data / name), problems)
    named = _named(plan, path) if path.is_file() else []
    wanted = {variant.plan.digests["recipe"] for variant in named}
    own = [variant for variant in _own(plan) if variant.plan.digests["recipe"] not in wanted]
    variants = [_with(plan, NONE, []), *own, *named]
    if problems := list(_alike(variants)):
        raise PlanError(str(path), problems)
    return tuple(variants)


def _problems(plan: Plan, path: Path) -> Iterator[str]:
    """Why there is nothing to compare."""
    if not isinstance(plan.judgement.data.label, Classes):
        yield (
            "the plan predicts a number: what a step changed is counted from classes; "
            "retrain with the step and without it"
        )
    elif not plan.recipe.mitigation and not path.is_file():
        yield (
            f"nothing to compare: recipe.mitigation has no step and there is no {path.name}. Write a step "
            f"under recipe.mitigation, or variants into {path}: {SHAPE}"
        )
    if plan.recipe.tuning is not None:
        yield (
            "recipe.tuning: a comparison searches nothing, since each variant would be searched otherwise; "
            "write the settings that the search chose into the recipe, and leave `tuning` out"
        )


def _own(plan: Plan) -> Iterator[PlanVariant]:
    """Each step alone, then all of them; a plan with one step has one of these."""
    steps = plan.recipe.mitigation
    kinds = [step.kind for step in steps]
    for i, step in enumerate(steps if len(steps) > 1 else ()):
        name = step.kind if kinds.count(step.kind) == 1 else f"{step.kind}-{kinds[: i + 1].count(step.kind)}"
        yield _with(plan, name, [step])
    if steps:
        yield PlanVariant(ALL, plan)


def _with(plan: Plan, name: str, steps: list[Step]) -> PlanVariant:
    """The plan with other steps, which it holds already and so fit it."""
    return PlanVariant(
        name, plan.model_copy(update={"recipe": plan.recipe.model_copy(update={"mitigation": steps})})
    )


def _named(plan: Plan, path: Path) -> list[PlanVariant]:
    """The variants of compare.yaml, with the problems of all of them at once."""
    document = read_yaml(path)
    if not isinstance(document, dict) or not document:
        raise PlanError(str(path), [f"variants by name are expected: {SHAPE}"])
    variants: list[PlanVariant] = []
    problems: list[str] = []
    for name, content in document.items():
        try:
            variants.append(_read(plan, str(name), content))
        except PlanError as error:
            problems += error.problems
    problems += [
        f"{name}: the comparison calls a variant or file of its own so; choose another name"
        for name in map(str, document)
        if name in (NONE, ALL) or name.startswith(OWN_FILES)
    ]
    if problems:
        raise PlanError(str(path), problems)
    return variants


def _read(plan: Plan, name: str, content: Any) -> PlanVariant:
    """One variant, as a plan of its own.

    Raises:
        PlanError: with every problem.
    """
    try:
        TypeAdapter(Name).validate_python(name)
        wanted = Wanted.model_validate(content)
    except ValidationError as error:
        lines = [f"{name}: {line}" for detail in error.errors() for line in explain(detail)]
        raise PlanError(name, lines) from error
    document = plan.document()
    document["recipe"]["mitigation"] = wanted.mitigation
    if problems := [problem for key, value in wanted.set.items() for problem in _set(document, key, value)]:
        raise PlanError(name, [f"{name}.set: {problem}" for problem in problems])
    document.pop("name")
    try:
        return PlanVariant(name, parse_plan(plan.name, document, where=name), wanted.set)
    except PlanError as error:
        raise PlanError(name, [f"{name}: {problem}" for problem in error.problems]) from error


def _set(document: dict[str, Any], key: str, value: Any) -> Iterator[str]:
    """Carry out a setting of the recipe, or say why not; the plan checks the value."""
    *above, last = key.split(".")
    place: Any = document["recipe"]
    for step in above:
        place = place.get(step) if isinstance(place, dict) else None
    if key.partition(".")[0] in FIXED:
        yield f"{key}: {FIXED[key.partition('.')[0]]}"
    elif not isinstance(place, dict) or last not in place:
        yield f"{key}: the recipe has no such key; written like training.epochs, below `recipe`"
    else:
        place[last] = value


def _alike(variants: list[PlanVariant]) -> Iterator[str]:
    """Of one recipe a training would be spent for the same numbers; of one name they would share a folder."""
    first: dict[str, str] = {}
    for i, variant in enumerate(variants):
        if variant.name in (other.name for other in variants[:i]):
            yield f"{variant.name}: the comparison calls its own variant so; choose another name"
        digest = variant.plan.digests["recipe"]
        if digest in first:
            yield f"{variant.name}: the same recipe as {first[digest]}; leave one of them out"
        first.setdefault(digest, variant.name)
