"""Steps during training: what they add to the loss, and how far a model is from what they ask for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from tasks.model.rule import Rule
from tasks.plan.mitigation import Step


class Pressure(nn.Module, ABC):
    """A step during training. What it learns or keeps between epochs are parameters and buffers.

    Its parameters are the optimiser's beside the network's, and a checkpoint holds both.
    """

    @abstractmethod
    def forward(
        self, outputs: torch.Tensor, labels: torch.Tensor, groups: torch.Tensor, weights: torch.Tensor
    ) -> torch.Tensor:
        """What is added to the sum of a batch's weighted losses, a scalar.

        Args:
            outputs: of the network, (members, n, outputs).
            labels: positions of classes, int64 (n,).
            groups: positions of levels, int64 (n,); -1 for a level that no fit row has.
            weights: float32 (n,), mean 1 over all rows.
        """

    @abstractmethod
    def settle(self, total: Callable[[torch.Tensor], torch.Tensor]) -> None:
        """Called after each epoch; ``total`` sums a tensor over the processes that train."""

    @abstractmethod
    def excess(
        self, scores: torch.Tensor, labels: torch.Tensor, groups: torch.Tensor, weights: torch.Tensor
    ) -> float:
        """How far validation rows are beyond what the step asks for, at least 0; the least is kept.

        Args:
            scores: probabilities (n, classes).
            labels: as above.
            groups: as above.
            weights: as above.
        """


Made = Callable[[Any, Rule, int], Pressure]
PRESSURES: Mapping[type, Made] = MappingProxyType({})
"""Each step during training, made of the plan's member, the rule and the number of groups."""


def pressure_of(steps: Sequence[Step], rule: Rule, groups: int) -> Pressure | None:
    """The pressure that the recipe asks for; None where it has no step during training."""
    found = [step for step in steps if step.stage == "training"]
    return PRESSURES[type(found[0])](found[0], rule, groups) if found else None
