"""Noisy steps: rows drawn at random, each row's gradient cut, noise added to their sum (Abadi et al. 2016).

Gradients of single rows come from torch's own vectorised map, so any network does whose rows do not mix;
cutting and scale are opacus'. Which rows are drawn, and the noise, come from keys of 256 bits that the
operating system gives for each draw, and that are kept nowhere: with either known, the noise could be taken
off again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from tasks.privacy.randomness import fresh_key, uniforms
from tasks.privacy.records import Mechanism

Sample = Mapping[str, torch.Tensor]
"""Tensors by name, each (n, ...), of n rows or of one."""
LossOf = Callable[[Callable[[Any], torch.Tensor], Sample], torch.Tensor]
"""From a network and one row to its loss, a scalar."""


class PrivateSteps:
    """Takes the steps of a training."""

    def __init__(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        mechanism: Mechanism,
        rows: int,
        clip: float,
        at_once: int,
    ) -> None:
        """Wrap the optimiser.

        Args:
            network: whose parameters the optimiser changes.
            optimizer: any of torch's.
            mechanism: noise and rate.
            rows: to draw from.
            clip: Euclidean length to which a row's gradient is cut.
            at_once: rows whose gradients are held at a time.
        """
        from tasks.privacy.noisy import NoisyOptimizer  # noqa: PLC0415 - opacus: a second, of such runs alone

        self.network, self.rows, self.rate, self.at_once = network, rows, mechanism.rate, at_once
        self.learning = {name: p for name, p in network.named_parameters() if p.requires_grad}
        self.optimizer = NoisyOptimizer(
            optimizer,
            noise_multiplier=mechanism.noise,
            max_grad_norm=clip,
            expected_batch_size=mechanism.rate * rows,
        )

    def draw(self) -> torch.Tensor:
        """Positions, int64, of the rows of one step: each with probability ``rate``, maybe none."""
        return torch.from_numpy(np.flatnonzero(uniforms(fresh_key(), self.rows) < self.rate))

    def step(self, pieces: list[Sample], loss_of: LossOf) -> None:
        """Take one step by the rows of ``pieces``, of which each has at most ``at_once`` rows.

        Args:
            pieces: of the rows drawn; of no rows, one empty piece.
            loss_of: the loss of one row.
        """
        for i, piece in enumerate(pieces):
            gradients = row_gradients(self.network, self.learning, piece, loss_of)
            for name, parameter in self.learning.items():
                # What is not finite can't be cut: by one such row all weights would tell of it.
                finite = gradients.pop(name).nan_to_num(0.0, 0.0, 0.0)
                parameter.grad_sample = finite  # type: ignore[attr-defined] # where opacus looks
            if i + 1 < len(pieces):
                self.optimizer.signal_skip_step()
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)


def row_gradients(
    network: nn.Module, learning: Mapping[str, torch.Tensor], rows: Sample, loss_of: LossOf
) -> dict[str, torch.Tensor]:
    """The gradient of each row's own loss, (n, *shape of the parameter), by name.

    Args:
        network: in training.
        learning: parameters by name.
        rows: n of them; may be none.
        loss_of: the loss of one row.
    """
    if not len(next(iter(rows.values()))):
        return {name: parameter.new_zeros((0, *parameter.shape)) for name, parameter in learning.items()}

    def loss(parameters: dict[str, torch.Tensor], row: Sample) -> torch.Tensor:
        def call(*given: Any) -> torch.Tensor:
            outputs: torch.Tensor = functional_call(network, parameters, given)
            return outputs

        return loss_of(call, {name: tensor[None] for name, tensor in row.items()})

    each = vmap(grad(loss), in_dims=(None, 0), randomness="different")
    with _mapped(network):
        found: dict[str, torch.Tensor] = each(
            {name: parameter.detach() for name, parameter in learning.items()}, dict(rows)
        )
    return found


@contextmanager
def _mapped(network: nn.Module) -> Iterator[None]:
    """Without oneDNN's LSTM and fused attention: torch can't map them, and would take rows one by one."""
    lstm = any(isinstance(part, nn.LSTM) for part in network.modules())
    off = torch.backends.mkldnn.flags(enabled=False, allow_tf32=None)
    with sdpa_kernel(SDPBackend.MATH), off if lstm else nullcontext():
        yield
