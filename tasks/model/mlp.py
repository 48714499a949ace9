"""The network: embedded categories and binned numbers into a few perceptrons that train side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from torch import nn

from .encode import Encoded, Encoders


@dataclass(frozen=True)
class Architecture:
    """Shape of the network.

    Attributes:
        embedding: width of the vector that stands for a category or a number.
        hidden: width of each hidden layer.
        dropout: share of activations dropped in training.
        members: perceptrons whose probabilities are averaged.
        classes: number of classes.
    """

    embedding: int
    hidden: tuple[int, ...]
    dropout: float
    members: int
    classes: int


class Numbers(nn.Module):
    """Each number as a small vector: piecewise linear encoding, linear layer, ReLU.

    The encoding says how far the number has got through each of its bins, 0 to 1 (Gorishniy et al. 2022,
    "On embeddings for numerical features in tabular deep learning", section 3.2).
    """

    def __init__(self, edges: Sequence[Sequence[float]], width: int) -> None:
        """Take the rising edges of each column, in standardised units, and the vectors' width."""
        super().__init__()
        bins = max((len(column) - 1 for column in edges), default=0)
        low, scale = torch.zeros(len(edges), bins), torch.zeros(len(edges), bins)
        for column, values in enumerate(map(torch.tensor, edges)):
            low[column, : len(values) - 1] = values[:-1]
            scale[column, : len(values) - 1] = 1 / (values[1:] - values[:-1])
        self.low: torch.Tensor
        self.scale: torch.Tensor
        # Rebuilt from model.json, so no part of the weights. Scale 0 fills up a column with fewer bins.
        self.register_buffer("low", low, persistent=False)
        self.register_buffer("scale", scale, persistent=False)
        bound = 1 / math.sqrt(max(bins, 1))
        self.weight = nn.Parameter(torch.empty(len(edges), bins, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(len(edges), 1, width))

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        """(n, columns) to (n, columns x width)."""
        encoded = ((numbers[:, :, None] - self.low) * self.scale).clamp(0, 1)
        vectors = torch.relu(torch.baddbmm(self.bias, encoded.transpose(0, 1), self.weight))
        return vectors.transpose(0, 1).flatten(1)


class Categories(nn.Module):
    """Each category as a small vector, all columns from one table."""

    def __init__(self, levels: Sequence[int], width: int) -> None:
        """Take the number of codes of each column and the vectors' width."""
        super().__init__()
        self.first: torch.Tensor
        first = [0, *accumulate(levels)][: len(levels)]
        self.register_buffer("first", torch.tensor(first, dtype=torch.long), persistent=False)
        self.table = nn.Embedding(sum(levels), width)
        nn.init.normal_(self.table.weight, std=1 / math.sqrt(width))

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """(n, columns) to (n, columns x width)."""
        vectors: torch.Tensor = self.table(codes + self.first)
        return vectors.flatten(1)


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
        columns = len(encoders.categories) + len(encoders.numbers)
        self.categories = Categories([column.levels for column in encoders.categories], shape.embedding)
        self.numbers = Numbers([column.edges for column in encoders.numbers], shape.embedding)
        inputs = columns * shape.embedding + 2 * len(encoders.numbers)
        sizes = [inputs, *shape.hidden]
        self.hidden = nn.ModuleList(Layers(shape.members, a, b) for a, b in pairwise(sizes))
        self.dropout = nn.Dropout(shape.dropout)
        self.output = Layers(shape.members, sizes[-1], shape.classes)

    def forward(self, rows: Encoded) -> torch.Tensor:
        """Logits (members, n, classes)."""
        embedded = [self.categories(rows.codes), self.numbers(rows.numbers)]
        x = torch.cat([*embedded, rows.numbers, rows.absent], dim=1)
        for layer in self.hidden:
            x = self.dropout(torch.relu(layer(x)))
        logits: torch.Tensor = self.output(x)
        return logits

    def probabilities(self, rows: Encoded) -> torch.Tensor:
        """Probabilities (n, classes): the mean over the members."""
        logits: torch.Tensor = self(rows)
        return logits.softmax(dim=2).mean(dim=0)
