"""Batches in a drawn order: gathered many at a time, so that one batch costs a few views."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch

from tasks.model.inputs import Inputs, Steps
from tasks.model.network import Network

PREPARED_BYTES = 2**30  # of samples that are kept as the front makes them
AT_ONCE = 8192  # samples to which the front is applied at once
GATHERED = 2**18  # numbers at once, a megabyte of float32: more would leave the caches before it is used


class Rows(NamedTuple):
    """Rows to learn from or to validate on.

    Attributes:
        inputs: encoded, n rows; or what the front made of them.
        labels: int64 (n,), position of the class, or float32 (n,), a number.
        weights: float32 (n,), mean 1.
    """

    inputs: Inputs | Steps
    labels: torch.Tensor
    weights: torch.Tensor

    def to(self, device: torch.device) -> Rows:
        """The same on another device."""
        return Rows(self.inputs.to(device), self.labels.to(device), self.weights.to(device))

    def tensors(self) -> Mapping[str, torch.Tensor]:
        """Those of the inputs, by name."""
        assert isinstance(self.inputs, Inputs)  # noqa: S101 - only the loop makes steps of them
        return self.inputs.tensors

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


def prepared(network: Network, rows: Rows) -> Rows:
    """The same rows with the front's work done, where it learns nothing and all of it fits into memory."""
    inputs = rows.inputs
    if isinstance(inputs, Steps) or not _learns_nothing(network):
        return rows
    if 4 * len(rows.labels) * math.prod(network.front.shape) > PREPARED_BYTES:
        return rows
    parts = [network.front(inputs.rows(slice(s, s + AT_ONCE))) for s in range(0, len(inputs), AT_ONCE)]
    values = torch.cat([part.values for part in parts])
    real = [part.real for part in parts if part.real is not None]
    return rows._replace(inputs=Steps(values, torch.cat(real) if real else None))


def batches(network: Network, rows: Rows, order: torch.Tensor, size: int) -> Iterator[Batch]:
    """Yield the rows in ``order``, ``size`` at a time; the last batch may be smaller.

    A front that learns nothing is applied to all that was gathered, once instead of batch by batch.

    Args:
        network: whose front may do its work here.
        rows: to draw from.
        order: positions, int64, on the device of the rows.
        size: rows of a batch.
    """
    fixed = _learns_nothing(network)
    for drawn in torch.split(order, size * max(1, GATHERED // (size * math.prod(network.front.shape)))):
        inputs, labels, weights = rows.at(drawn)
        given = network.front(inputs) if fixed and isinstance(inputs, Inputs) else inputs
        for first in range(0, len(drawn), size):
            part = slice(first, first + size)
            yield Batch(given.rows(part), labels[part], weights[part])


def _learns_nothing(network: Network) -> bool:
    return next(network.front.parameters(), None) is None
