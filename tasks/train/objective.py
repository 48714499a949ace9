"""What training strives for: the loss that is minimised, and how well validation rows are predicted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import nn

from tasks.evaluate.evaluate import quantile_edges
from tasks.evaluate.performance import auc, macro_f1, r2
from tasks.model.columns import Codes
from tasks.model.rule import ClassRule, NumberRule, Rule, Scores
from tasks.plan.data import Classes, Number
from tasks.plan.plan import Plan
from tasks.plan.training import CrossEntropy
from tasks.privacy.public import centre

SCORE_BINS = 20
NUMBER_BINS = 100  # what lies within one is unknown to the distance of two distributions
LEAST_LIKELY = 1e-12  # a probability of 0 would make the validation loss infinite


class Objective(Protocol):
    """What training strives for.

    Attributes:
        rule: from the network's outputs to scores; without score bins before the freeze.
    """

    @property
    def rule(self) -> Rule:
        """From the network's outputs to scores."""

    def losses(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Loss of each row, (n,), the mean over the members, of outputs (members, n, outputs)."""

    def measure(
        self, scores: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor
    ) -> tuple[float, float]:
        """Weighted mean loss of scores, and weighted accuracy (classes) or R2 (a number)."""

    def frozen(self, scores: Scores, rule: Rule) -> Rule:
        """The rule that steps after training left, with score bins from the validation scores."""

    def validation(
        self, scores: Scores, labels: torch.Tensor, rule: Rule, groups: Codes | None
    ) -> dict[str, float]:
        """Unweighted performance of a rule on the validation rows, by name."""


@dataclass(frozen=True)
class ClassObjective:
    """Cross-entropy of classes, or of the one output of the positive class."""

    rule: ClassRule
    smoothing: float

    def losses(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Cross-entropy in nats."""
        members = len(outputs)
        labels = labels if members == 1 else labels.repeat(members)
        if self.rule.outputs == 1:
            positive = (labels == self.rule.classes.index(str(self.rule.positive))).float()
            each = nn.functional.binary_cross_entropy_with_logits(
                outputs.flatten(), positive, reduction="none"
            )
            return _over_members(each, members)
        each = nn.functional.cross_entropy(
            outputs.flatten(0, 1), labels, reduction="none", label_smoothing=self.smoothing
        )
        return _over_members(each, members)

    def measure(
        self, scores: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor
    ) -> tuple[float, float]:
        """Weighted mean cross-entropy (nats) and weighted accuracy."""
        chosen = scores.gather(1, labels[:, None])[:, 0].clamp_min(LEAST_LIKELY)
        loss = -(chosen.log() * weights).sum() / weights.sum()
        right = (scores.argmax(dim=1) == labels).float()
        return float(loss), float((right * weights).sum() / weights.sum())

    def frozen(self, scores: Scores, rule: Rule) -> Rule:
        """Score bins are quantiles of the positive class's probability; without one there are none."""
        if self.rule.positive is None:
            return rule
        positive = self.rule.classes.index(self.rule.positive)
        return replace(rule, score_edges=quantile_edges(scores[:, positive], SCORE_BINS))

    def validation(
        self, scores: Scores, labels: torch.Tensor, rule: Rule, groups: Codes | None
    ) -> dict[str, float]:
        """Accuracy, macro-F1, and AUC of the positive class."""
        assert isinstance(rule, ClassRule)  # noqa: S101 - made of this objective's own
        truth, decided = labels.numpy(), rule.decide(scores, groups)
        values = {"accuracy": float((decided == truth).mean())}
        values["macro_f1"] = macro_f1(truth, decided, len(self.rule.classes)).value
        if self.rule.positive is not None and len(self.rule.classes) == 2 and len(np.unique(truth)) == 2:
            positive = self.rule.classes.index(self.rule.positive)
            values["auc"] = auc(truth == positive, scores[:, positive]).value
        return values


@dataclass(frozen=True)
class NumberObjective:
    """Mean squared error of the standardised number."""

    rule: NumberRule

    def losses(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Squared error of the standardised number."""
        return _over_members(((outputs[..., 0] - self._standard(labels)) ** 2).flatten(), len(outputs))

    def measure(
        self, scores: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor
    ) -> tuple[float, float]:
        """Weighted mean squared error (standardised) and R2."""
        error = (self._standard(scores[:, 0]) - self._standard(labels)) ** 2
        mean = (labels * weights).sum() / weights.sum()
        spread = (((labels - mean) / self.rule.deviation) ** 2 * weights).sum()
        return float((error * weights).sum() / weights.sum()), float(1 - (error * weights).sum() / spread)

    def frozen(self, scores: Scores, rule: Rule) -> Rule:
        """The histogram of predictions has quantiles of the validation predictions as edges."""
        shares = np.linspace(0, 1, NUMBER_BINS + 1)[1:-1]
        edges = np.unique(np.quantile(scores[:, 0].astype(float), shares, method="inverted_cdf"))
        return replace(rule, score_edges=tuple(edges.tolist()))

    def validation(
        self,
        scores: Scores,
        labels: torch.Tensor,
        rule: Rule,  # noqa: ARG002 - a number is no decision
        groups: Codes | None,  # noqa: ARG002
    ) -> dict[str, float]:
        """R2 and mean absolute error."""
        truth = labels.numpy().astype(float)
        error = scores[:, 0].astype(float) - truth
        return {"r2": r2(truth, scores[:, 0].astype(float)).value, "mae": float(np.abs(error).mean())}

    def _standard(self, values: torch.Tensor) -> torch.Tensor:
        return (values - self.rule.mean) / self.rule.deviation


def _over_members(losses: torch.Tensor, members: int) -> torch.Tensor:
    """Mean (n,) of losses (members x n,); of one member as it is, for a small batch feels every copy."""
    return losses if members == 1 else losses.view(members, -1).mean(dim=0)


def objective_of(plan: Plan, labels: torch.Tensor) -> Objective:
    """The objective that the plan's label and loss ask for.

    Args:
        plan: names both.
        labels: of the fit rows: positions of classes, or numbers.
    """
    label, loss = plan.judgement.data.label, plan.recipe.training.loss
    if isinstance(label, Number):
        mean, deviation = float(labels.double().mean()), float(labels.double().std(correction=0))
        if plan.recipe.privacy is not None:
            mean, deviation = centre(label.minimum, label.maximum)
        return NumberObjective(NumberRule(mean, deviation or 1.0, label.minimum, label.maximum, ()))
    return ClassObjective(_class_rule(label, loss.kind), getattr(loss, "smoothing", 0.0))


def _class_rule(label: Classes, loss: str) -> ClassRule:
    outputs = len(label.values) if loss == CrossEntropy().kind else 1
    return ClassRule(tuple(label.values), label.positive, 0.5, (), outputs)
