"""What is explained: one number a row, from the values that a network's front gives to its body.

Pixels, cells of a spectrogram and vectors of tokens are all values of a front, so one way serves images,
recordings and texts: token ids have no gradient, the vectors that stand for them have.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from tasks.model.inputs import Inputs, Steps
from tasks.model.network import Network
from tasks.model.rule import ClassRule, Rule

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.int64]

ROWS_AT_ONCE = 64
"""Rows whose activations and gradients are held at a time."""


@dataclass(frozen=True)
class Answer:
    """A network's own answer, before calibration and thresholds, which are read off it.

    Attributes:
        network: in evaluation mode.
        rule: says which output stands for which class.
    """

    network: Network
    rule: Rule

    def steps(self, inputs: Inputs) -> Steps:
        """What the front gives of encoded rows; no gradient goes further back."""
        with torch.no_grad():
            found: Steps = self.network.front(inputs)
        return Steps(found.values.detach(), found.real)

    def of(self, values: torch.Tensor, real: torch.Tensor | None, targets: torch.Tensor) -> torch.Tensor:
        """The log odds of each row's target class, or the predicted number in the label's unit, (n,).

        Log odds do not flatten where the model is sure, as probabilities do. Members are averaged.

        Args:
            values: of the front, (n, ...).
            real: which steps are no filling, (n, steps), or None.
            targets: position of the class that is asked about, int64 (n,); of a number nothing is read.
        """
        outputs = self.network.body(Steps(values, real)).mean(dim=0)
        if not isinstance(self.rule, ClassRule):
            number: torch.Tensor = outputs[:, 0] * self.rule.deviation + self.rule.mean
            return number
        if self.rule.outputs == 1:
            positive = self.rule.classes.index(str(self.rule.positive))
            return torch.where(targets == positive, outputs[:, 0], -outputs[:, 0])
        own = outputs.gather(1, targets[:, None])[:, 0]
        others = outputs.scatter(1, targets[:, None], -torch.inf).logsumexp(dim=1)
        odds: torch.Tensor = own - others
        return odds

    def answers(self, steps: Steps, targets: torch.Tensor) -> Floats:
        """The same as an array, in parts so that memory stays bounded."""
        with torch.no_grad():
            found = [
                self.of(part.values, part.real, targets[rows])
                for part, rows in ((steps.rows(rows), rows) for rows in parts(len(targets)))
            ]
        return torch.cat(found).double().numpy() if found else np.zeros(0)

    def decided(self, steps: Steps) -> torch.Tensor:
        """The likeliest class of each row, int64 (n,), zeros of a number: what is asked about by default."""
        with torch.no_grad():
            found = [
                self.rule.scores(self.network.body(steps.rows(rows))) for rows in parts(len(steps.values))
            ]
        if not isinstance(self.rule, ClassRule):
            return torch.zeros(len(steps.values), dtype=torch.int64)
        return torch.cat(found).argmax(dim=1)


def parts(rows: int, size: int = ROWS_AT_ONCE) -> Iterator[slice]:
    """Runs of rows, one after the other."""
    return (slice(start, min(start + size, rows)) for start in range(0, rows, size))


def no_gradient(answer: Answer, steps: Steps) -> str | None:
    """Why the answer has no gradient with respect to the front's values, or None where it has one.

    Args:
        answer: of the network.
        steps: of a few rows.
    """
    values = steps.values.clone()
    if not values.is_floating_point():
        return f"the front gives {values.dtype}, no real numbers: nothing can be moved a little"
    values.requires_grad_()
    found = answer.of(values, steps.real, answer.decided(steps))
    if not found.requires_grad:
        return "the model's answer is computed by steps that have no gradient, such as a comparison"
    (gradient,) = torch.autograd.grad(found.sum(), values, allow_unused=True)
    if gradient is None or not bool(gradient.isfinite().all()):
        return "the model's answer depends on its input by steps whose gradient is missing or not finite"
    if not bool(gradient.any()):
        return "the gradient is zero at every value of every row: the answer moves by jumps or not at all"
    return None


@contextmanager
def evaluation(network: Network) -> Iterator[None]:
    """No dropout and no gradient of weights meanwhile; afterwards as before."""
    before, wanted = network.training, [parameter.requires_grad for parameter in network.parameters()]
    network.eval().requires_grad_(False)  # noqa: FBT003 - torch's own signature
    try:
        yield
    finally:
        network.train(before)
        for parameter, own in zip(network.parameters(), wanted, strict=True):
            parameter.requires_grad_(own)
