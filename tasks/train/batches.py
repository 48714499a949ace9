"""Batches in a drawn order: gathered many at a time, so that one batch costs a few views."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from tasks.model.inputs import Inputs, Steps
from tasks.model.network import Network
from tasks.train.rows import Rows
from tasks.train.streaming import copied

PREPARED_BYTES = 2**30  # of samples that are kept as the front makes them
AT_ONCE = 8192  # samples to which the front is applied at once
GATHERED = 2**18  # numbers at once, a megabyte of float32: more would leave the caches before it is used
STREAMED = 2**22  # the same where they are copied to a device, which takes long to begin


def outputs_of(network: Network, given: Inputs | Steps) -> torch.Tensor:
    """The network's outputs (members, n, outputs)."""
    if isinstance(given, Steps):
        outputs: torch.Tensor = network.body(given)
        return outputs
    return network(given)  # type: ignore[no-any-return]


def prepared(network: Network, rows: Rows) -> Rows:
    """The same rows with the front's work done, where it learns nothing and all of it fits into memory."""
    inputs = rows.inputs
    if isinstance(inputs, Steps) or not _learns_nothing(network) or rows.labels.device != _device(network):
        return rows
    if 4 * len(rows.labels) * math.prod(network.front.shape) > PREPARED_BYTES:
        return rows
    parts = [network.front(inputs.rows(slice(s, s + AT_ONCE))) for s in range(0, len(inputs), AT_ONCE)]
    values = torch.cat([part.values for part in parts])
    real = [part.real for part in parts if part.real is not None]
    return rows._replace(inputs=Steps(values, torch.cat(real) if real else None))


def batches(network: Network, rows: Rows, order: torch.Tensor, size: int) -> Iterator[Rows]:
    """Yield the rows in ``order``, ``size`` at a time; the last batch may be smaller.

    A front that learns nothing is applied to all that was gathered, once instead of batch by batch. Rows
    that are not on the network's device are copied there, some batches ahead.

    Args:
        network: whose front may do its work here.
        rows: to draw from.
        order: positions, int64, on the device of the rows.
        size: rows of a batch.
    """
    fixed, device = _learns_nothing(network), _device(network)
    elsewhere = order.device != device
    numbers = STREAMED if elsewhere else GATHERED
    at_once = size * max(1, numbers // (size * math.prod(network.front.shape)))
    gathered = (rows.at(drawn) for drawn in torch.split(order, at_once))
    for part in copied(gathered, device) if elsewhere else gathered:
        ready = part
        if fixed and isinstance(part.inputs, Inputs):
            ready = part._replace(inputs=network.front(part.inputs))
        yield from ready.split(
            size
        )  # one call for all: a slice for each would cost a hundredth of a small step


def _learns_nothing(network: Network) -> bool:
    return next(network.front.parameters(), None) is None


def _device(network: Network) -> torch.device:
    return next(network.parameters()).device
