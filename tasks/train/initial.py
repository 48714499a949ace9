"""How weights are drawn before training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import torch
from torch import nn

from tasks.model.mlp import Layers
from tasks.model.table_front import Numbers
from tasks.model.transformer import Block

DRAWN: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = MappingProxyType(
    {
        "xavier": nn.init.xavier_uniform_,
        "he": lambda weight: nn.init.kaiming_uniform_(weight, nonlinearity="relu"),
        "orthogonal": nn.init.orthogonal_,
    }
)


@torch.no_grad()
def initialise(network: nn.Module, initial: str) -> None:
    """Draw the weight matrices anew; ``torch`` keeps each layer's own way.

    Each matrix is drawn by itself, also where torch keeps several in one tensor: see :func:`matrices_of`.
    A convolution is one from what its window covers. Biases become 0; what normalises (one axis) and learned
    vectors (embeddings) stay as they are.

    Args:
        network: changed in place, from torch's global generator.
        initial: ``torch``, ``xavier`` (Glorot and Bengio 2010), ``he`` (He et al. 2015, for ReLU) or
            ``orthogonal`` (Saxe et al. 2014).
    """
    if initial == "torch":
        return
    parted = {place: parts for module in network.modules() for place, parts in matrices_of(module).items()}
    for name, parameter in network.named_parameters():
        if "bias" in name.rpartition(".")[2]:
            nn.init.zeros_(parameter)
        elif parameter.dim() > 1:
            for matrix in parted.get(id(parameter), [parameter]):
                DRAWN[initial](matrix)


def matrices_of(module: nn.Module) -> dict[int, Sequence[torch.Tensor]]:
    """By the ``id`` of a parameter, the matrices (outputs, inputs) that it holds: none, or several.

    One for each member of an ensemble, each number column (over the bins that it has), each gate of a
    recurrent cell, and query, key and value of attention. A parameter that is not named is one matrix.
    """
    if isinstance(module, nn.Embedding):
        return {id(module.weight): []}
    if isinstance(module, Layers):
        return {id(module.weight): [member.T for member in module.weight]}
    if isinstance(module, Numbers):
        bins = module.scale.count_nonzero(dim=1).tolist()
        own = [weight[:count].T for weight, count in zip(module.weight, bins, strict=True) if count]
        return {id(module.weight): own}
    if isinstance(module, nn.RNNBase):
        return {id(weight): weight.chunk(len(weight) // module.hidden_size) for weight in module.parameters()}
    if isinstance(module, Block):
        return {id(module.asked.weight): module.asked.weight.chunk(3)}
    return {}
