"""The convolutional network, over the pixels of an image or the cells of a spectrogram."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import torch
from torch import nn

from .inputs import Steps

GROUPS = 4


class CNN(nn.Module):
    """Blocks of a 3 x 3 convolution, normalisation, ReLU and 2 x 2 maxima; then linear layers."""

    def __init__(
        self,
        shape: tuple[int, ...],
        outputs: int,
        channels: Sequence[int],
        hidden: Sequence[int],
        dropout: float,
        norm: str = "batch",
    ) -> None:
        """Draw the weights from torch's global generator.

        Args:
            shape: of one sample: (channels, height, width).
            outputs: number of outputs.
            channels: of each block; every block halves height and width (rounded up).
            hidden: width of each linear layer before the last.
            dropout: share of activations dropped in training, after the blocks and after each linear layer.
            norm: "batch", "group" (of channels, of one sample: Wu and He 2018) or "none".
        """
        super().__init__()
        first, height, width = shape
        self.blocks = nn.Sequential(*(_block(a, b, norm) for a, b in pairwise([first, *channels])))
        for _ in channels:
            height, width = (height + 1) // 2, (width + 1) // 2
        sizes = [channels[-1] * height * width, *hidden]
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(sizes[-1], outputs)

    def forward(self, steps: Steps) -> torch.Tensor:
        """Outputs (1, n, outputs)."""
        x = self.dropout(self.blocks(steps.values).flatten(1))
        for layer in self.hidden:
            x = self.dropout(torch.relu(layer(x)))
        logits: torch.Tensor = self.output(x)
        return logits[None]


def _block(inputs: int, outputs: int, norm: str) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=norm == "none")  # a normalisation has one
    after: Mapping[str, Callable[[int], nn.Module]] = {
        "batch": nn.BatchNorm2d,
        "group": lambda channels: nn.GroupNorm(math.gcd(channels, GROUPS), channels),
        "none": nn.Identity,
    }
    return nn.Sequential(convolution, after[norm](outputs), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True))
