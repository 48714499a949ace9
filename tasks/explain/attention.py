"""Where the heads of a Transformer look, without changing what it answers.

The fused attention of torch gives no weights, so they are computed again from what each block projected:
softmax(Q K' / sqrt(d)), Vaswani et al. 2017. Where a model looks is not yet why it decides (Jain and Wallace
2019), so attention goes through the same checks as every other explanation.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from tasks.explain.answer import Answer, Floats, parts
from tasks.explain.attribution import Method
from tasks.model.inputs import Steps
from tasks.model.pretrained import Tokens
from tasks.model.transformer import Block

SELF = 0.5
"""Share of a step's own value that a block's addition keeps, in the rollout."""


def blocks_of(answer: Answer) -> list[Block]:
    """Blocks of attention in the network's order; none of a structure without attention."""
    return [module for module in answer.network.body.modules() if isinstance(module, Block)]


def attention_weights(answer: Answer, steps: Steps) -> Floats:
    """How much each step takes over from each, mean of the heads, float64 (n, blocks, steps, steps).

    Each row of the last two axes adds up to 1; steps that only fill up are looked at by none.

    Args:
        answer: of a network with blocks of attention.
        steps: of the rows; few, since the weights are kept for each pair of steps.
    """
    found = [_weights_of(answer, steps.rows(rows)) for rows in parts(len(steps.values))]
    return np.asarray(torch.cat(found).double().numpy())


def _weights_of(answer: Answer, part: Steps) -> torch.Tensor:
    seen = list[torch.Tensor]()

    def keep(heads: int) -> Callable[[nn.Module, object, torch.Tensor], None]:
        # What a block asks for is the output of one of its layers: a hook reads it and gives nothing back.
        return lambda _module, _given, asked: seen.append(_mean_of_heads(asked, heads, part.real))

    hooks = [block.asked.register_forward_hook(keep(block.heads)) for block in blocks_of(answer)]
    try:
        with torch.no_grad():
            answer.network.body(part)
    finally:
        for hook in hooks:
            hook.remove()
    return torch.stack(seen, dim=1)


def _mean_of_heads(asked: torch.Tensor, heads: int, real: torch.Tensor | None) -> torch.Tensor:
    if asked.dim() == 2 and real is not None:  # a pretrained encoder computes real tokens alone
        asked = Tokens(real).spread(asked)
    rows, steps, width = asked.shape
    query, key, _ = asked.detach().view(rows, steps, 3, heads, width // 3 // heads).permute(2, 0, 3, 1, 4)
    scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[-1])
    if real is not None:
        scores = scores.masked_fill(~real[:, None, None, :], -torch.inf)
    weights: torch.Tensor = scores.softmax(dim=3).mean(dim=1)
    return weights


def rollout(weights: Floats, real: Floats | None = None) -> Floats:
    """How much of each step reaches the mean that is judged, through all blocks, (n, steps); adds up to 1.

    Attention rollout (Abnar and Zuidema 2020): products of the blocks' weights, each mixed half and half with
    the step itself, for the value that a block adds to.

    Args:
        weights: of :func:`attention_weights`.
        real: 1 for a step, 0 for filling, (n, steps); all steps where None.
    """
    steps = weights.shape[-1]
    through = np.broadcast_to(np.eye(steps), (len(weights), steps, steps))
    for block in range(weights.shape[1]):
        through = (SELF * np.eye(steps) + (1 - SELF) * weights[:, block]) @ through
    kept = np.ones((len(weights), steps)) if real is None else real.astype(np.float64)
    share = kept / kept.sum(axis=1, keepdims=True)
    return np.asarray(np.einsum("ns,nst->nt", share, through))


def _attention(answer: Answer, steps: Steps, targets: torch.Tensor, baseline: torch.Tensor) -> Floats:  # noqa: ARG001 - as other methods
    real = None if steps.real is None else steps.real.double().numpy()
    return rollout(attention_weights(answer, steps), real)


attention: Method = _attention
"""Rollout of attention as attributions of steps, at least 0."""
