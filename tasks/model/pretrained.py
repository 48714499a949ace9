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
        values, real = steps
        x = self.norm(values + self.places.weight[: values.shape[1]] + self.kind)
        if real is None:
            real = torch.ones(values.shape[:2], dtype=torch.bool, device=values.device)
        tokens = Tokens(real)
        x = self.dropout(tokens.real_of(x))
        for block in self.blocks:
            x = block(x, tokens)
        return mean_of(tokens.spread(x), real)


class Tokens:
    """Where the real tokens of a batch lie: nearly all work is done on them alone, none on what fills up."""

    def __init__(self, real: torch.Tensor) -> None:
        """Take ``real``, bool (n, steps)."""
        self.real = real
        self.places = real.flatten().nonzero()[:, 0]

    def real_of(self, padded: torch.Tensor) -> torch.Tensor:
        """(n, steps, width) to (tokens, width)."""
        return padded.flatten(0, 1)[self.places]

    def spread(self, tokens: torch.Tensor) -> torch.Tensor:
        """(tokens, width) to (n, steps, width), zero where a text was filled up."""
        padded = tokens.new_zeros(self.real.numel(), tokens.shape[1])
        return padded.index_copy(0, self.places, tokens).view(*self.real.shape, -1)


class NormalisedLast(Block):
    """A block whose normalisation comes after each addition, as in the first Transformer."""

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float) -> None:
        """As :class:`Block`."""
        super().__init__(width, heads, feedforward, dropout)
        self.attention_norm, self.linear_norm = nn.LayerNorm(width, EPSILON), nn.LayerNorm(width, EPSILON)

    def forward(self, x: torch.Tensor, tokens: Tokens) -> torch.Tensor:  # type: ignore[override] # unpadded
        """(tokens, width) to the same."""
        mixed = self.mix(tokens.spread(self.asked(x)), tokens.real)
        x = self.attention_norm(x + self.dropout(self.answered(tokens.real_of(mixed))))
        changed: torch.Tensor = self.linear_norm(x + self.dropout(self.linear(x)))
        return changed
