"""The Transformer encoder: over tokens, the frames of a spectrogram or the columns of an image."""

from __future__ import annotations

import torch
from torch import nn

from .inputs import Steps
from .sequence import mean_of, sequence_of, sequence_shape


class Transformer(nn.Module):
    """Learned places, blocks of attention and two linear layers, the mean over real steps, a linear layer.

    Vaswani et al. 2017, with the normalisation first (Xiong et al. 2020), so that it needs no long warm-up.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        outputs: int,
        width: int,
        heads: int,
        layers: int,
        feedforward: int,
        dropout: float,
    ) -> None:
        """Draw the weights from torch's global generator.

        Args:
            shape: of one sample: (steps, width), or (channels, height, width).
            outputs: number of outputs.
            width: of each step within the encoder.
            heads: of attention; they divide the width.
            layers: blocks.
            feedforward: width between a block's two linear layers.
            dropout: share of values dropped in training, after the places and in each block.
        """
        super().__init__()
        length, inputs = sequence_shape(shape)
        self.inputs = nn.Identity() if inputs == width else nn.Linear(inputs, width)
        self.places = nn.Embedding(length, width)
        nn.init.normal_(self.places.weight, std=0.02)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, heads, feedforward, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, outputs)

    def forward(self, steps: Steps) -> torch.Tensor:
        """Outputs (1, n, outputs)."""
        values, real = sequence_of(steps)
        x = self.dropout(self.inputs(values) + self.places.weight[: values.shape[1]])
        for block in self.blocks:
            x = block(x, real)
        logits: torch.Tensor = self.output(self.dropout(mean_of(self.norm(x), real)))
        return logits[None]


class Block(nn.Module):
    """Attention of each step to the real ones, then two linear layers with GELU; both are added."""

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float) -> None:
        """Draw the weights from torch's global generator; ``heads`` divides ``width``."""
        super().__init__()
        self.heads, self.share = heads, dropout
        self.attention_norm, self.linear_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.asked = nn.Linear(width, 3 * width)
        self.answered = nn.Linear(width, width)
        self.linear = nn.Sequential(
            nn.Linear(width, feedforward), nn.GELU(), nn.Dropout(dropout), nn.Linear(feedforward, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, real: torch.Tensor | None) -> torch.Tensor:
        """(n, steps, width) to the same."""
        x = x + self.dropout(self.attend(self.attention_norm(x), real))
        changed: torch.Tensor = x + self.dropout(self.linear(self.linear_norm(x)))
        return changed

    def attend(self, x: torch.Tensor, real: torch.Tensor | None) -> torch.Tensor:
        """What each step takes over from the real ones, (n, steps, width)."""
        answered: torch.Tensor = self.answered(self.mix(self.asked(x), real))
        return answered

    def mix(self, asked: torch.Tensor, real: torch.Tensor | None) -> torch.Tensor:
        """Queries, keys and values (n, steps, 3 x width) to the values as attended to, (n, steps, width)."""
        # to three of (n, heads, steps, width / heads)
        query, key, value = asked.view(*asked.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        seen = None if real is None else real[:, None, None, :]
        share = self.share if self.training else 0.0
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, seen, share)
        return mixed.transpose(1, 2).flatten(2)
