"""Steps during training: what they add to the loss, and how far a model is from what they ask for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from tasks.model.rule import ClassRule


class Pressure(nn.Module, ABC):
    """A step during training. What it learns or keeps between epochs are parameters and buffers.

    Its parameters are the optimiser's beside the network's, and a checkpoint holds both. Rates count rows,
    as the gate does: weights that balance classes or cells would make another population's rates of them.

    Attributes:
        price: of one unit of excess, in nats. The epoch is kept whose validation loss and priced excess
            are least together: a model that tells nothing has no gap either, and is not wanted.
    """

    price: float

    @abstractmethod
    def forward(
        self, outputs: torch.Tensor, labels: torch.Tensor, groups: torch.Tensor, losses: torch.Tensor
    ) -> torch.Tensor:
        """What is added to the sum of a batch's weighted losses, a scalar.

        It is a sum over rows, so parts of a batch (other processes', accumulated ones) add up.

        Args:
            outputs: of the network, (members, n, outputs).
            labels: positions of classes, int64 (n,).
            groups: positions of levels, int64 (n,); -1 for a level that is not told apart.
            losses: of each row, float32 (n,), not weighted.
        """

    @abstractmethod
    def settle(self, total: Callable[[torch.Tensor], torch.Tensor]) -> None:
        """Called after each epoch; ``total`` sums a tensor over the processes that train."""

    @abstractmethod
    def excess(self, scores: torch.Tensor, labels: torch.Tensor, groups: torch.Tensor) -> float:
        """How far validation rows are beyond what the step asks for, at least 0.

        Args:
            scores: probabilities (n, classes).
            labels: as above.
            groups: as above.
        """


def cells_of(labels: torch.Tensor, groups: torch.Tensor, classes: int) -> torch.Tensor:
    """Rows by level and class, float32 (levels + 1, classes); the last line has those not told apart.

    Args:
        labels: positions of classes, int64 (n,).
        groups: positions of levels, int64 (n,), each of which occurs; -1 for one that is not told apart.
        classes: number of them.
    """
    lines = int(groups.max()) + 2
    cells = groups.remainder(lines) * classes + labels
    return torch.bincount(cells, minlength=lines * classes).view(lines, classes).float()


def decided_gap(
    scores: torch.Tensor, labels: torch.Tensor, groups: torch.Tensor, rule: ClassRule, *, by_class: bool
) -> float:
    """Largest difference between two levels' rates of positive decisions, as the gate has it.

    Args:
        scores: probabilities (n, classes).
        labels: positions of classes (n,).
        groups: positions of levels (n,); rows of -1 are left out.
        rule: decides.
        by_class: the largest within a true class (equalized odds), not over all rows (demographic parity).
            A level that has no row of a class is left out of it.
    """
    positive = rule.decide(scores.cpu().numpy()) == positive_of(rule)
    truth, level = labels.cpu().numpy(), groups.cpu().numpy()
    gaps = [0.0]
    for rows in [truth == label for label in np.unique(truth)] if by_class else [np.ones(len(truth), bool)]:
        rates = [positive[rows & (level == one)].mean() for one in np.unique(level[rows & (level >= 0)])]
        gaps.append(float(np.ptp(rates)) if rates else 0.0)
    return max(gaps)


def positive_of(rule: ClassRule) -> int:
    """Position of the class whose rate is compared; of two without a positive one, the last."""
    return len(rule.classes) - 1 if rule.positive is None else rule.classes.index(rule.positive)
