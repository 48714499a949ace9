"""The training loop: whole tensors, indexed batches, callbacks after each epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TypeAlias

import torch
from torch import nn

from tasks.errors import Refusal
from tasks.mitigate.pressure import Pressure
from tasks.model.inputs import Inputs, Steps
from tasks.model.network import Network
from tasks.model.rule import Rule
from tasks.plan.training import GradientDescent, Training
from tasks.privacy.records import Spent
from tasks.train.batches import batches, outputs_of, prepared
from tasks.train.objective import Objective
from tasks.train.optimizers import rate_factor
from tasks.train.records import Epoch
from tasks.train.rows import Rows
from tasks.train.seeds import seed_at
from tasks.train.team import ALONE, Team


@dataclass
class State:
    """Everything that training changes; what a checkpoint holds.

    Attributes:
        network: in training.
        optimizer: of the network's parameters, and of the pressure's.
        pressure: of the recipe's step during training, if it has one.
        best: the weights of the best epoch so far, by name.
        history: one entry an epoch.
        best_epoch: the epoch of ``best``, 0 before the first.
        batch_losses: mean loss of each batch of the last epoch, without the pressure; not in a checkpoint.
        spent: what training under differential privacy has spent, once it is over.
    """

    network: Network
    optimizer: torch.optim.Optimizer
    pressure: Pressure | None = None
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    history: list[Epoch] = field(default_factory=list)
    best_epoch: int = 0
    batch_losses: torch.Tensor = field(default_factory=lambda: torch.zeros(0))
    spent: Spent | None = None

    def learners(self) -> list[list[nn.Parameter]]:
        """All that the optimiser changes: the network's, then the pressure's where it learns."""
        found = [[*self.network.parameters()], [*(self.pressure.parameters() if self.pressure else ())]]
        return [each for each in found if each]

    def stale_epochs(self) -> int:
        """Epochs since the best one."""
        return len(self.history) - self.best_epoch

    def costs(self) -> list[float]:
        """Of each epoch, what is least in the best one: validation loss, and excess at its price."""
        price = self.pressure.price if self.pressure else 0.0
        return [epoch.validation_loss + price * epoch.excess for epoch in self.history]

    def record(self, epoch: Epoch) -> None:
        """Add an epoch to the history, and keep the weights if it is the best so far."""
        self.history.append(epoch)
        *before, cost = self.costs()
        if cost < min(before, default=math.inf):
            self.best = {name: value.clone() for name, value in self.network.state_dict().items()}
            self.best_epoch = epoch.epoch


Callback: TypeAlias = Callable[[State], None]


def run(
    state: State,
    fit: Rows,
    validation: Rows,
    objective: Objective,
    training: Training,
    seed: int,
    callbacks: Sequence[Callback],
    team: Team = ALONE,
) -> None:
    """Train ``state`` until the last epoch, or until ``patience`` epochs in a row have not been the best.

    Each epoch draws from its own seed, so a run that goes on from a checkpoint draws the same numbers.

    Args:
        state: fresh, or as a checkpoint left it; changed in place.
        fit: rows to learn from.
        validation: rows that choose the epoch whose weights are kept.
        objective: the loss, and what validation measures.
        training: the plan's settings.
        seed: of the recipe.
        callbacks: called with the state after each epoch, in order.
        team: the processes that share each batch; every one of them calls this with the same rows.

    Raises:
        Refusal: the loss is no longer a finite number.
    """
    fit, validation = prepared(state.network, fit), prepared(state.network, validation)
    while len(state.history) < training.epochs and not stale(state, training):
        epoch = len(state.history) + 1
        torch.manual_seed(seed * 100_003 + epoch)
        train_loss, rate = train_epoch(state, fit, objective, training, epoch, team)
        scores = score(state.network, validation, objective.rule)
        loss, metric = objective.measure(scores, validation.labels, validation.weights)
        if not math.isfinite(loss):
            raise Refusal(_not_finite(training, f"epoch {epoch}", f"{loss:g} on validation rows"))
        state.record(
            Epoch(
                epoch=epoch,
                train_loss=train_loss,
                validation_loss=loss,
                validation_metric=metric,
                rate=rate,
                excess=_settled(state, scores, validation, team),
            )
        )
        for callback in callbacks:
            callback(state)


def _settled(state: State, scores: torch.Tensor, validation: Rows, team: Team) -> float:
    """Let the pressure settle after an epoch; how far validation rows are beyond what it asks for."""
    if state.pressure is None:
        return 0.0
    assert validation.groups is not None  # noqa: S101 - `prepare` gives them to whoever has a pressure
    state.pressure.settle(team.total)
    return state.pressure.excess(scores, validation.labels, validation.groups)


def stale(state: State, training: Training) -> bool:
    """Whether the best epoch is as long ago as the plan has patience."""
    return training.patience is not None and state.stale_epochs() >= training.patience


def train_epoch(
    state: State, fit: Rows, objective: Objective, training: Training, epoch: int, team: Team
) -> tuple[float, float]:
    """One pass over the fit rows: mean loss and last learning rate."""
    network, optimizer, learners = state.network.train(), state.optimizer, state.learners()
    parameters = [*chain.from_iterable(learners)]
    device = next(network.parameters()).device
    n = len(fit.labels)
    order = torch.randperm(n).to(fit.labels.device)
    count = math.ceil(n / training.batch)
    together = count if isinstance(training.optimizer, GradientDescent) else training.accumulate
    steps = math.ceil(count / together)
    past = state.costs()
    whole = min(n, together * training.batch)
    share = torch.full((), 1 / whole, device=device)
    drawn = batches(network, fit, *_shared(order, training.batch, team))
    sums = [torch.zeros((), device=device)] * count
    rate = 0.0
    for i in range(steps):
        step = (epoch - 1) * steps + i
        rate = training.optimizer.rate * rate_factor(training.schedule, step, steps, training.epochs, past)
        optimizer.param_groups[0]["lr"] = rate
        for parameter in parameters:  # as zero_grad does, without its hook for profilers
            parameter.grad = None
        rows = min(together * training.batch, n - i * together * training.batch)
        if rows < whole:  # the last step of the epoch
            share = torch.full((), 1 / rows, device=device)
        for j, batch in enumerate(islice(drawn, together), start=i * together):
            outputs = _outputs(network, batch.inputs, training)
            losses = objective.losses(outputs, batch.labels)
            total = losses @ batch.weights
            sums[j] = total.detach()
            if state.pressure is not None:
                total = total + state.pressure(outputs, batch.labels, batch.groups, losses)
            total.backward(share)  # type: ignore[no-untyped-call]
        team.add_up(parameters)
        if training.clip_norm is not None:
            for own in learners:  # each by its own norm: an adversary's must not shrink the network's
                nn.utils.clip_grad_norm_(own, training.clip_norm)
        optimizer.step()
    # Looked at once an epoch: on a GPU each look would wait for the device.
    losses = team.total(torch.stack(sums)).cpu()
    if not bool(losses.isfinite().all()):
        first = int((~losses.isfinite()).nonzero()[0])
        where = f"epoch {epoch}, batch {first + 1} of {count}"
        raise Refusal(_not_finite(training, where, f"{float(losses[first]):g}"))
    state.batch_losses = losses / torch.tensor(
        [min(training.batch, n - s) for s in range(0, n, training.batch)]
    )
    return float(losses.sum()) / n, rate


def _shared(order: torch.Tensor, batch: int, team: Team) -> tuple[torch.Tensor, int]:
    """This process's rows of every batch, in order, and how many it has of a whole one."""
    if team.rank:  # each drops its own activations; the order was drawn alike
        torch.manual_seed(seed_at(torch.initial_seed(), team.rank))
    place = torch.arange(len(order), device=order.device) % batch
    return order[place % team.size == team.rank], len(range(team.rank, batch, team.size))


def _outputs(network: Network, given: Inputs | Steps, training: Training) -> torch.Tensor:
    """Outputs (members, n, outputs), float32 at any precision."""
    if training.precision == "float32":
        return outputs_of(network, given)
    device = next(network.parameters()).device
    with torch.autocast(device.type, torch.bfloat16):
        outputs = outputs_of(network, given)
    return outputs.float()


def _not_finite(training: Training, where: str, found: str) -> str:
    return (
        f"training, {where}: the loss is {found}, where a finite number is expected. Lower "
        f"recipe.training.optimizer.rate (now {training.optimizer.rate:g}) or set recipe.training.clip_norm"
    )


@torch.inference_mode()
def score(network: Network, rows: Rows, rule: Rule) -> torch.Tensor:
    """Scores (n, classes) or (n, 1), computed some rows at a time; they are where the rows are."""
    network.eval()
    here, there = rows.labels.device, next(network.parameters()).device
    size = network.rows_at_once
    given = (rows.inputs.rows(slice(s, s + size)).to(there) for s in range(0, len(rows.labels), size))
    return torch.cat([rule.scores(outputs_of(network, some)).to(here) for some in given])
