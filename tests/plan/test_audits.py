"""Audit sets of a plan: what must fit, and what a newer plan asks of them less strictly."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.errors import PlanError
from tasks.plan import Plan
from tasks.plan.judgement import Judgement
from tasks.plan.load import parse_plan
from tasks.plan.loosened import loosened

DOCUMENT = yaml.safe_load(Path("data/adult/plan.yaml").read_text())


def audit() -> dict[str, Any]:
    """A set whose answers are called otherwise, judged by its own groups."""
    data = yaml.safe_load(yaml.safe_dump(DOCUMENT["judgement"]["data"]))
    data["sources"] = [{"name": "poor.csv", "sha256": "1" * 64, "origins": ["file:poor.csv"]}]
    data["label"] = {"column": "pay", "values": ["little", "much"], "positive": "much"}
    return {
        "data": data,
        "answers": {"<=50K": "little", ">50K": "much"},
        "protected": {"job": {"column": "occupation"}},
        "limits": [{"metric": "accuracy_difference", "attribute": "job", "limit": 0.2}],
    }


def plan_with(**changes: Any) -> Plan:
    document = yaml.safe_load(yaml.safe_dump(DOCUMENT))
    document["judgement"]["audits"] = {"poor": {**audit(), **changes}}
    return parse_plan("adult", document, where="a test")


def test_a_set_has_a_judgement_of_its_own() -> None:
    judgement = plan_with(where={"sex": ["Female"]}, minimum_rows=7).judgement
    own = judgement.sets["poor"]
    assert list(judgement.sets) == ["test", "poor"]
    assert judgement.sets["test"] is judgement
    assert (own.data.label.column, list(own.protected), own.unit) == ("pay", ["job"], None)
    assert [limit.attribute for limit in own.limits] == ["job"]
    assert (own.alpha, own.test_set.max_judgements) == (judgement.alpha, judgement.test_set.max_judgements)
    assert own.test_set.where == {"sex": ["Female"]}
    assert own.expectations.minimum_rows == {"test": 7}
    assert own.too_small.policy == "inconclusive", "all of its groups are judged"
    assert [source.name for source in judgement.sources] == ["adult.data", "adult.test", "poor.csv"]
    assert plan_with().digests["judgement"] != plan_with(minimum_rows=7).digests["judgement"]


def without(column: str) -> dict[str, Any]:
    data = audit()["data"]
    del data["columns"][column]
    return data


def with_source(**values: Any) -> dict[str, Any]:
    data = audit()["data"]
    data["sources"][0] |= values
    return data


TEXT = {name: audit()["data"][name] for name in ("sources", "format", "label")} | {"kind": "text"}
LIMIT = {"metric": "accuracy_difference", "attribute": "sex", "limit": 0.2}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"data": without("age")}, "data.columns.age: the model takes it as integer, found no such column"),
        ({"data": with_source(part="train")}, "an audit set has no training part"),
        ({"data": with_source(name="adult.test")}, "another file is called 'adult.test', with other bytes"),
        ({"data": TEXT}, "audits.poor.data.kind: 'tabular' is expected, found 'text'"),
        ({"answers": {"<=50K": "little"}}, "answers.>50K: a class of the set is expected (little, much)"),
        ({"answers": {"<=50K": "much", ">50K": "much"}}, "no class of the plan means little"),
        ({"answers": {**audit()["answers"], "rich": "much"}}, "answers: rich: no class of the plan"),
        ({"where": {"income": ["x"]}}, "audits.poor.where.income: no column 'income'"),
        ({"unit": "household"}, "audits.poor.unit: no column 'household'"),
        ({"limits": [LIMIT]}, "audits.poor.limits[0].attribute: 'sex' is no protected attribute"),
        ({"limits": []}, "audits.poor.limits"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(PlanError) as caught:
        plan_with(**changes)
    assert told in str(caught.value)


def test_a_part_of_the_plan_lends_no_name() -> None:
    document = yaml.safe_load(yaml.safe_dump(DOCUMENT["judgement"]))
    with pytest.raises(ValueError, match="a part of the plan's own data is called so"):
        Judgement.model_validate({**document, "audits": {"test": audit()}})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"limits": [{**audit()["limits"][0], "limit": 0.3}]}, "audit set poor: the limit on accuracy_diff"),
        ({"where": {"sex": ["Male"]}}, "audit set poor has other rows"),
        ({"data": with_source(sha256="2" * 64)}, "audit set poor has other rows"),
        ({"answers": {"<=50K": "much", ">50K": "little"}}, "audit set poor takes the model's classes for"),
        ({"limits": [{**audit()["limits"][0], "limit": 0.1}], "unit": "education"}, None),
    ],
)
def test_a_set_that_asks_less_is_named(changes: dict[str, Any], told: str | None) -> None:
    found = loosened(plan_with().judgement, plan_with(**changes).judgement)
    assert (told is None) == (found == ()), found
    assert told is None or found[0].startswith(told)


def test_a_dropped_set_is_named_with_its_limits() -> None:
    before = plan_with().judgement
    now = before.model_copy(update={"audits": {}})
    assert loosened(before, now) == (
        "audit set poor was dropped, with its limits on accuracy_difference by job",
    )
    assert loosened(now, before) == ()
