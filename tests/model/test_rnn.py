"""Recurrent networks: what fills up a sequence changes nothing, and both directions read real steps."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tasks.model.inputs import Steps
from tasks.model.rnn import RNN

CELLS, POOLS = ("rnn", "lstm", "gru"), ("last", "mean", "max")


def made(cell: str = "lstm", pool: str = "max", layers: int = 2, directions: int = 2) -> RNN:
    torch.manual_seed(1)
    return RNN((7, 3), 2, cell, 5, layers, directions, pool, 0.3).eval()


def sequences() -> Steps:
    """Three sequences of 7, 4 and 1 real steps; what fills them up is far from zero."""
    torch.manual_seed(2)
    real = torch.arange(7)[None] < torch.tensor([7, 4, 1])[:, None]
    return Steps(torch.where(real[:, :, None], torch.randn(3, 7, 3), torch.full((), 1e3)), real)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("directions", [1, 2])
def test_what_fills_up_changes_nothing(cell: str, pool: str, directions: int) -> None:
    network, steps = made(cell, pool, directions=directions), sequences()
    together = network(steps)
    assert together.shape == (1, 3, 2)
    for row, length in enumerate((7, 4, 1)):
        alone = network(Steps(steps.values[row : row + 1, :length]))
        assert torch.allclose(together[:, row : row + 1], alone, atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_packed_sequences_of_torch_give_the_same_states(cell: str) -> None:
    """The reference: torch's own way to leave out what fills up, with the same weights."""
    network, steps = made(cell, "last", layers=1), sequences()
    assert steps.real is not None
    reference = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[cell](
        3, 5, batch_first=True, bidirectional=True
    )
    forward, backward = (direction.state_dict() for direction in network.layers[0])
    reference.load_state_dict(forward | {f"{name}_reverse": value for name, value in backward.items()})
    packed = nn.utils.rnn.pack_padded_sequence(
        steps.values, steps.real.sum(dim=1), batch_first=True, enforce_sorted=False
    )
    last = reference(packed)[1]
    last = last[0] if cell == "lstm" else last
    expected = network.output(torch.cat([last[0], last[1]], dim=1))
    assert torch.allclose(network(steps)[0], expected, atol=1e-6)


def test_pools_differ_and_the_order_matters() -> None:
    steps = sequences()
    answers = {pool: made(pool=pool, layers=1)(steps) for pool in POOLS}
    assert not torch.allclose(answers["last"], answers["mean"])
    assert not torch.allclose(answers["mean"], answers["max"])
    turned = Steps(steps.values[:1].flip(1))
    assert not torch.allclose(made()(Steps(steps.values[:1])), made()(turned))


def test_a_grid_is_read_column_by_column() -> None:
    torch.manual_seed(3)
    network = RNN((2, 4, 7), 2, "gru", 5, 1, 2, "mean", 0.0).eval()
    grid = torch.randn(3, 2, 4, 7)
    columns = torch.stack([grid[:, :, :, i].flatten(1) for i in range(7)], dim=1)
    assert torch.equal(network(Steps(grid)), network(Steps(columns)))


def test_it_learns_which_word_came_first() -> None:
    """Bags of steps can't tell: both classes hold the same two steps."""
    torch.manual_seed(4)
    network = RNN((4, 2), 2, "lstm", 8, 1, 1, "last", 0.0)
    first, second = torch.eye(2)
    values = torch.stack([torch.stack([first, second, second, first][k:] + [first] * k) for k in (0, 2)])
    real = torch.tensor([[True, True, False, False]] * 2)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.05)
    for _ in range(60):
        loss = nn.functional.cross_entropy(network(Steps(values, real))[0], torch.tensor([0, 1]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert network(Steps(values, real))[0].argmax(dim=1).tolist() == [0, 1]
