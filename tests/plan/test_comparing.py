"""Variants of a plan: which there are, and what is refused before any work starts."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.errors import PlanError
from tasks.plan import plan_names
from tasks.plan.comparing import FILE, read_variants

DATA = Path(__file__).parents[2] / "data"
BY_SEX, BY_RACE = ({"kind": "reweighing", "attribute": name} for name in ("sex", "race"))


def plan_with(
    top: Path, steps: list[dict[str, Any]], further: Any = None, name: str = "adult", **recipe: Any
) -> Path:
    """A folder of plans with one plan, its mitigation and its compare.yaml."""
    shutil.copytree(DATA / name, top / "tiny", ignore=shutil.ignore_patterns("raw", "prepared", FILE))
    path = top / "tiny" / "plan.yaml"
    document = yaml.safe_load(path.read_text())
    document["recipe"] |= {"mitigation": steps, **recipe}
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    if further is not None:
        (top / "tiny" / FILE).write_text(yaml.safe_dump(further, sort_keys=False))
    return top


def test_without_each_alone_all_and_those_of_the_file(tmp_path: Path) -> None:
    further = {
        "weaker": {"mitigation": [BY_SEX | {"strength": 0.5}], "set": {"training.epochs": 3}},
        "plain": {"mitigation": [], "set": {"model.hidden": [8]}},
    }
    variants = read_variants("tiny", plan_with(tmp_path, [BY_SEX, BY_RACE], further))
    assert [(one.name, one.steps) for one in variants] == [
        ("none", ()),
        ("reweighing-1", ("reweighing (attribute sex)",)),
        ("reweighing-2", ("reweighing (attribute race)",)),
        ("plan", ("reweighing (attribute sex)", "reweighing (attribute race)")),
        ("weaker", ("reweighing (attribute sex, strength 0.5)",)),
        ("plain", ()),
    ]
    by_name = {one.name: one.plan for one in variants}
    assert by_name["weaker"].recipe.training.epochs == 3
    assert by_name["plain"].recipe.model.hidden == [8]  # type: ignore[union-attr]
    assert len({one.plan.digests["judgement"] for one in variants}) == 1
    assert len({one.plan.digests["recipe"] for one in variants}) == 6


def test_a_variant_of_the_plans_own_recipe_is_trained_once_under_the_files_name(tmp_path: Path) -> None:
    variants = read_variants("tiny", plan_with(tmp_path, [BY_SEX], {"by-sex": {"mitigation": [BY_SEX]}}))
    assert [one.name for one in variants] == ["none", "by-sex"]


def test_a_name_that_the_comparison_gives_a_step_of_the_plan_is_refused(tmp_path: Path) -> None:
    """Two variants of one name would share a folder, one's weights in the other's place."""
    further = {"reweighing-1": {"mitigation": [BY_SEX | {"strength": 0.5}]}}
    with pytest.raises(PlanError, match="reweighing-1: the comparison calls its own variant so"):
        read_variants("tiny", plan_with(tmp_path, [BY_SEX, BY_RACE], further))


def test_a_warm_up_that_the_plan_leaves_unsaid_follows_a_variants_epochs(tmp_path: Path) -> None:
    training = yaml.safe_load((DATA / "adult" / "plan.yaml").read_text())["recipe"]["training"]
    training["schedule"] = {"kind": "cosine"}
    further = {"short": {"mitigation": [], "set": {"training.epochs": 1}}}
    *_, short = read_variants("tiny", plan_with(tmp_path, [], further, training=training))
    assert short.plan.recipe.training.schedule.warmup_epochs == 0.5  # type: ignore[union-attr]


def test_all_problems_of_all_variants_at_once(tmp_path: Path) -> None:
    further = {
        "plan": {"mitigation": [BY_SEX]},
        "compare.json": {"mitigation": [BY_SEX | {"strength": 0.3}]},
        "No Name": {"mitigation": [BY_SEX]},
        "strong": {"mitigation": [BY_SEX | {"strength": 2}]},
        "strange": {"mitigation": [BY_SEX | {"attribute": "hair"}]},
        "unset": {"mitigation": [], "set": {"training.epoch": 3, "seed": 2}},
        "shapeless": [BY_SEX],
    }
    with pytest.raises(PlanError) as caught:
        read_variants("tiny", plan_with(tmp_path, [BY_SEX], further))
    text = str(caught.value)
    for part in (
        "plan: the comparison calls a variant or file of its own so",
        "compare.json: the comparison calls a variant or file of its own so",
        "No Name: ",
        "strong: recipe.mitigation[0]",
        "less than or equal to 1",
        "strange: recipe.mitigation[0].attribute: 'hair' is no protected attribute",
        "unset.set: training.epoch: the recipe has no such key",
        "unset.set: seed: every variant is trained with the plan's seed",
        "shapeless: ",
    ):
        assert part in text, text


@pytest.mark.parametrize(
    ("steps", "further", "name", "recipe", "told"),
    [
        (
            [],
            None,
            "adult",
            {},
            "nothing to compare: recipe.mitigation has no step and there is no compare.yaml",
        ),
        ([], None, "adult-hours", {}, "the plan predicts a number"),
        ([], {"a": {"mitigation": []}}, "adult", {}, "a: the same recipe as none"),
        ([], {}, "adult", {}, "variants by name are expected"),
        (
            [BY_SEX],
            None,
            "adult",
            {"tuning": {"trials": 2, "search": {"mitigation.0.strength": {"low": 0.1, "high": 1.0}}}},
            "a comparison searches nothing",
        ),
    ],
)
def test_what_can_not_be_compared(
    tmp_path: Path, steps: list[Any], further: Any, name: str, recipe: dict[str, Any], told: str
) -> None:
    with pytest.raises(PlanError, match=told):
        read_variants("tiny", plan_with(tmp_path, steps, further, name, **recipe))


@pytest.mark.parametrize("name", [name for name in plan_names(DATA) if (DATA / name / FILE).is_file()])
def test_the_committed_comparisons_can_be_carried_out(name: str) -> None:
    variants = read_variants(name, DATA)
    assert variants[0].name == "none"
    assert len(variants) <= variants[0].plan.judgement.test_set.max_judgements
