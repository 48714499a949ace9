"""Models that decide otherwise than by one threshold: by group, among three classes, or with a number."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tasks.explain.context import Context
from tasks.explain.counterfactual import COUNTERFACTUALS
from tasks.explain.explain import explain
from tasks.explain.shapley import SHAP
from tasks.explain.table import TableModel
from tasks.explain.task import explain as step
from tasks.model.device import deterministic
from tasks.model.grouped import Adjustment, Attribute, Grouped
from tasks.model.network import Network
from tasks.model.rule import ClassRule, NumberRule
from tasks.plan import Plan

from .conftest import Made


def ruled(context: Context, rule: ClassRule | NumberRule) -> Context:
    """The context with an untrained network that has as many outputs as the rule takes."""
    own = context.predictor
    torch.manual_seed(3)
    network = Network(own.features, own.settings, rule.outputs).eval()
    return replace(context, predictor=replace(own, network=network, rule=rule))


def test_a_threshold_by_group_is_a_column_of_its_own(made: Made) -> None:
    """Women need 0.1, men 0.9: the group decides, and is said to carry it."""
    context = made()
    by = Grouped(
        (Attribute("sex", "sex"),),
        ("?",),
        "tpr",
        {"Female": Adjustment(0.1), "Male": Adjustment(0.9)},
        Adjustment(0.5),
    )
    grouped = replace(
        context, predictor=replace(context.predictor, rule=replace(context.predictor.rule, by=by))
    )
    model, frame = TableModel(grouped.predictor, grouped.budget), grouped.frame.head(40)
    matrix = model.matrix(frame)
    assert model.columns[-1] == "decision by sex"
    assert sorted(set(matrix[:, -1])) == [0, 1]
    decided = [model.classes[place] for place in model.decided(matrix)]
    assert decided == grouped.predictor.predict(frame)["prediction"].tolist()
    assert ((model.outputs(matrix)[:, 0] >= 0) == (np.array(decided) == ">50K")).all()
    with deterministic(1):
        found = explain(grouped, [SHAP]).explanations[0]
    assert found.weights[0].feature == "decision by sex"
    (own,) = [one for one in found.carried if one.attribute == "sex"]
    assert own.own > 0.3


def test_of_three_classes_the_predicted_one_is_explained(made: Made) -> None:
    context = ruled(made(), ClassRule(("a", "b", "c"), None, 0.5, (), 3))
    model = TableModel(context.predictor, context.budget)
    matrix = model.matrix(context.frame.head(30))
    assert (model.explained(matrix) == model.decided(matrix)).all()
    assert model.of == "probability of the predicted class"
    with deterministic(1):
        found = explain(context, [SHAP, COUNTERFACTUALS])
    assert found.explanations[0].checks[0].holds  # completeness
    assert found.counterfactuals is not None
    assert all(one.decided in "abc" for one in found.counterfactuals.found)


def test_a_number_has_no_counterfactual_and_is_explained_in_its_unit(made: Made) -> None:
    context = ruled(made(), NumberRule(40.0, 10.0, 0.0, 99.0, ()))
    with deterministic(1):
        found = explain(context, [SHAP, COUNTERFACTUALS])
    assert found.explanations[0].of == "the predicted number, in the label's unit"
    assert 20 < found.explanations[0].singles[0].output < 60
    assert found.skipped[0].because.startswith("a number is predicted")


@pytest.mark.parametrize(
    ("operations", "recipe", "because"),
    [
        ({"explanations": None}, {}, "the plan asks for no"),
        ({}, {"federated": object()}, "stay with their clients"),
    ],
)
def test_the_step_says_why_it_explains_nothing(
    plan: Plan, operations: dict[str, Any], recipe: dict[str, Any], because: str, tmp_path: Path
) -> None:
    asked = plan.model_copy(
        update={
            "operations": plan.operations.model_copy(update=operations),
            "recipe": plan.recipe.model_copy(update=recipe),
        }
    )
    nothing: Any = None
    found = step.fn(nothing, nothing, asked, nothing, tmp_path, 1.0)
    assert [each.part for each in found.skipped] == ["all"]
    assert because in found.skipped[0].because
