"""Adversarial debiasing: what a second network guesses the group from, the first learns to take away.

Zhang, Lemoine and Mitchell 2018, "Mitigating Unwanted Biases with Adversarial Learning", by the gradient
reversal of Ganin and Lempitsky 2015, "Unsupervised Domain Adaptation by Backpropagation": both networks take
the same step, and the gradient changes its sign between them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from tasks.mitigate.pressure import Pressure, decided_gap, positive_of
from tasks.model.rule import ClassRule
from tasks.plan.mitigation import Adversary


class Reversed(torch.autograd.Function):
    """The values themselves; their gradient comes back times minus the strength."""

    @staticmethod
    def forward(context: Any, values: torch.Tensor, strength: float) -> torch.Tensor:
        """Keep the strength for the way back."""
        context.strength = strength
        return values.view_as(values)

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Turn the gradient round."""
        return -context.strength * gradients[0], None


class Adversarial(Pressure):
    """The adversary: it sees the log odds of the positive class, under equalized odds also the true class.

    Attributes:
        balance: weights of its loss by level and class, (levels + 1, classes): every level weighs the same
            (within each class, under equalized odds), so that nothing but the output tells it.
        guesser: from what it sees to an output for each level.
    """

    balance: torch.Tensor

    def __init__(self, step: Adversary, rule: ClassRule, cells: torch.Tensor) -> None:
        """Draw the adversary's weights from torch's global generator.

        Args:
            step: of the plan.
            rule: from outputs to probabilities.
            cells: fit rows by level and class, (levels + 1, classes).
        """
        super().__init__()
        self.step, self.rule = step, rule
        self.price = step.strength
        self.by_class = step.metric == "equalized_odds"
        known = (
            cells[:-1] if self.by_class else cells[:-1].sum(dim=1, keepdim=True).expand(-1, cells.shape[1])
        )
        levels = (known > 0).sum(dim=0)  # that a class has
        equal = torch.where(known > 0, known.sum(dim=0) / (levels * known), 0.0)
        self.register_buffer("balance", torch.cat([equal, torch.zeros_like(equal[:1])]), persistent=False)
        seen = 2 * cells.shape[1] if self.by_class else 1
        self.guesser = nn.Sequential(
            nn.Linear(seen, step.hidden), nn.ReLU(), nn.Linear(step.hidden, len(cells) - 1)
        )

    def forward(
        self,
        outputs: torch.Tensor,
        labels: torch.Tensor,
        groups: torch.Tensor,
        losses: torch.Tensor,  # noqa: ARG002 - of a constraint on them
    ) -> torch.Tensor:
        """The sum of the adversary's balanced cross-entropies of the group."""
        odds = Reversed.apply(self._log_odds(outputs), self.step.strength)[:, None]  # type: ignore[no-untyped-call]
        if self.by_class:
            classes = nn.functional.one_hot(labels, self.balance.shape[1]).to(odds.dtype)
            odds = torch.cat([odds * classes, classes], dim=1)
        guessed = nn.functional.cross_entropy(self.guesser(odds), groups.clamp_min(0), reduction="none")
        return self.balance[groups, labels] @ guessed

    def _log_odds(self, outputs: torch.Tensor) -> torch.Tensor:
        """Of the positive class, the mean over the members, (n,)."""
        if self.rule.outputs == 1:
            return outputs[..., 0].mean(dim=0)
        positive = positive_of(self.rule)
        return (outputs[..., positive] - outputs[..., 1 - positive]).mean(dim=0)

    def settle(self, total: Callable[[torch.Tensor], torch.Tensor]) -> None:
        """Nothing: the adversary learns with every batch."""

    def excess(self, scores: torch.Tensor, labels: torch.Tensor, groups: torch.Tensor) -> float:
        """The gap of decided classes: there is no slack, and every part of it costs."""
        return decided_gap(scores, labels, groups, self.rule, by_class=self.by_class)
