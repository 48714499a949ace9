"""Processes and clients that train side by side draw numbers of their own."""

import json
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
import torch

from tasks.ingest.described import describe
from tasks.model.device import deterministic
from tasks.model.features import features_from_json
from tasks.privacy.secure import Numbers
from tasks.train import loop
from tasks.train.client import LocalClient, fresh_network, taken
from tasks.train.seeds import seed_at
from tasks.train.team import ALONE, Alone
from tests.privacy.test_federated import FRAME, SIDE, plan_of

FEATURES = {"kind": "image", "column": "image", "height": SIDE, "width": SIDE, "channels": 1}
TOLD = {
    "features": json.dumps(FEATURES | {"mean": 0.3, "deviation": 0.2, "resize": False}),
    "factors": [1.0] * 3,
    "round": 1,
}


@dataclass(frozen=True)
class Beside(Alone):
    """One of three processes."""

    size: int = 3


def dropped(rank: int) -> tuple[torch.Tensor, list[int]]:
    """What a process drops after it has taken its share of the rows, and that share."""
    torch.manual_seed(20260101 * 100_003 + 4)
    team = Beside(rank) if rank >= 0 else ALONE
    order, _ = loop._shared(torch.randperm(12), 6, team)
    return torch.nn.functional.dropout(torch.ones(64), 0.5) == 0, order.tolist()


def test_workers_drop_other_activations_of_an_order_that_they_drew_alike() -> None:
    with torch.random.fork_rng():
        alone, whole = dropped(-1)
        masks, shares = zip(*(dropped(rank) for rank in range(3)), strict=True)
    assert torch.equal(alone, masks[0])  # the first process draws as one alone would
    assert not any(torch.equal(one, other) for one, other in pairwise([*masks, masks[0]]))
    assert sorted(row for share in shares for row in share) == sorted(whole)


def updated(place: int, dropout: float) -> Numbers:
    """The weights after a round of a client with these rows at a place."""
    plan = plan_of({"local_epochs": 3}).changed({"model.dropout": dropout})
    client = LocalClient(FRAME, describe(FRAME, plan.judgement), plan, place)
    with deterministic(1):
        sent = taken(
            fresh_network(features_from_json(json.loads(TOLD["features"])), plan, torch.device("cpu"))
        )
        numbers = client.update(sent, TOLD)
    return numbers[3:] / numbers[0]


def test_clients_drop_other_activations() -> None:
    """Of the same rows, else equal: without dropout they learn the same."""
    assert updated(1, 0.0) == pytest.approx(updated(2, 0.0), abs=1e-5)
    assert np.abs(updated(1, 0.5) - updated(2, 0.5)).max() > 1e-3
    assert (updated(2, 0.5) == updated(2, 0.5)).all()


def test_seeds_differ_in_what_torch_looks_at() -> None:
    seeds = [seed_at(seed, place) for seed in (0, 1, 2**40 + 1) for place in range(1, 200)]
    assert max(seeds) < 2**32
    assert len(set(seeds)) == len(seeds)
    assert seed_at(2**40 + 1, 0) == 2**40 + 1
