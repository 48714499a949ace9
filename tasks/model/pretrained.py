"""BERT's encoder (Devlin et al. 2019), whose weights were learned elsewhere, with a head of its own."""

from __future__ import annotations

import torch
from torch import nn

from .inputs import Steps
from .sequence import mean_of
from .transformer import Block

EPSILON = 1e-12  # of BERT's normalisation


class Bert(nn.Module):
    """Places added to the tokens' vectors, blocks normalised last, the mean over real steps, a head."""

    def __init__(
        self,
        shape: tuple[int, ...],
        outputs: int,
        layers: int,
        heads: int,
        feedforward: int,
        positions: int,
        dropout: float,
    ) -> None:
        """Draw weights that the pretrained ones replace, but for the head's.

        Args:
            shape: (steps, width) of the tokens' vectors.
            outputs: number of outputs.
            layers: blocks.
            heads: of attention; they divide the width.
            feedforward: width between a block's two linear layers.
            positions: steps at most, as pretrained; at least ``steps``.
            dropout: share of values dropped in training.
        """
        super().__init__()
        steps, width = shape
        if steps > positions:
            raise ValueError(f"recipe.features.length is {steps}; this encoder takes {positions} at most")
        self.places = nn.Embedding(positions, width)
        self.kind = nn.Parameter(torch.zeros(width))
        self.norm = nn.LayerNorm(width, EPSILON)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(NormalisedLast(width, heads, feedforward, dropout) for _ in range(layers))
        self.output = nn.Linear(width, outputs)

    def forward(self, steps: Steps) -> torch.Tensor:
        """Outputs (1, n, outputs)."""
        logits: torch.Tensor = self.output(self.dropout(self.encode(steps)))
        return logits[None]

    def encode(self, steps: Steps) -> torch.Tensor:
        """One vector a text, (n, width): the mean over its real tokens."""
        x = self.dropout(self.norm(steps.values + self.places.weight[: steps.values.shape[1]] + self.kind))
        for block in self.blocks:
            x = block(x, steps.real)
        return mean_of(x, steps.real)


class NormalisedLast(Block):
    """A block whose normalisation comes after each addition, as in the first Transformer."""

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float) -> None:
        """As :class:`Block`."""
        super().__init__(width, heads, feedforward, dropout)
        self.attention_norm, self.linear_norm = nn.LayerNorm(width, EPSILON), nn.LayerNorm(width, EPSILON)

    def forward(self, x: torch.Tensor, real: torch.Tensor | None) -> torch.Tensor:
        """(n, steps, width) to the same."""
        x = self.attention_norm(x + self.dropout(self.attend(x, real)))
        changed: torch.Tensor = self.linear_norm(x + self.dropout(self.linear(x)))
        return changed
