"""Rows to learn from or to validate on, as tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import repeat
from typing import NamedTuple

import torch

from tasks.model.inputs import Inputs, Steps


class Rows(NamedTuple):
    """Rows to learn from or to validate on.

    Attributes:
        inputs: encoded, n rows; or what the front made of them.
        labels: int64 (n,), position of the class, or float32 (n,), a number.
        weights: float32 (n,), mean 1.
        groups: int64 (n,), position of the level, for a step during training; -1 for one
            that is not told apart.
    """

    inputs: Inputs | Steps
    labels: torch.Tensor
    weights: torch.Tensor
    groups: torch.Tensor | None = None

    def to(self, device: torch.device) -> Rows:
        """The same on another device."""
        return self._each(self.inputs.to(device), lambda tensor: tensor.to(device))

    def tensors(self) -> Mapping[str, torch.Tensor]:
        """Those of the inputs, by name."""
        assert isinstance(self.inputs, Inputs)  # noqa: S101 - only the loop makes steps of them
        return self.inputs.tensors

    def at(self, which: torch.Tensor) -> Rows:
        """Some of the rows, in the order of ``which`` (int64)."""
        return self._each(self.inputs.rows(which), lambda tensor: tensor.index_select(0, which))

    def split(self, size: int) -> Iterator[Rows]:
        """The rows in pieces of ``size``, views; the last may be smaller."""
        groups = repeat(None) if self.groups is None else torch.split(self.groups, size)
        labels, weights = torch.split(self.labels, size), torch.split(self.weights, size)
        return map(Rows, self.inputs.split(size), labels, weights, groups)

    def changed(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Rows:
        """The rows with every tensor changed."""
        inputs = Inputs({name: change(tensor) for name, tensor in self.tensors().items()})
        return self._each(inputs, change)

    def beside_inputs(self) -> dict[str, torch.Tensor]:
        """Labels, weights and groups, where there are any, by name."""
        named = {"labels": self.labels, "weights": self.weights}
        return named if self.groups is None else {**named, "groups": self.groups}

    def _each(self, inputs: Inputs | Steps, change: Callable[[torch.Tensor], torch.Tensor]) -> Rows:
        groups = None if self.groups is None else change(self.groups)
        return Rows(inputs, change(self.labels), change(self.weights), groups)
