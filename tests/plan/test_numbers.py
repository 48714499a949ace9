"""Plans that predict a number: what must fit is told at once, and Adult's hours are such a plan."""

from pathlib import Path

import pytest

from tasks.errors import PlanError
from tasks.plan import load_plan
from tasks.plan.load import parse_plan, read_document

DATA = Path(__file__).parents[2] / "data"


def test_the_loss_follows_from_the_label() -> None:
    plan = load_plan("adult-hours", DATA)
    assert plan.recipe.training.loss.kind == "mse"
    assert plan.judgement.data.label.column == "hours-per-week"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"unit": "race"}, "judgement.unit: a predicted number is judged by rows"),
        (
            {"limits": [{"metric": "tpr_difference", "attribute": "sex", "limit": 0.1}]},
            "no metric of a number",
        ),
        ({"limits": [{"metric": "mae_maximum", "attribute": "label", "limit": 9}]}, "no group"),
        ({"performance": [{"metric": "accuracy", "minimum": 0.5}]}, "'accuracy' is no metric of a number"),
    ],
)
def test_what_is_of_classes_alone_is_refused(change: dict[str, object], words: str) -> None:
    document = read_document(DATA / "adult-hours/plan.yaml")
    document["judgement"] |= change
    with pytest.raises(PlanError, match=words):
        parse_plan("adult-hours", document, where="plan.yaml")


def test_metrics_of_numbers_are_refused_for_classes() -> None:
    document = read_document(DATA / "adult/plan.yaml")
    document["judgement"]["limits"] = [{"metric": "mae_maximum", "attribute": "sex", "limit": 9}]
    with pytest.raises(PlanError, match="'mae_maximum' is no metric of a class"):
        parse_plan("adult", document, where="plan.yaml")


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ({"type": "integer", "spellings": {"1": "2"}}, "for categories"),
        ({"type": "category", "values": ["M"], "spellings": {"1": "F"}}, "none of"),
    ],
)
def test_spellings_lead_to_declared_values(column: dict[str, object], words: str) -> None:
    document = read_document(DATA / "adult/plan.yaml")
    document["judgement"]["data"]["columns"]["sex"] = column
    with pytest.raises(PlanError, match=words):
        parse_plan("adult", document, where="plan.yaml")


def test_metrics_of_numbers_are_refused_for_an_audit_set_of_classes() -> None:
    document = read_document(DATA / "hate-speech/plan.yaml")
    document["judgement"]["audits"]["hatecheck"]["limits"][0] |= {"metric": "mae_maximum", "limit": 9}
    with pytest.raises(
        PlanError, match=r"audits\.hatecheck\.limits\[0\]\.metric: 'mae_maximum' is no metric"
    ):
        parse_plan("hate-speech", document, where="plan.yaml")


@pytest.mark.parametrize(
    ("plan", "metric", "words"),
    [
        ("adult-hours", "accuracy", "'accuracy' is no metric of this label"),
        ("adult", "r2", "'r2' is no metric of this label"),
        ("mnist", "auc", "'auc' is of two classes, the label has 10"),
    ],
)
def test_a_search_aims_at_what_validation_measures(plan: str, metric: str, words: str) -> None:
    document = read_document(DATA / plan / "plan.yaml")
    search = {"training.batch": {"values": [32, 64]}}
    document["recipe"]["tuning"] = {"trials": 2, "search": search, "metric": metric}
    with pytest.raises(PlanError, match=words):
        parse_plan(plan, document, where="plan.yaml")
