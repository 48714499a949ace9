"""The perceptron: a few of them train side by side, and their answers are averaged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from .inputs import Steps


class Layers(nn.Module):
    """One linear layer for each member: (members, n, inputs) or (n, inputs) to (members, n, outputs).

    A single member keeps (n, inputs): a plain matrix product takes half the time of a batch of one.
    """

    def __init__(self, members: int, inputs: int, outputs: int) -> None:
        """Draw each member's weights as torch's own linear layer does."""
        super().__init__()
        bound = 1 / math.sqrt(max(inputs, 1))
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(members, 1, outputs).uniform_(-bound, bound))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Apply every member to its own inputs, or to the inputs that all share."""
        members, width, outputs = self.weight.shape
        if members == 1:
            return torch.addmm(self.bias.view(outputs), inputs, self.weight.view(width, outputs))
        return torch.matmul(inputs, self.weight) + self.bias


class MLP(nn.Module):
    """Linear layers with ReLU and dropout; a sequence or a grid is laid out as one vector."""

    def __init__(
        self, shape: tuple[int, ...], outputs: int, hidden: Sequence[int], dropout: float, members: int
    ) -> None:
        """Draw the weights from torch's global generator.

        Args:
            shape: of one sample, as the front gives it.
            outputs: number of outputs.
            hidden: width of each hidden layer.
            dropout: share of activations dropped in training.
            members: perceptrons trained side by side.
        """
        super().__init__()
        sizes = [math.prod(shape), *hidden]
        self.hidden = nn.ModuleList(Layers(members, a, b) for a, b in pairwise(sizes))
        self.dropout = nn.Dropout(dropout)
        self.output = Layers(members, sizes[-1], outputs)

    def forward(self, steps: Steps) -> torch.Tensor:
        """Outputs (members, n, outputs)."""
        x = steps.values.flatten(1)
        for layer in self.hidden:
            x = self.dropout(torch.relu(layer(x)))
        logits: torch.Tensor = self.output(x)
        return logits if logits.dim() == 3 else logits[None]
