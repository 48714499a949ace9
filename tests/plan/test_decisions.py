"""Steps after training: what the plan leaves no room for is refused before a run."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.errors import PlanError
from tasks.plan import Plan
from tasks.plan.load import parse_plan

ODDS = {"kind": "thresholds", "attribute": "sex", "metric": "equalized_odds"}


def plan_of(name: str, step: dict[str, Any], audit_lacks: str | None = None) -> Plan:
    """A plan of the repository with the step, and an audit set that lacks a column which no input is."""
    document = yaml.safe_load((Path("data") / name / "plan.yaml").read_text())
    document["recipe"]["mitigation"] = [step]
    if audit_lacks is not None:
        data = yaml.safe_load(yaml.safe_dump(document["judgement"]["data"]))
        data["sources"] = [{"name": "a.csv", "sha256": "1" * 64, "origins": ["file:a.csv"]}]
        del data["columns"][audit_lacks]
        limit = {"metric": "accuracy_difference", "attribute": "label", "limit": 0.9}
        document["judgement"]["audits"] = {"others": {"data": data, "limits": [limit]}}
        document["recipe"]["features"] = {"exclude": [audit_lacks]}
    return parse_plan(name, document, where="a test")


def test_an_audit_set_has_every_column_that_a_decision_reads() -> None:
    assert plan_of("adult", {"kind": "thresholds", "attribute": "race", "metric": "equalized_odds"}, "sex")
    with pytest.raises(PlanError) as caught:
        plan_of("adult", {**ODDS, "attribute": "race x sex"}, "sex")
    (problem,) = caught.value.problems
    assert problem == (
        "recipe.mitigation[0]: thresholds reads column 'sex' (category) at every decision; audit set others "
        "has no such column: give it the column, leave the set out, or the step"
    )


def test_a_decision_reads_no_column_that_is_found_in_a_text() -> None:
    document = yaml.safe_load(Path("data/hate-speech/plan.yaml").read_text())
    attribute = next(
        name
        for name, own in document["judgement"]["protected"].items()
        if own["column"] in document["judgement"]["data"]["identities"]
    )
    with pytest.raises(PlanError, match="which the source does not have: it is found in the text"):
        plan_of("hate-speech", {**ODDS, "attribute": attribute})


def test_no_ratio_is_above_one() -> None:
    assert plan_of("adult", {**ODDS, "metric": "four_fifths", "slack": 0.2})
    with pytest.raises(PlanError, match=r"of four-fifths at most 0.2 is expected: .*; found 0.3"):
        plan_of("adult", {**ODDS, "metric": "four_fifths", "slack": 0.3})
