"""Limits on metrics of the score that no cube could hold: refused before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.errors import PlanError
from tasks.plan.load import parse_plan

DATA = Path(__file__).parents[2] / "data"


def problems(name: str, attribute: str, metric: str = "auc_difference", positive: str | None = None) -> str:
    """What the plan of this name with one limit more is refused for; nothing where it is taken."""
    document: Any = yaml.safe_load((DATA / name / "plan.yaml").read_text())
    if positive is not None:
        document["judgement"]["data"]["label"]["positive"] = positive
    document["judgement"]["limits"].append({"metric": metric, "attribute": attribute, "limit": 0.1})
    try:
        parse_plan(name, document, where="test")
    except PlanError as error:
        return str(error)
    return ""


def test_scores_are_limited_by_one_protected_attribute() -> None:
    assert problems("adult", "sex") == ""


@pytest.mark.parametrize("attribute", ["sex x race", "label"])
def test_scores_are_kept_neither_by_crossing_nor_by_class(attribute: str) -> None:
    found = problems("adult", attribute, "abroca")
    assert "attribute: 'abroca' is of scores, kept by attribute: one of" in found
    assert f"found {attribute!r}" in found


def test_scores_are_of_one_class_against_the_rest() -> None:
    found = problems("spoken-digits", "accent")
    assert "metric: 'auc_difference' holds one class against the rest: name it as the label's" in found
    assert problems("spoken-digits", "accent", positive="7") == ""
