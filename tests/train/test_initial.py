"""Weights before training have the variance of the schemes' papers, in each layer that a plan can ask for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import pytest
import torch
from torch import nn

from tasks.model.cnn import CNN
from tasks.model.device import deterministic
from tasks.model.mlp import MLP, Layers
from tasks.model.rnn import RNN
from tasks.model.table_front import Numbers
from tasks.model.transformer import Block, Transformer
from tasks.train.initial import initialise

ENOUGH = 3000  # numbers for a variance
GATES: Mapping[str, int] = {"rnn": 1, "lstm": 4, "gru": 3}
NETWORKS: Mapping[str, nn.Module] = {
    "one perceptron": MLP((160,), 10, [120], 0.0, 1),
    "four perceptrons": MLP((160,), 10, [120], 0.0, 4),
    "number columns": Numbers([torch.linspace(-1, 1, 101).tolist(), torch.linspace(0, 1, 61).tolist()], 80),
    "convolutions": CNN((8, 4, 4), 10, [32, 64], [100], 0.0),
    **{cell: RNN((9, 60), 10, cell, 80, 1, 2, "last", 0.0) for cell in GATES},
    "attention": Transformer((9, 60), 10, 80, 4, 2, 100, 0.0),
}


class Drawn(NamedTuple):
    """A matrix (outputs, inputs), by what the layer computes with it; of a convolution, each window's."""

    matrix: torch.Tensor
    window: int = 1


def drawn(network: nn.Module) -> Iterator[Drawn]:
    attention = {module.asked for module in network.modules() if isinstance(module, Block)}
    for module in network.modules():
        if isinstance(module, Layers):
            yield from (Drawn(member.T) for member in module.weight.detach())
        elif isinstance(module, Numbers):
            yield Drawn(module.weight[0].detach().T)
            yield Drawn(module.weight[1, :60].detach().T)  # a column of fewer bins
        elif isinstance(module, nn.RNNBase):
            of_inputs, of_state, *_ = module.parameters()
            gates = GATES[module.mode.partition("_")[0].lower()]
            for weight in (of_inputs.detach(), of_state.detach()):
                yield from map(Drawn, weight.chunk(gates))
        elif isinstance(module, nn.Conv2d):
            yield Drawn(module.weight.detach().flatten(1), math.prod(module.kernel_size))
        elif isinstance(module, nn.Linear):
            yield from map(Drawn, module.weight.detach().chunk(3 if module in attention else 1))


def matrices(name: str, initial: str) -> list[Drawn]:
    with deterministic(1):
        torch.manual_seed(0)
        initialise(NETWORKS[name], initial)
    return list(drawn(NETWORKS[name]))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_matrix_has_the_variance_of_its_paper_and_no_bias(name: str) -> None:
    for initial in ("he", "xavier"):
        large = [each for each in matrices(name, initial) if each.matrix.numel() >= ENOUGH]
        assert large
        for matrix, window in large:
            outputs, inputs = matrix.shape
            fans = inputs if initial == "he" else inputs + outputs * window
            assert float(matrix.var()) == pytest.approx(2 / fans, rel=0.06)
    biases = [bias for key, bias in NETWORKS[name].named_parameters() if "bias" in key]
    assert not any(bias.any() for bias in biases)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_matrix_is_orthogonal(name: str) -> None:
    for matrix, _ in matrices(name, "orthogonal"):
        short = matrix if len(matrix) <= matrix.shape[1] else matrix.T
        assert torch.allclose(short @ short.T, torch.eye(len(short)), atol=1e-5)


def test_members_begin_apart_and_what_is_no_matrix_stays() -> None:
    (one, _), (other, _), *_ = matrices("four perceptrons", "orthogonal")
    assert not torch.allclose(one, other, atol=0.1)
    network = Transformer((9, 60), 10, 80, 4, 1, 100, 0.0)
    places, scale = network.places.weight.clone(), network.norm.weight.clone()
    initialise(network, "he")
    assert torch.equal(network.places.weight, places)
    assert torch.equal(network.norm.weight, scale)


def test_torch_leaves_all_as_it_is() -> None:
    network = MLP((20,), 10, [30], 0.0, 2)
    before = [weight.clone() for weight in network.parameters()]
    initialise(network, "torch")
    assert all(map(torch.equal, before, network.parameters()))
