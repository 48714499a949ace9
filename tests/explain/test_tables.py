"""Explanations of a small model of Adult: right where the answer is known, marked where planted wrong."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from tasks.explain import lime
from tasks.explain.budget import Budget
from tasks.explain.context import Context
from tasks.explain.counterfactual import COUNTERFACTUALS, confirmed, immutable_columns
from tasks.explain.explain import context_of, explain
from tasks.explain.lime import LIME, Surrogate, surrogates
from tasks.explain.parts import KINDS, Part, Unexplained
from tasks.explain.records import Change, Counterfactual, Explained, Explanation
from tasks.explain.shapley import SHAP, shap_values
from tasks.explain.table import TableModel
from tasks.model.device import deterministic
from tasks.plan import Plan
from tasks.plan.explanations import Explanations

from .conftest import SMALL, Made

OF_TABLES = (SHAP, COUNTERFACTUALS, LIME)


@pytest.fixture(scope="module")
def explained(made: Made) -> Explained:
    with deterministic(1):
        return explain(made(), OF_TABLES)


def of(explained: Explained, method: str) -> Explanation:
    return next(each for each in explained.explanations if each.method == method)


def test_a_model_as_a_function_of_columns_says_what_the_model_says(made: Made) -> None:
    context = made()
    model, frame = TableModel(context.predictor, context.budget), context.frame.head(50)
    scores = context.predictor.scores(frame)
    assert np.allclose(
        model.outputs(model.matrix(frame))[:, 0], scores[:, 1] - context.predictor.rule.threshold
    )
    said = context.predictor.predict(frame)["prediction"].tolist()
    assert [model.classes[place] for place in model.decided(model.matrix(frame))] == said
    assert context.budget.spent == 100


def test_every_check_of_a_trained_model_holds(explained: Explained) -> None:
    assert [each.method for each in explained.explanations] == ["SHAP", "LIME"]
    assert explained.unreliable == ()
    names = {each.method: [check.name for check in each.checks] for each in explained.explanations}
    shared = ["stability", "deletion", "insertion", "randomised weights"]
    assert names == {"SHAP": ["completeness", *shared], "LIME": ["fidelity", *shared]}
    assert of(explained, "SHAP").rows == SMALL.rows
    assert of(explained, "SHAP").weights[0].feature in ("marital-status", "relationship", "education-num")


def test_methods_explain_the_same_decisions_and_agree(explained: Explained) -> None:
    first, second = (of(explained, method).singles for method in ("SHAP", "LIME"))
    assert [one.row_id for one in first] == [one.row_id for one in second]
    assert explained.counterfactuals is not None
    assert [one.row_id for one in explained.counterfactuals.found] == [one.row_id for one in first]
    assert len(first) == SMALL.decisions
    for one, other in zip(first, second, strict=True):
        names = list(one.weights)
        told = [[single.weights[name] for name in names] for single in (one, other)]
        assert np.corrcoef(told)[0, 1] > 0.8


def test_the_same_plan_gives_the_same_record(made: Made, explained: Explained) -> None:
    with deterministic(1):
        assert explain(made(), OF_TABLES) == explained


def test_shap_of_a_linear_model_is_its_coefficients(made: Made) -> None:
    """Of w x + c the Shapley value of a column is w (x - mean of the background)."""
    slopes = np.array([3.0, -2.0, 0.0])

    class Linear(TableModel):
        def outputs(self, matrix: np.ndarray) -> np.ndarray:
            return (matrix @ slopes + 1)[:, None]

    rng = np.random.default_rng(0)
    rows, background = rng.normal(size=(5, 3)), rng.normal(size=(8, 3))
    context = made()
    model = Linear(context.predictor, context.budget)
    found = shap_values(model, rows, np.zeros(5, np.int64), background, seed=1)
    assert np.allclose(found.values, (rows - background.mean(axis=0)) * slopes)
    assert np.allclose(found.values.sum(axis=1), found.outputs - found.bases)


def test_no_row_of_the_test_part_and_no_value_of_a_row_is_on_record(explained: Explained) -> None:
    text = explained.model_dump_json()
    assert "validation rows" in explained.rows_of
    for value in ("Bachelors", "United-States"):
        assert value not in text or f'"to":"{value}"' in text


def test_counterfactuals_change_only_what_may_change_and_are_confirmed(explained: Explained) -> None:
    found = explained.counterfactuals
    assert found is not None
    assert found.immutable == ("age", "marital-status", "race", "sex")
    changed = {change.column for one in found.found for change in one.changes}
    assert changed
    assert not changed & set(found.immutable)
    assert all(one.otherwise != one.decided for one in found.found)
    assert found.reliable
    assert found.asked == 60
    assert sum(one.asked for one in found.by_group if one.attribute == "sex") <= 60


def test_a_counterfactual_planted_wrong_is_not_confirmed(made: Made) -> None:
    context = made()
    row = int(context.frame["row_id"][0])
    decided = str(context.predictor.predict(context.frame.head(1))["prediction"][0])
    same = Counterfactual(
        row_id=row, decided="", otherwise=decided, changes=(Change(column="fnlwgt", to=200000),)
    )
    assert confirmed(context, context.frame, [same]).holds
    other = ({">50K", "<=50K"} - {decided}).pop()
    assert not confirmed(context, context.frame, [same.model_copy(update={"otherwise": other})]).holds
    assert not confirmed(context, context.frame, []).holds


def test_columns_that_are_personal_or_name_the_unit_never_change(plan: Plan) -> None:
    data = plan.judgement.data
    columns = {**data.columns, "occupation": data.columns["occupation"].model_copy(update={"personal": True})}
    judgement = plan.judgement.model_copy(
        update={"data": data.model_copy(update={"columns": columns}), "unit": "fnlwgt"}
    )
    assert immutable_columns(judgement, ()) == ("age", "fnlwgt", "occupation", "race", "sex")


def test_an_untrained_model_is_shown_as_unreliable(made: Made) -> None:
    """Of weights in a random order the explanation is like that of any other random order, or unstable."""
    context = made()
    for parameter in (network := deepcopy(context.predictor.network)).parameters():
        torch.nn.init.zeros_(parameter)
    constant = replace(context, predictor=replace(context.predictor, network=network))
    with deterministic(1):
        found = explain(constant, [SHAP])
    assert found.unreliable == ("SHAP",)
    assert {check.name for check in found.explanations[0].checks if not check.holds} >= {
        "stability",
        "deletion",
        "insertion",
    }


def test_a_surrogate_planted_wrong_is_shown_as_unreliable_by_its_fidelity_alone(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three times too steep: the same each time, in the right order, of the trained model."""

    def planted(model: TableModel, *of: Any) -> Surrogate:
        found = surrogates(model, *of)
        return found._replace(values=3 * found.values)

    monkeypatch.setattr(lime, "surrogates", planted)
    with deterministic(1):
        found = explain(made(), [LIME])
    assert found.unreliable == ("LIME",)
    assert [check.name for check in found.explanations[0].checks if not check.holds] == ["fidelity"]


def test_what_does_not_fit_the_budget_is_skipped_with_its_reason(made: Made) -> None:
    with deterministic(1):
        found = explain(made(Budget(30_000, 1e9)), OF_TABLES)
    assert [each.method for each in found.explanations] == ["SHAP"]
    assert 20 <= found.explanations[0].rows < SMALL.rows
    assert [each.part for each in found.skipped] == ["counterfactuals", "LIME"]
    assert found.skipped[1].because.startswith("evaluations: at least ")
    assert found.spent <= found.allowed


def test_what_the_clock_leaves_no_time_for_is_skipped(made: Made) -> None:
    found = explain(made(Budget(10**9, seconds=0)), OF_TABLES)
    assert found.explanations == ()
    assert {each.because for each in found.skipped} == {
        "time: the share of the run's time was used up before it"
    }


def test_what_can_not_be_explained_is_on_record_and_ends_nothing(made: Made) -> None:
    def refuse(_: Context) -> list[Explanation]:
        raise Unexplained("no gradients reach the input")

    found = explain(made(), [Part("saliency", KINDS, lambda _: 0, refuse)])
    assert [(each.part, each.because) for each in found.skipped] == [
        ("saliency", "no gradients reach the input")
    ]


def test_too_few_rows_are_not_summarised(made: Made) -> None:
    few = made()
    with deterministic(1):
        found = explain(replace(few, frame=few.frame.head(19)), [SHAP])
    assert found.skipped[0].because == "19 validation rows: 20 are needed"


def test_of_a_unit_one_row_is_explained(plan: Plan, made: Made) -> None:
    context = made()
    grouped = plan.model_copy(update={"judgement": plan.judgement.model_copy(update={"unit": "fnlwgt"})})
    twice = [pl.concat([each, each]) for each in (context.frame, context.described)]
    again = context_of(*twice, grouped, SMALL, context.folder, context.budget, ())
    assert again.frame["fnlwgt"].n_unique() == again.frame.height


def test_the_plan_may_ask_for_none_and_must_name_columns_that_are_there(plan: Plan) -> None:
    digest = plan.digests["operations"]
    named = plan.operations.model_copy(update={"explanations": Explanations()})
    assert plan.model_copy(update={"operations": named}).digests["operations"] == digest
    document = plan.model_dump(mode="json")
    document["operations"]["explanations"] = {"immutable": ["educaton"]}
    with pytest.raises(ValueError, match=r"operations\.explanations\.immutable\[0\]: no column 'educaton'"):
        Plan.model_validate(document)
