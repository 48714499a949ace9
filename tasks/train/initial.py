"""How weights are drawn before training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import nn

DRAWN: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = MappingProxyType(
    {
        "xavier": nn.init.xavier_uniform_,
        "he": lambda weight: nn.init.kaiming_uniform_(weight, nonlinearity="relu"),
        "orthogonal": nn.init.orthogonal_,
    }
)


def initialise(network: nn.Module, initial: str) -> None:
    """Draw the weight matrices anew; ``torch`` keeps each layer's own way.

    Biases become 0; what normalises (one axis) and learned vectors (embeddings) stay as they are.

    Args:
        network: changed in place, from torch's global generator.
        initial: ``torch``, ``xavier`` (Glorot and Bengio 2010), ``he`` (He et al. 2015, for ReLU) or
            ``orthogonal`` (Saxe et al. 2014).
    """
    if initial == "torch":
        return
    vectors = {id(m.weight) for m in network.modules() if isinstance(m, nn.Embedding)}
    for name, parameter in network.named_parameters():
        if "bias" in name.rpartition(".")[2]:
            nn.init.zeros_(parameter)
        elif parameter.dim() > 1 and id(parameter) not in vectors:
            DRAWN[initial](parameter)
