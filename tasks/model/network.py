"""A network: the front that the features ask for, and the body that the plan names."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from .cnn import CNN
from .inputs import Features, Inputs
from .mlp import MLP
from .pretrained import Bert
from .rnn import RNN
from .transformer import Transformer

BODIES: Mapping[str, Callable[..., nn.Module]] = MappingProxyType(
    {"cnn": CNN, "mlp": MLP, "pretrained": Bert, "rnn": RNN, "transformer": Transformer}
)
"""Structures by the plan's name: each takes the front's shape, the number of outputs and its own settings."""

ROWS_AT_ONCE, VALUES_AT_ONCE = 8192, 2**21


class Network(nn.Module):
    """Front and body."""

    def __init__(self, features: Features, settings: Mapping[str, Any], outputs: int) -> None:
        """Draw the weights from torch's global generator.

        Args:
            features: say what the front takes in.
            settings: ``kind`` and the structure's own, as the plan has them.
            outputs: number of outputs.
        """
        super().__init__()
        own = {name: value for name, value in settings.items() if name != "kind"}
        self.front = features.front()
        self.body = BODIES[settings["kind"]](self.front.shape, outputs, **own)

    @property
    def rows_at_once(self) -> int:
        """Rows that are scored at a time, so that memory stays bounded: fewer where a row is a sequence."""
        if len(self.front.shape) != 2:
            return ROWS_AT_ONCE
        return max(1, min(ROWS_AT_ONCE, VALUES_AT_ONCE // math.prod(self.front.shape)))

    def forward(self, inputs: Inputs) -> torch.Tensor:
        """Outputs (members, n, outputs); one member where the structure has no others."""
        outputs: torch.Tensor = self.body(self.front(inputs))
        return outputs
