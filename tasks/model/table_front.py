"""The first part of a network on a table: every column as a small vector."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import nn

from .columns import Category, Number
from .inputs import Front, Inputs, Steps


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


class Columns(Front):
    """Embedded categories and binned numbers, side by side, then the numbers as they are."""

    def __init__(self, categories: Sequence[Category], numbers: Sequence[Number], width: int) -> None:
        """Draw the vectors from torch's global generator."""
        super().__init__()
        self.categories = Categories([column.levels for column in categories], width)
        self.numbers = Numbers([column.edges for column in numbers], width)
        self.shape = ((len(categories) + len(numbers)) * width + 2 * len(numbers),)

    def forward(self, rows: Inputs) -> Steps:
        """A vector for each row, (n, width)."""
        embedded = [self.categories(rows["codes"]), self.numbers(rows["numbers"])]
        return Steps(torch.cat([*embedded, rows["numbers"], rows["absent"]], dim=1))
