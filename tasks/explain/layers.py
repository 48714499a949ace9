"""The layers of a network: what each is made of, where it is observed, and how it is doing.

For every structure and every kind of data. "Flat" is where an activation's slope is near zero, so that
nothing is learned through it: at 0 and below for ReLU, below -3 for GELU, within 0.005 of its bounds for a
recurrent state. A unit that is flat at every row is dead: it tells nothing to anyone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from tasks.explain.answer import Floats, parts
from tasks.model.cnn import CNN
from tasks.model.inputs import Inputs, Steps
from tasks.model.network import Network
from tasks.model.pretrained import NormalisedLast, Tokens
from tasks.model.rnn import RNN
from tasks.model.sequence import mean_of, reversed_of
from tasks.model.transformer import Block

MOST_VALUES = 1024
"""Values of a row that a probe reads; a grid of more is averaged over squares."""
GELU_TAIL, STATE_BOUND = -3.0, 0.995


@dataclass(frozen=True)
class Watched:
    """One module whose output is looked at.

    Attributes:
        module: of the network.
        observe: from its output to activations, a tensor whose axis ``units`` counts units.
        flat: from activations to where their slope is near zero; None where there is no activation.
        backward: whether it reads a sequence from its end.
        packed: whether it gives real tokens alone, (tokens, units).
    """

    module: nn.Module
    observe: Callable[[Any], torch.Tensor]
    flat: Callable[[torch.Tensor], torch.Tensor] | None = None
    backward: bool = False
    packed: bool = False


@dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes:
        name: as the weights' names have it.
        activation: ReLU, GELU, state or none.
        owner: module that holds its weights.
        result: modules whose outputs, side by side, a probe reads.
        units: modules whose outputs may be flat.
    """

    name: str
    activation: str
    owner: nn.Module
    result: tuple[Watched, ...]
    units: tuple[Watched, ...] = ()


def layers_of(network: Network) -> list[Layer]:
    """The layers of any structure, from the front to the last before the output.

    Args:
        network: front and body.
    """
    found = [Layer("front", "none", network.front, (Watched(network.front, _front_values),))]
    body = network.body
    if isinstance(body, CNN):
        found += [_convolution(f"body.blocks.{i}", block) for i, block in enumerate(body.blocks)]
    if isinstance(body, RNN):
        found += [_recurrent(f"body.layers.{i}", cells) for i, cells in enumerate(body.layers)]
    blocks = [(name, module) for name, module in body.named_modules() if isinstance(module, Block)]
    found += [_attending(f"body.{name}", block) for name, block in blocks]
    hidden = getattr(body, "hidden", ())
    found += [_linear(f"body.hidden.{i}", module) for i, module in enumerate(hidden)]
    return found


def _front_values(steps: Steps) -> torch.Tensor:
    return steps.values


def _same(found: torch.Tensor) -> torch.Tensor:
    return found


def _at_most_zero(found: torch.Tensor) -> torch.Tensor:
    return found <= 0


def _linear(name: str, module: nn.Module) -> Layer:
    """A linear layer whose ReLU is a function that the body applies."""
    watched = Watched(module, torch.relu, _at_most_zero)
    return Layer(name, "ReLU", module, (watched,), (watched,))


def _convolution(name: str, block: nn.Module) -> Layer:
    relu = next(module for module in block.children() if isinstance(module, nn.ReLU))
    watched = Watched(relu, _same, _at_most_zero)
    return Layer(name, "ReLU", block, (watched,), (watched,))


def _recurrent(name: str, cells: nn.Module) -> Layer:
    watched = tuple(
        Watched(cell, lambda found: found[0], lambda found: found.abs() > STATE_BOUND, backward=bool(i))
        for i, cell in enumerate(cells.children())
    )
    return Layer(name, "state", cells, watched, watched)


def _attending(name: str, block: Block) -> Layer:
    # What GELU is given says where it is flat: its output near 0 has two sides.
    packed = isinstance(block, NormalisedLast)
    given = Watched(block.linear[0], _same, lambda found: found < GELU_TAIL, packed=packed)
    return Layer(name, "GELU", block, (Watched(block, _same, packed=packed),), (given,))


@dataclass
class Seen:
    """What was seen of a layer, chunk by chunk.

    Attributes:
        vectors: of the result, one a row, float32 (n, at most 1,024 or the layer's width).
        flat: places at which a unit was flat.
        places: places looked at: rows, or rows times steps or pixels.
        awake: which units were not flat somewhere.
    """

    vectors: list[torch.Tensor] = field(default_factory=list)
    flat: int = 0
    places: int = 0
    awake: torch.Tensor | None = None

    def look(self, flat: torch.Tensor) -> None:
        """Add the places of one chunk, bool (places, units)."""
        self.flat += int(flat.sum())
        self.places += flat.numel()
        awake = (~flat).any(dim=0)
        self.awake = awake if self.awake is None else self.awake | awake

    @property
    def dead(self) -> int:
        """Units that were flat everywhere."""
        return 0 if self.awake is None else int((~self.awake).sum())

    @property
    def units(self) -> int:
        """Units that may be flat."""
        return 0 if self.awake is None else len(self.awake)


def watch(network: Network, layers: Sequence[Layer], inputs: Inputs) -> dict[str, Seen]:
    """Run the rows through the network and keep what each layer gave.

    Args:
        network: in evaluation mode.
        layers: its layers.
        inputs: encoded rows.

    Returns:
        By the layer's name. Steps that only fill up a sequence are not looked at.
    """
    seen = {layer.name: Seen() for layer in layers}
    for rows in parts(len(inputs)):
        part = inputs.rows(rows)
        with torch.no_grad():
            given: Mapping[int, Any] = _outputs(network, layers, part)
            real = given[id(network.front)].real
            for layer in layers:
                vectors = [_vectors(one, given[id(one.module)], real) for one in layer.result]
                seen[layer.name].vectors.append(torch.cat(vectors, dim=1))
                units = [_flat(one, given[id(one.module)], real) for one in layer.units]
                if units:
                    seen[layer.name].look(torch.cat(units, dim=1))
    return seen


def _outputs(network: Network, layers: Sequence[Layer], part: Inputs) -> dict[int, Any]:
    given: dict[int, Any] = {}

    def keep(module: nn.Module, _given: Any, found: Any) -> None:
        given[id(module)] = found

    modules = {id(one.module): one.module for layer in layers for one in (*layer.result, *layer.units)}
    hooks: list[RemovableHandle] = [module.register_forward_hook(keep) for module in modules.values()]
    try:
        network(part)
    finally:
        for hook in hooks:
            hook.remove()
    return given


def _vectors(one: Watched, output: Any, real: torch.Tensor | None) -> torch.Tensor:
    """One vector a row: members side by side, real steps averaged, a grid averaged over squares."""
    found = _in_order(one, output, real)
    if found.dim() == 4:
        side = max(1, int((MOST_VALUES / found.shape[1]) ** 0.5))
        size = (min(side, found.shape[2]), min(side, found.shape[3]))
        return nn.functional.adaptive_avg_pool2d(found, size).flatten(1)
    if found.dim() == 3 and not _members(one):
        return mean_of(found, real)
    return found.transpose(0, 1).flatten(1) if found.dim() == 3 else found


def _flat(one: Watched, output: Any, real: torch.Tensor | None) -> torch.Tensor:
    """Where units are flat, bool (places, units)."""
    assert one.flat is not None  # noqa: S101 - a layer's units have an activation
    found = one.flat(_in_order(one, output, real))
    if found.dim() == 4:
        return found.permute(0, 2, 3, 1).flatten(0, 2)
    if found.dim() == 3 and _members(one):
        return found.transpose(0, 1).flatten(1)
    if found.dim() == 3:
        return found.flatten(0, 1) if real is None else found[real]
    return found


def _in_order(one: Watched, output: Any, real: torch.Tensor | None) -> torch.Tensor:
    found = one.observe(output)
    if one.packed and real is not None:
        found = Tokens(real).spread(found)
    return reversed_of(found, real) if one.backward else found


def _members(one: Watched) -> bool:
    """Whether the first of three axes counts members, as in a perceptron's layers."""
    weight = getattr(one.module, "weight", None)
    return weight is not None and weight.dim() == 3


def weight_norms(layers: Sequence[Layer]) -> dict[str, float]:
    """Euclidean length of all weights of each layer; 0 where it has none."""
    return {layer.name: _length(p.detach() for p in layer.owner.parameters()) for layer in layers}


def gradient_norms(
    network: Network,
    layers: Sequence[Layer],
    inputs: Inputs,
    loss: Callable[[torch.Tensor, slice], torch.Tensor],
) -> dict[str, float]:
    """Euclidean length of the mean loss's gradient by each layer's weights.

    Args:
        network: in evaluation mode; its gradients are left as they were.
        layers: its layers.
        inputs: encoded rows.
        loss: from outputs (members, n, outputs) of a run of rows to the sum of their losses.
    """
    weights = {id(p): p for layer in layers for p in layer.owner.parameters()}
    wanted = {key: parameter.requires_grad for key, parameter in weights.items()}
    total: dict[int, torch.Tensor] = {key: torch.zeros_like(p) for key, p in weights.items()}
    try:
        for parameter in weights.values():
            parameter.requires_grad_()
        for rows in parts(len(inputs)):
            lost = loss(network(inputs.rows(rows)), rows)
            found = torch.autograd.grad(lost, list(weights.values()), allow_unused=True)
            for key, gradient in zip(weights, found, strict=True):
                if gradient is not None:
                    total[key] += gradient
    finally:
        for key, parameter in weights.items():
            parameter.requires_grad_(wanted[key])
    count = max(len(inputs), 1)
    return {layer.name: _length(total[id(p)] / count for p in layer.owner.parameters()) for layer in layers}


def _length(tensors: Iterable[torch.Tensor]) -> float:
    return float(np.sqrt(sum(float(tensor.double().square().sum()) for tensor in tensors)))


def vectors_of(seen: Seen) -> Floats:
    """The result of all rows, float64 (n, values)."""
    found: Floats = torch.cat(seen.vectors).double().numpy()
    return found
