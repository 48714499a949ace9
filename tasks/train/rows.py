"""Rows to learn from or to validate on, as tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch

from tasks.model.inputs import Inputs, Steps


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
