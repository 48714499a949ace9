"""The recurrent network: over tokens, the frames of a spectrogram or the columns of an image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import nn

from .inputs import Steps
from .sequence import last_of, maximum_of, mean_of, reversed_of, sequence_of, sequence_shape

CELLS: Mapping[str, Callable[..., nn.Module]] = MappingProxyType(
    {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
)
POOLS: Mapping[str, Callable[[torch.Tensor, torch.Tensor | None], torch.Tensor]] = MappingProxyType(
    {"last": last_of, "mean": mean_of, "max": maximum_of}
)


class RNN(nn.Module):
    """Layers of plain, LSTM or GRU cells, in one direction or both; then one linear layer.

    A backward direction reads the real steps in reverse order, so what fills up a sequence changes nothing.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        outputs: int,
        cell: str,
        width: int,
        layers: int,
        directions: int,
        pool: str,
        dropout: float,
    ) -> None:
        """Draw the weights from torch's global generator.

        Args:
            shape: of one sample: (steps, width), or (channels, height, width).
            outputs: number of outputs.
            cell: ``rnn``, ``lstm`` or ``gru``.
            width: of the state, in each direction.
            layers: one above the other.
            directions: 1 reads from the start, 2 also from the end.
            pool: which of the last layer's states are taken: ``last``, ``mean`` or ``max``.
            dropout: share of values dropped in training, of the inputs, after each layer, of what is taken.
        """
        super().__init__()
        sizes = [sequence_shape(shape)[1], *[width * directions] * (layers - 1)]
        self.layers = nn.ModuleList(
            nn.ModuleList(CELLS[cell](size, width, batch_first=True) for _ in range(directions))
            for size in sizes
        )
        self.pool = POOLS[pool]
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(width * directions, outputs)

    def forward(self, steps: Steps) -> torch.Tensor:
        """Outputs (1, n, outputs)."""
        values, real = sequence_of(steps)
        for layer in self.layers[:-1]:
            forward, *backward = _states(layer, self.dropout(values), real)
            values = torch.cat([forward, *(reversed_of(states, real) for states in backward)], dim=2)
        # Each direction is pooled in its own order: the last state of the backward one is at the start.
        last = _states(self.layers[-1], self.dropout(values), real)
        taken = torch.cat([self.pool(states, real) for states in last], dim=1)
        logits: torch.Tensor = self.output(self.dropout(taken))
        return logits[None]


def _states(layer: nn.Module, values: torch.Tensor, real: torch.Tensor | None) -> list[torch.Tensor]:
    """States (n, steps, width) of each direction, in the order in which it reads."""
    read = [values, reversed_of(values, real)]
    return [
        cell(inputs, _start(cell, inputs))[0] for cell, inputs in zip(layer.children(), read, strict=False)
    ]


def _start(cell: nn.Module, values: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
    """A state of zeros for each row, as torch's own; but that one could not be mapped over rows."""
    assert isinstance(cell, nn.RNNBase)  # noqa: S101 - CELLS has no others
    state, memory = (values.new_zeros(1, len(values), cell.hidden_size) for _ in range(2))
    return (state, memory) if isinstance(cell, nn.LSTM) else state
