"""The network: embedded categories and binned numbers into a few perceptrons that train side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn

from .encode import Encoded, Encoders


@dataclass(frozen=True)
class Architecture:
    """Shape of the network.

    Attributes:
        hidden: width of each hidden layer.
        dropout: share of activations dropped in training.
        members: perceptrons whose probabilities are averaged.
        classes: number of classes.
    """

    hidden: tuple[int, ...]
    dropout: float
    members: int
    classes: int


class PiecewiseLinear(nn.Module):
    """How far a number has got through each of its bins, 0 to 1 (Gorishniy et al. 2022, "PLE")."""

    def __init__(self, edges: Sequence[Sequence[float]]) -> None:
        """Take the rising edges of each column, in standardised units."""
        super().__init__()
        bins = [(c, low, high) for c, e in enumerate(edges) for low, high in pairwise(e)]
        self.width = len(bins)
        self.column: torch.Tensor
        self.low: torch.Tensor
        self.span: torch.Tensor
        # Rebuilt from model.json, so no part of the weights.
        self.register_buffer("column", torch.tensor([c for c, _, _ in bins]).long(), persistent=False)
        self.register_buffer("low", torch.tensor([low for _, low, _ in bins]), persistent=False)
        self.register_buffer("span", torch.tensor([high - low for _, low, high in bins]), persistent=False)

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        """(n, columns) to (n, bins of all columns)."""
        return ((numbers[:, self.column] - self.low) / self.span).clamp(0, 1)


class Layers(nn.Module):
    """One linear layer for each member: (members, n, inputs) or (n, inputs) to (members, n, outputs)."""

    def __init__(self, members: int, inputs: int, outputs: int) -> None:
        """Draw each member's weights as torch's own linear layer does."""
        super().__init__()
        bound = 1 / math.sqrt(max(inputs, 1))
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(members, 1, outputs).uniform_(-bound, bound))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Apply every member to its own inputs, or to the inputs that all share."""
        return torch.matmul(inputs, self.weight) + self.bias


class Network(nn.Module):
    """The network of ``Architecture`` on the columns of ``Encoders``."""

    def __init__(self, encoders: Encoders, shape: Architecture) -> None:
        """Draw the weights from torch's global generator."""
        super().__init__()
        widths = [min(32, math.ceil(1.6 * c.levels**0.56)) for c in encoders.categories]
        self.embeddings = nn.ModuleList(
            nn.Embedding(c.levels, width) for c, width in zip(encoders.categories, widths, strict=True)
        )
        self.bins = PiecewiseLinear([number.edges for number in encoders.numbers])
        inputs = sum(widths) + 2 * len(encoders.numbers) + self.bins.width
        sizes = [inputs, *shape.hidden]
        self.hidden = nn.ModuleList(Layers(shape.members, a, b) for a, b in pairwise(sizes))
        self.dropout = nn.Dropout(shape.dropout)
        self.output = Layers(shape.members, sizes[-1], shape.classes)

    def forward(self, rows: Encoded) -> torch.Tensor:
        """Logits (members, n, classes)."""
        embedded = [table(rows.codes[:, i]) for i, table in enumerate(self.embeddings)]
        x = torch.cat([*embedded, rows.numbers, rows.absent, self.bins(rows.numbers)], dim=1)
        for layer in self.hidden:
            x = self.dropout(torch.relu(layer(x)))
        logits: torch.Tensor = self.output(x)
        return logits

    def probabilities(self, rows: Encoded) -> torch.Tensor:
        """Probabilities (n, classes): the mean over the members."""
        logits: torch.Tensor = self(rows)
        return logits.softmax(dim=2).mean(dim=0)
