"""A client of federated training: what it computes of its own rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import nn

from tasks.model.device import choose_device
from tasks.model.features import features_from_json
from tasks.model.inputs import Features
from tasks.model.network import Network
from tasks.model.rule import ClassRule
from tasks.plan.data import Classes
from tasks.plan.federated import Federated, FedProx
from tasks.plan.plan import Plan
from tasks.privacy.federated import Arrays
from tasks.privacy.secure import Numbers
from tasks.train import loop
from tasks.train.fitting import NETWORK, enough_memory, require_able, require_normalisable, settings_of
from tasks.train.initial import initialise
from tasks.train.objective import objective_of
from tasks.train.optimizers import optimizer_of
from tasks.train.prepare import held_out
from tasks.train.rows import Rows
from tasks.train.seeds import seed_at
from tasks.train.summed import SUMS
from tasks.train.team import ALONE


class LocalClient:
    """Rows of one client.

    Attributes:
        plan: says how; the same for all clients.
        place: of this client among all, from 1: it draws other numbers than they do.
    """

    def __init__(self, frame: pl.DataFrame, described: pl.DataFrame, plan: Plan, place: int) -> None:
        """Take the client's training part, n rows, and the label of each in ``described``."""
        self.plan, self.place = plan, place
        held = pl.Series(held_out(frame, plan), dtype=pl.Boolean)
        label = plan.judgement.data.label
        assert isinstance(label, Classes)  # noqa: S101 - others are refused with the plan
        self._classes = len(label.values)
        positions = {name: i for i, name in enumerate(label.values)}
        labels = described["label"].replace_strict(positions, return_dtype=pl.Int64)
        self._sides = [(frame.filter(kept), labels.filter(kept)) for kept in (~held, held)]
        self._objective = objective_of(plan, torch.zeros(0))
        self._encoded: tuple[Network, list[Rows]] | None = None

    def compute(self, task: str, arrays: Arrays, told: Mapping[str, Any]) -> Numbers:
        """Numbers to be added to those of the other clients; see the method of the task's name.

        Raises:
            Refusal: the loss is no longer finite.
        """
        tasks: dict[str, Callable[[Arrays, Mapping[str, Any]], Numbers]] = {
            "statistics": self.statistics,
            "update": self.update,
            "figures": self.figures,
        }
        return tasks[task](arrays, told)

    def statistics(self, arrays: Arrays, told: Mapping[str, Any]) -> Numbers:
        """Fit rows of each class, validation rows, 1 for having any of either, and what features need."""
        del arrays, told
        (fit, labels), (held, _) = self._sides
        counts = np.bincount(labels, minlength=self._classes)
        kind = self.plan.judgement.data.kind
        has = [fit.height > 0, held.height > 0]
        return np.concatenate([counts, [held.height], has, SUMS[kind].of(fit, self.plan)])

    def update(self, arrays: Arrays, told: Mapping[str, Any]) -> Numbers:
        """Fit rows n; then n times the loss, the learning rate and the weights after a round of training."""
        network, (fit, _) = self._ready(told)
        recipe, n = self.plan.recipe, len(fit.labels)
        assert isinstance(recipe.federated, Federated)  # noqa: S101 - whoever calls has it
        put(network, arrays)
        optimizer = optimizer_of(network.parameters(), recipe.training.optimizer, fit.labels.device)
        if isinstance(recipe.federated.strategy, FedProx):
            hold_near(optimizer, network, recipe.federated.strategy.proximal)
        state, local, loss, rate = loop.State(network, optimizer), recipe.federated.local_epochs, 0.0, 0.0
        for epoch in range((told["round"] - 1) * local + 1, told["round"] * local + 1 if n else 0):
            torch.manual_seed(seed_at(recipe.seed * 100_003 + epoch, self.place))
            loss, rate = loop.train_epoch(state, fit, self._objective, recipe.training, epoch, ALONE)
        weights = [array.ravel() for array in taken(network).values()]
        return np.concatenate([[1.0, loss, rate], *weights]).astype(np.float64) * n

    def figures(self, arrays: Arrays, told: Mapping[str, Any]) -> Numbers:
        """Weight w of the validation rows; w times loss and metric; counts of label x prediction."""
        network, (_, validation) = self._ready(told)
        if not len(validation.labels):
            return np.zeros(3 + self._classes**2)
        put(network, arrays)
        objective = self._objective
        scores = loop.score(network, validation, objective.rule)
        weight = float(validation.weights.sum())
        measured = objective.measure(scores, validation.labels, validation.weights)
        assert isinstance(objective.rule, ClassRule)  # noqa: S101 - numbers are refused with the plan
        pairs = validation.labels.numpy() * self._classes + objective.rule.decide(scores.numpy())
        counts = np.bincount(pairs, minlength=self._classes**2)
        return np.concatenate([[weight, *(weight * each for each in measured)], counts])

    def _ready(self, told: Mapping[str, Any]) -> tuple[Network, list[Rows]]:
        """The network, and both sides encoded: fit rows, validation rows."""
        if self._encoded is None:
            features, device = features_from_json(json.loads(told["features"])), choose_device()
            factors = torch.tensor(told["factors"], dtype=torch.float32)
            sides = []
            for frame, positions in self._sides:
                labels = torch.from_numpy(positions.to_numpy().copy())
                sides.append(Rows(features.encode(frame), labels, factors[labels]).to(device))
            network = fresh_network(features, self.plan, device)
            require_normalisable(self.plan, network, len(sides[0].labels))
            self._encoded = network, sides
        return self._encoded


def fresh_network(features: Features, plan: Plan, device: torch.device) -> Network:
    """The network before the first round, the same for all."""
    require_able(plan, device)
    torch.manual_seed(plan.recipe.seed)
    with enough_memory(device, NETWORK):
        network = Network(features, settings_of(plan), objective_of(plan, torch.zeros(0)).rule.outputs)
        initialise(network, plan.recipe.model.initial)
        return network.to(device)


def taken(network: Network) -> dict[str, npt.NDArray[np.float32]]:
    """What is averaged over clients: weights and running figures, by name, in order."""
    state = network.state_dict()
    return {name: value.cpu().numpy() for name, value in state.items() if value.is_floating_point()}


def put(network: Network, arrays: Arrays) -> None:
    """Give the network what :func:`taken` took, or a mean of it."""
    given = {name: torch.from_numpy(np.array(array, np.float32)) for name, array in arrays.items()}
    network.load_state_dict({**network.state_dict(), **given})


def hold_near(optimizer: torch.optim.Optimizer, network: nn.Module, proximal: float) -> None:
    """Add the gradient of FedProx's term before each step: ``proximal`` times the way from here."""
    start = [(weight, weight.detach().clone()) for weight in network.parameters()]

    @torch.no_grad()
    def pull(*_: object) -> None:
        for weight, sent in start:
            if weight.grad is not None:
                weight.grad.add_(weight - sent, alpha=proximal)

    optimizer.register_step_pre_hook(pull)
