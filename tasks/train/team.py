"""Who trains: one process alone, or several on shares of each batch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import distributed, nn


class Team(Protocol):
    """The processes that train one network, seen from one of them.

    Attributes:
        rank: of this process, 0 to size - 1; only rank 0 writes.
        size: how many there are.
    """

    @property
    def rank(self) -> int:
        """Of this process."""

    @property
    def size(self) -> int:
        """How many there are."""

    def add_up(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by the sum over the processes."""

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """The sum of ``values`` over the processes."""


@dataclass(frozen=True)
class Alone:
    """One process: there is nothing to add up."""

    rank: int = 0
    size: int = 1

    def add_up(self, parameters: Iterable[nn.Parameter]) -> None:
        """Leave the gradients as they are."""

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """The values themselves."""
        return values


@dataclass(frozen=True)
class Together:
    """Processes of torch.distributed's default group."""

    rank: int
    size: int

    def add_up(self, parameters: Iterable[nn.Parameter]) -> None:
        """One message for all gradients; a process without rows in this step adds zeros."""
        learning = [parameter for parameter in parameters if parameter.requires_grad]
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in learning]
        flat = self.total(torch.cat([gradient.flatten() for gradient in gradients]))
        parts = torch.split(flat, [parameter.numel() for parameter in learning])
        for parameter, part in zip(learning, parts, strict=True):
            parameter.grad = part.view_as(parameter)

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """The sum over the processes, the same bits in each."""
        distributed.all_reduce(values)
        return values


ALONE = Alone()
