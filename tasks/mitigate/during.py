"""Steps during training, by the plan's member."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch

from tasks.mitigate.adversary import Adversarial
from tasks.mitigate.constraint import Constrained
from tasks.mitigate.pressure import Pressure, cells_of
from tasks.model.rule import ClassRule, Rule
from tasks.plan.mitigation import Adversary, Constraint, Step

Made = Callable[[Any, ClassRule, torch.Tensor], Pressure]
PRESSURES: Mapping[type, Made] = MappingProxyType({Constraint: Constrained, Adversary: Adversarial})
"""Each made of the plan's member, the rule and the counts of fit rows (:func:`cells_of`)."""


def pressure_of(
    steps: Sequence[Step], rule: Rule, labels: torch.Tensor, groups: torch.Tensor | None
) -> Pressure | None:
    """The pressure that the recipe asks for; None where it has no step during training.

    Args:
        steps: ``recipe.mitigation``.
        rule: of classes; the plan refuses such a step for a number.
        labels: positions of classes of the fit rows, int64 (n,).
        groups: positions of their levels, int64 (n,); -1 for one that is not told apart.
    """
    step = next((step for step in steps if step.stage == "training"), None)
    if step is None:
        return None
    assert isinstance(rule, ClassRule) and groups is not None  # noqa: S101, PT018 - by the plan, and `prepare`
    return PRESSURES[type(step)](step, rule, cells_of(labels, groups, len(rule.classes)))
