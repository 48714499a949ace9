"""A fairness constraint: the network answers multipliers that an exponentiated gradient raises.

Agarwal, Beygelzimer, Dudik, Langford and Wallach 2018, "A Reductions Approach to Fair Classification"
(parity), and Agarwal, Dudik and Wu 2019, "Fair Regression" (bounded group loss), with two changes. The
network is not trained anew for each step of the multipliers: it goes on, one epoch a step, and its last
weights answer instead of a mixture drawn at random. And it answers with probabilities, since decisions have
no gradient.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from tasks.mitigate.pressure import Pressure, decided_gap, positive_of
from tasks.model.rule import ClassRule
from tasks.plan.mitigation import Constraint

LEAST_LIKELY = 1e-12  # a probability of 0 would make a group's loss infinite


class Constrained(Pressure):
    """Multipliers of each constraint, and the sums from which an epoch's violations follow.

    A constraint bounds a mean over the rows of one cell, a level (of one true class, under equalized odds):
    of the positive class's probability, which may lie `slack` above or below the mean over all levels, or of
    the loss, which may not exceed `slack`.

    Attributes:
        exponents: of the multipliers, (sides, levels, conditions); two sides under parity: above and below.
        sums: of the bounded quantity over an epoch's rows so far, (levels + 1, conditions).
        counts: of fit rows, the same shape; the last line has rows that are not told apart.
    """

    exponents: torch.Tensor
    sums: torch.Tensor
    counts: torch.Tensor

    def __init__(self, step: Constraint, rule: ClassRule, cells: torch.Tensor) -> None:
        """Begin with equal multipliers.

        Args:
            step: of the plan.
            rule: from outputs to probabilities.
            cells: fit rows by level and class, (levels + 1, classes).
        """
        super().__init__()
        self.step, self.rule, self.rows = step, rule, float(cells.sum())
        self.price = step.bound
        self.by_class = step.metric == "equalized_odds"
        self.of_loss = step.metric == "bounded_group_loss"
        counts = cells if self.by_class else cells.sum(dim=1, keepdim=True)
        self.register_buffer("counts", counts, persistent=False)
        self.register_buffer("sums", torch.zeros_like(counts))
        # A cell without rows has no mean to bound: its multipliers stay 0.
        begun = torch.where(counts[:-1] > 0, 0.0, -torch.inf)
        self.register_buffer("exponents", begun.repeat(1 if self.of_loss else 2, 1, 1))

    def forward(
        self, outputs: torch.Tensor, labels: torch.Tensor, groups: torch.Tensor, losses: torch.Tensor
    ) -> torch.Tensor:
        """The multipliers times the means that they bound, as the batch's part of a sum over all rows.

        That sum is linear in what it bounds, so each row has a known coefficient and nothing is centred
        within the batch: the gradient is right on average however small a batch is, and however rare a group.
        """
        conditions = labels if self.by_class else torch.zeros_like(labels)
        values = losses if self.of_loss else self.rule.scores(outputs)[:, positive_of(self.rule)]
        self._note(values.detach(), groups, conditions)
        return self.coefficients()[groups, conditions] @ values

    def _note(self, values: torch.Tensor, groups: torch.Tensor, conditions: torch.Tensor) -> None:
        """Add to the sums; by a product with indicators, which is deterministic on every device."""
        lines, columns = self.counts.shape
        cells = groups.remainder(lines) * columns + conditions
        indicators = (cells[:, None] == torch.arange(lines * columns, device=cells.device)).float()
        self.sums += (values @ indicators).view(lines, columns)

    def multipliers(self) -> torch.Tensor:
        """Of each constraint, the shape of the exponents, at least 0; their sum is below the bound."""
        slacker = self.exponents.new_zeros(1)  # whose share is what the sum leaves of the bound
        shares = torch.cat([self.exponents.flatten(), slacker]).softmax(dim=0)
        return self.step.bound * shares[:-1].view_as(self.exponents)

    def coefficients(self) -> torch.Tensor:
        """What each row's value is multiplied with, (levels + 1, conditions).

        The mean over all n rows of value times coefficient is the sum over cells of multiplier times mean;
        of parity, multiplier above less multiplier below times the cell's mean less that of all levels.
        """
        counts, sides = self.counts[:-1], self.multipliers()
        if self.of_loss:
            own = sides[0] / counts.clamp_min(1)
        else:
            net = sides[0] - sides[1]
            own = net / counts.clamp_min(1) - net.sum(dim=0) / counts.sum(dim=0).clamp_min(1)
        return self.rows * torch.cat([own, torch.zeros_like(own[:1])])

    def violations(self, sums: torch.Tensor) -> torch.Tensor:
        """How far each constraint is broken, the shape of the exponents; below 0 where it is kept."""
        sums, counts = sums[:-1], self.counts[:-1]
        means = sums / counts.clamp_min(1)
        if self.of_loss:
            return (means - self.step.slack)[None]
        apart = means - sums.sum(dim=0) / counts.sum(dim=0).clamp_min(1)
        return torch.stack([apart, -apart]) - self.step.slack

    def settle(self, total: Callable[[torch.Tensor], torch.Tensor]) -> None:
        """One step of the exponentiated gradient, by the epoch's sums."""
        self.exponents += self.step.rate * self.violations(total(self.sums))
        self.sums.zero_()

    def excess(self, scores: torch.Tensor, labels: torch.Tensor, groups: torch.Tensor) -> float:
        """How far the gap of decided classes, or the worst level's mean loss (nats), exceeds the slack."""
        if not self.of_loss:
            gap = decided_gap(scores, labels, groups, self.rule, by_class=self.by_class)
            return max(0.0, gap - self.step.slack)
        losses = -scores.gather(1, labels[:, None])[:, 0].clamp_min(LEAST_LIKELY).log()
        levels = sorted({*groups[groups >= 0].tolist()})
        return max([0.0, *(float(losses[groups == level].mean()) - self.step.slack for level in levels)])
