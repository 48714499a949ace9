"""Weights of the classes: none, all the same in all, or the square root of what that takes."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.plan.training import CrossEntropy
from tasks.train.prepare import prepare

from .conftest import Sample


@pytest.mark.parametrize(("name", "power"), [("none", 0.0), ("root", 0.5), ("balanced", 1.0)])
def test_a_class_weighs_what_the_plan_says(sample: Sample, name: str, power: float) -> None:
    training = sample.plan.recipe.training.model_copy(update={"loss": CrossEntropy(class_weights=name)})
    recipe = sample.plan.recipe.model_copy(update={"training": training, "mitigation": []})
    plan = sample.plan.model_copy(update={"recipe": recipe})
    fit = prepare(sample.frame, sample.described, None, plan).fit
    labels, weights = fit.labels.numpy(), fit.weights.numpy()
    rows = np.bincount(labels)
    held = np.bincount(labels, weights)
    assert rows[0] > 2 * rows[1]
    assert weights.mean() == pytest.approx(1)
    assert held[0] / held[1] == pytest.approx((rows[0] / rows[1]) ** (1 - power), rel=1e-4)
