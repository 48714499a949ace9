"""Samples as tensors, and what the parts of a network hand on to each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import nn

if TYPE_CHECKING:
    import polars as pl

Table: TypeAlias = "pd.DataFrame | pl.DataFrame"
Flags: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Inputs:
    """Samples as tensors.

    Attributes:
        tensors: by name, each (n, ...).
    """

    tensors: Mapping[str, torch.Tensor]

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values())))

    def __getitem__(self, name: str) -> torch.Tensor:
        return self.tensors[name]

    def rows(self, which: slice | torch.Tensor) -> Inputs:
        """The same for some of the samples: a slice, or positions (int64) in any order."""
        return Inputs({name: _some(tensor, which) for name, tensor in self.tensors.items()})

    def split(self, size: int) -> Iterator[Inputs]:
        """The same in pieces of ``size`` samples, views; the last may be smaller."""
        pieces = zip(*(torch.split(tensor, size) for tensor in self.tensors.values()), strict=True)
        return (Inputs(dict(zip(self.tensors, piece, strict=True))) for piece in pieces)

    def to(self, device: torch.device) -> Inputs:
        """The same on another device."""
        return Inputs({name: tensor.to(device) for name, tensor in self.tensors.items()})


class Steps(NamedTuple):
    """What a front hands to a body.

    Attributes:
        values: (n, width), a vector; (n, steps, width), a sequence; or (n, channels, height, width), a grid.
        real: bool (n, steps), False where a sequence was only filled up; None where all of it is real.
    """

    values: torch.Tensor
    real: torch.Tensor | None = None

    def rows(self, which: slice | torch.Tensor) -> Steps:
        """The same for some of the samples: a slice, or positions (int64) in any order."""
        return Steps(_some(self.values, which), None if self.real is None else _some(self.real, which))

    def split(self, size: int) -> Iterator[Steps]:
        """The same in pieces of ``size`` samples, views; the last may be smaller."""
        real = repeat(None) if self.real is None else torch.split(self.real, size)
        return map(Steps, torch.split(self.values, size), real)

    def to(self, device: torch.device) -> Steps:
        """The same on another device."""
        return Steps(self.values.to(device), None if self.real is None else self.real.to(device))


def _some(tensor: torch.Tensor, which: slice | torch.Tensor) -> torch.Tensor:
    """Rows of a tensor; by positions ``index_select`` copies whole rows, where indexing goes by numbers."""
    return tensor[which] if isinstance(which, slice) else tensor.index_select(0, which)


class Front(nn.Module):
    """The first part of a network: from encoded samples to a vector, a sequence or a grid.

    Attributes:
        shape: of one sample: (width,), (steps, width) or (channels, height, width).
    """

    shape: tuple[int, ...]

    def shortened(self, inputs: Inputs) -> Inputs:
        """The samples without what only fills up all of them: their shape then says how long they are."""
        return inputs

    def whole(self, inputs: Inputs) -> Steps:
        """As ``forward``, with nothing left out: it looks at no value, so it can be mapped over rows."""
        steps: Steps = self(inputs)
        return steps


class Features(Protocol):
    """How samples of one kind become tensors: what was learned of them on the fit rows."""

    def encode(self, frame: Table) -> Inputs:
        """Encode a pandas or polars table; columns that the model does not take are ignored.

        Raises:
            ValueError: names, all at once and by row, what the model can't take.
        """

    def unknown_rows(self, frame: Table) -> Flags:
        """Which rows (n,) the model can't take because no fit row was like them."""

    def front(self) -> Front:
        """A new first part of a network for these features."""

    def to_json(self) -> dict[str, Any]:
        """As model.json keeps it."""


def column_of(frame: Table, name: str) -> pd.Series:
    """One column as pandas, whichever kind of table it comes from."""
    column = frame[name]
    if isinstance(column, pd.Series):
        return column.reset_index(drop=True)
    return pd.Series(column.to_numpy())


def refuse(problems: list[str]) -> None:
    """Raise all problems of a table at once.

    Raises:
        ValueError: when there are any.
    """
    if problems:
        lines = "".join(f"\n  - {problem}" for problem in problems)
        plural = "problem" if len(problems) == 1 else "problems"
        raise ValueError(f"{len(problems)} {plural} in the table (rows counted from 0):{lines}")
