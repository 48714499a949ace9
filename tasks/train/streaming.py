"""Rows that a device has no room for stay in the machine's memory and are copied while it computes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch

from tasks.train.rows import Rows

SHARE = 0.5
"""Of a device's free memory that rows may take; the rest is for activations, gradients and moments."""


def placed(rows: Rows, device: torch.device) -> Rows:
    """The rows on the device where they fit, else where they are."""
    size = sum(tensor.nbytes for tensor in (*rows.tensors().values(), *rows.beside_inputs().values()))
    return rows.to(device) if size <= SHARE * free_memory(device) else rows


def free_memory(device: torch.device) -> float:
    """Bytes that can still be allocated on a device with memory of its own; on a CPU there is no limit."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return math.inf


def copied(parts: Iterable[Rows], device: torch.device) -> Iterator[Rows]:
    """Yield each part on the device; to a GPU the next one is copied while this one is used."""
    if device.type == "cuda":
        yield from _ahead(parts, device)
    else:
        yield from (part.to(device) for part in parts)


class _Copy(NamedTuple):
    """Rows on their way to a GPU, and what tells when they are there."""

    rows: Rows
    done: torch.cuda.Event


def _ahead(parts: Iterable[Rows], device: torch.device) -> Iterator[Rows]:
    user = torch.cuda.current_stream(device)
    aside = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def copy(tensor: torch.Tensor) -> torch.Tensor:
        there = tensor.pin_memory().to(device, non_blocking=True)
        there.record_stream(user)  # lest its memory be taken for a later copy while kernels still read it
        return there

    def begin(part: Rows) -> _Copy:
        with torch.cuda.stream(aside):
            return _Copy(part.changed(copy), aside.record_event())

    def ready(copy: _Copy) -> Rows:
        user.wait_event(copy.done)
        return copy.rows

    copies = (begin(part) for part in parts)
    coming = next(copies)
    for after in copies:
        yield ready(coming)
        coming = after
    yield ready(coming)
