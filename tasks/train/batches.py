"""Batches in a drawn order: gathered many at a time, so that one batch costs a few views."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch

from tasks.model.inputs import Inputs, Steps
from tasks.model.network import Network

GATHERED = 2**18  # numbers at once, a megabyte of float32: more would leave the caches before it is used


class Rows(NamedTuple):
    """Rows to learn from or to validate on.

    Attributes:
        inputs: encoded, n rows.
        labels: int64 (n,), position of the class, or float32 (n,), a number.
        weights: float32 (n,), mean 1.
    """

    inputs: Inputs
    labels: torch.Tensor
    weights: torch.Tensor

    def to(self, device: torch.device) -> Rows:
        """The same on another device."""
        return Rows(self.inputs.to(device), self.labels.to(device), self.weights.to(device))

    def at(self, which: torch.Tensor) -> Rows:
        """Some of the rows, in the order of ``which`` (int64)."""
        return Rows(
            self.inputs.rows(which), self.labels.index_select(0, which), self.weights.index_select(0, which)
        )


class Batch(NamedTuple):
    """Rows of one step, or of a part of it.

    Attributes:
        given: for the network, or for its body alone where the front has done its work.
        labels: of ``Rows``.
        weights: of ``Rows``.
    """

    given: Inputs | Steps
    labels: torch.Tensor
    weights: torch.Tensor


def outputs_of(network: Network, given: Inputs | Steps) -> torch.Tensor:
    """The network's outputs (members, n, outputs)."""
    if isinstance(given, Steps):
        outputs: torch.Tensor = network.body(given)
        return outputs
    return network(given)  # type: ignore[no-any-return]


def batches(network: Network, rows: Rows, order: torch.Tensor, size: int) -> Iterator[Batch]:
    """Yield the rows in ``order``, ``size`` at a time; the last batch may be smaller.

    A front that learns nothing is applied to all that was gathered, once instead of batch by batch.

    Args:
        network: whose front may do its work here.
        rows: to draw from.
        order: positions, int64, on the device of the rows.
        size: rows of a batch.
    """
    learns_nothing = next(network.front.parameters(), None) is None
    for drawn in torch.split(order, size * _gathered(rows.inputs, size)):
        inputs, labels, weights = rows.at(drawn)
        steps = network.front(inputs) if learns_nothing else None
        for first in range(0, len(drawn), size):
            part = slice(first, first + size)
            given = inputs.rows(part) if steps is None else steps.rows(part)
            yield Batch(given, labels[part], weights[part])


def _gathered(inputs: Inputs, size: int) -> int:
    """How many batches are gathered at once."""
    sample = sum(tensor[:1].numel() for tensor in inputs.tensors.values())
    return max(1, GATHERED // max(1, sample * size))
