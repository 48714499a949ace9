"""Noisy steps and their accountant: what a row can change, and what that is called."""

import math
import secrets
from collections.abc import Callable, Mapping

import pytest
import torch
from torch import nn

from tasks.errors import Refusal
from tasks.plan.differential import DpSgd
from tasks.privacy.accountant import epsilon_of, noise_for, planned
from tasks.privacy.dpsgd import PrivateSteps, row_gradients
from tasks.privacy.records import Mechanism


def squares(call: Callable[[torch.Tensor], torch.Tensor], row: Mapping[str, torch.Tensor]) -> torch.Tensor:
    return ((call(row["x"]) - row["y"]) ** 2).sum()


def test_one_row_changes_the_sum_of_gradients_by_no_more_than_the_clip() -> None:
    torch.manual_seed(0)
    network, clip = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 1)), 0.7
    rows = {"x": torch.randn(20, 5), "y": torch.randn(20, 1)}
    planted = {
        "x": torch.cat([rows["x"], torch.full((1, 5), 1e4)]),
        "y": torch.cat([rows["y"], -torch.ones(1, 1) * 1e6]),
    }
    sums = []
    for given in (rows, planted):
        sgd = torch.optim.SGD(network.parameters(), lr=0.0)
        steps = PrivateSteps(network, sgd, Mechanism(noise=1.0, rate=1.0, steps=1), 20, clip, at_once=64)
        gradients = row_gradients(network, steps.learning, given, squares)
        for name, parameter in steps.learning.items():
            parameter.grad_sample = gradients[name]
        steps.optimizer.clip_and_accumulate()
        sums.append(torch.cat([p.summed_grad.flatten() for p in steps.learning.values()]))
        steps.optimizer.zero_grad()
    change = float((sums[1] - sums[0]).norm())
    assert 0.9 * clip < change <= clip * (1 + 1e-5)


@pytest.mark.parametrize("value", [math.nan, math.inf, 3e38])
def test_a_row_whose_gradient_is_not_finite_changes_no_more_than_another(value: float) -> None:
    network = nn.Linear(2, 1)
    nn.init.zeros_(network.weight)
    sgd = torch.optim.SGD(network.parameters(), lr=1.0)
    steps = PrivateSteps(network, sgd, Mechanism(noise=1e-6, rate=1.0, steps=1), 2, clip=1.0, at_once=64)
    steps.step([{"x": torch.tensor([[1.0, 0.0], [value, 0.0]]), "y": torch.ones(2, 1)}], squares)
    assert float(network.weight.detach().norm()) <= 1.0 + 1e-3


def test_gradients_of_rows_are_those_of_each_row_alone() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    rows = {"x": torch.randn(6, 3), "y": torch.randn(6, 1)}
    found = row_gradients(network, dict(network.named_parameters()), rows, squares)
    for i in range(6):
        network.zero_grad()
        ((network(rows["x"][i : i + 1]) - rows["y"][i]) ** 2).sum().backward()
        for name, parameter in network.named_parameters():
            torch.testing.assert_close(found[name][i], parameter.grad)


@pytest.mark.parametrize("pieces", [1, 3])
def test_a_step_adds_noise_once_however_many_pieces_its_rows_come_in(pieces: int) -> None:
    torch.manual_seed(0)
    network, clip, noise = nn.Linear(4000, 1, bias=False), 0.5, 2.0
    nn.init.zeros_(network.weight)
    sgd = torch.optim.SGD(network.parameters(), lr=1.0)
    steps = PrivateSteps(network, sgd, Mechanism(noise=noise, rate=0.5, steps=1), 12, clip, at_once=4)
    rows = {
        "x": torch.zeros(6, 4000),
        "y": torch.zeros(6, 1),
    }  # their gradients are zero: noise alone is left
    chunks = zip(rows["x"].chunk(pieces), rows["y"].chunk(pieces), strict=True)
    steps.step([{"x": x, "y": y} for x, y in chunks], squares)
    expected = noise * clip / (0.5 * 12)
    assert float(network.weight.detach().std()) == pytest.approx(expected, rel=0.08)


def noisy_weights(monkeypatch: pytest.MonkeyPatch, told: int) -> torch.Tensor:
    """Rows drawn, then weights after a step, with the operating system telling ``told`` and nothing else."""
    monkeypatch.setattr(secrets, "token_bytes", lambda size: told.to_bytes(64, "little")[:size])
    monkeypatch.setattr(secrets, "randbits", lambda bits: told % 2**bits)
    network = nn.Linear(3, 1)
    nn.init.zeros_(network.weight)
    sgd = torch.optim.SGD(network.parameters(), lr=1.0)
    steps = PrivateSteps(network, sgd, Mechanism(noise=1.0, rate=0.5, steps=1), 200, 1.0, at_once=4)
    drawn = torch.zeros(200).index_fill(0, steps.draw(), 1.0)
    steps.step([{"x": torch.zeros(0, 3), "y": torch.zeros(0, 1)}], squares)
    return torch.cat([drawn, network.weight.detach()[0]])


def test_every_bit_of_256_decides_which_rows_are_drawn_and_the_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """A generator of torch on the CPU would look at the low 32 of them, and 2^32 seeds are soon tried."""
    key = 0x9E3779B97F4A7C15F39CC0605CEDC834
    torch.manual_seed(0)
    found = noisy_weights(monkeypatch, key)
    torch.manual_seed(1)
    assert torch.equal(found, noisy_weights(monkeypatch, key))  # nothing is drawn from elsewhere
    for bit in (0, 31, 32, 40, 63, 64, 255):
        other = noisy_weights(monkeypatch, key ^ 1 << bit)
        assert not torch.equal(found[:200], other[:200])
        assert (found[200:] != other[200:]).all()


def test_no_two_draws_share_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    keys, fresh = list[bytes](), secrets.token_bytes
    monkeypatch.setattr(secrets, "token_bytes", lambda size: keys.append(fresh(size)) or keys[-1])
    network = nn.Linear(3, 1)
    sgd = torch.optim.SGD(network.parameters(), lr=1.0)
    steps = PrivateSteps(network, sgd, Mechanism(noise=1.0, rate=0.5, steps=1), 200, 1.0, at_once=4)
    for _ in range(2):
        steps.draw()
        steps.step([{"x": torch.zeros(0, 3), "y": torch.zeros(0, 1)}], squares)
    assert {len(key) for key in keys} == {32}
    assert len(set(keys)) == len(keys) == 2 * (1 + 2 * 4)  # rows; four normals for each of two parameters


def test_a_step_that_draws_no_row_still_adds_its_noise() -> None:
    network = nn.Linear(3, 1)
    before = network.weight.detach().clone()
    sgd = torch.optim.SGD(network.parameters(), lr=0.1)
    steps = PrivateSteps(network, sgd, Mechanism(noise=1.0, rate=0.1, steps=1), 5, 1.0, at_once=4)
    steps.step([{"x": torch.zeros(0, 3), "y": torch.zeros(0, 1)}], squares)
    assert not torch.equal(before, network.weight)


def test_rows_are_drawn_each_by_itself_at_the_rate() -> None:
    network = nn.Linear(2, 1)
    sgd = torch.optim.SGD(network.parameters(), lr=0.1)
    steps = PrivateSteps(network, sgd, Mechanism(noise=1.0, rate=0.2, steps=1), 1000, 1.0, at_once=64)
    sizes = torch.tensor([len(steps.draw()) for _ in range(300)]).double()
    assert float(sizes.mean()) == pytest.approx(200, abs=4 * math.sqrt(160 / 300))
    assert float(sizes.var()) == pytest.approx(160, rel=0.35)  # binomial: dealt-out batches would have none


def test_the_accountant_agrees_with_the_closed_form_of_one_gaussian_step() -> None:
    """Without sampling, Renyi's divergence of order a is a/(2 sigma^2), Mironov 2017, proposition 7.

    From it to delta by Balle et al. 2020, theorem 21, at the best of many orders.
    """
    sigma, delta = 3.0, 1e-5
    orders = [1 + x / 100 for x in range(1, 6000)]
    exact = min(
        a / (2 * sigma**2) + math.log((a - 1) / a) - (math.log(delta) + math.log(a)) / (a - 1) for a in orders
    )
    found = epsilon_of([Mechanism(noise=sigma, rate=1.0, steps=1)], delta)
    assert exact <= found <= exact * 1.005


def test_the_accountant_agrees_with_the_figure_of_abadi_and_others() -> None:
    """Deep Learning with Differential Privacy, section 3.2: q .01, sigma 4, 10,000 steps, delta 1e-5: 1.26.

    The change from Renyi to epsilon has become a little tighter since.
    """
    assert 1.0 < epsilon_of([Mechanism(noise=4.0, rate=0.01, steps=10_000)], 1e-5) <= 1.26


def test_the_noise_found_is_the_least_that_keeps_epsilon() -> None:
    noise = noise_for(2.0, 1e-5, rate=0.05, steps=100)

    def spends(factor: float) -> float:
        return epsilon_of([Mechanism(noise=noise * factor, rate=0.05, steps=100)], 1e-5)

    assert spends(1.0) <= 2.0 < spends(0.995)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"delta": 1e-2}, "at most 1/1,000 = 0.001 is expected"),
        ({"noise": 0.5}, "would spend epsilon"),
        ({"epsilon": 1e-6}, "no noise keeps"),
    ],
)
def test_a_promise_that_can_not_be_kept_is_refused(settings: dict[str, float], words: str) -> None:
    member = DpSgd(**{"kind": "dp_sgd", "epsilon": 1.0, "delta": 1e-5, **settings})
    with pytest.raises(Refusal, match=words):
        planned(member, rows=1000, batch=100, epochs=1)
