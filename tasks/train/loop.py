"""The training loop: whole tensors, indexed batches, callbacks after each epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import torch
from torch import nn

from tasks.errors import Refusal
from tasks.model.inputs import Inputs
from tasks.model.network import Network
from tasks.model.rule import Rule
from tasks.plan.training import GradientDescent, Training
from tasks.train.objective import Objective
from tasks.train.optimizers import rate_factor
from tasks.train.records import Epoch

SCORED_AT_ONCE = 8192


class Rows(NamedTuple):
    """Rows to learn from or to validate on, all on one device.

    Attributes:
        inputs: encoded, n rows.
        labels: int64 (n,), position of the class, or float32 (n,), a number.
        weights: float32 (n,), mean 1.
    """

    inputs: Inputs
    labels: torch.Tensor
    weights: torch.Tensor

    def to(self, device: torch.device) -> Rows:
        """The same on another device."""
        return Rows(self.inputs.to(device), self.labels.to(device), self.weights.to(device))


@dataclass
class State:
    """Everything that training changes; what a checkpoint holds.

    Attributes:
        network: in training.
        optimizer: of the network's parameters.
        best: the weights with the lowest validation loss so far, by name.
        history: one entry an epoch.
        best_epoch: the epoch of ``best``, 0 before the first.
    """

    network: Network
    optimizer: torch.optim.Optimizer
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    history: list[Epoch] = field(default_factory=list)
    best_epoch: int = 0

    def stale_epochs(self) -> int:
        """Epochs since the best one."""
        return len(self.history) - self.best_epoch


Callback: TypeAlias = Callable[[State], None]


def run(
    state: State,
    fit: Rows,
    validation: Rows,
    objective: Objective,
    training: Training,
    seed: int,
    callbacks: Sequence[Callback],
) -> None:
    """Train ``state`` until the last epoch, or until validation has not improved for ``patience`` epochs.

    Each epoch draws from its own seed, so a run that goes on from a checkpoint draws the same numbers.

    Args:
        state: fresh, or as a checkpoint left it; changed in place.
        fit: rows to learn from.
        validation: rows that choose the epoch whose weights are kept.
        objective: the loss, and what validation measures.
        training: the plan's settings.
        seed: of the recipe.
        callbacks: called with the state after each epoch, in order.

    Raises:
        Refusal: the loss is no longer a finite number.
    """
    while len(state.history) < training.epochs and not _stale(state, training):
        epoch = len(state.history) + 1
        torch.manual_seed(seed * 100_003 + epoch)
        train_loss, rate = _train_epoch(state, fit, objective, training, epoch)
        scores = score(state.network, validation.inputs, objective.rule)
        loss, metric = objective.measure(scores, validation.labels, validation.weights)
        if not math.isfinite(loss):
            raise Refusal(_not_finite(training, f"epoch {epoch}", f"{loss:g} on validation rows"))
        if loss < min((past.validation_loss for past in state.history), default=math.inf):
            state.best = {name: value.clone() for name, value in state.network.state_dict().items()}
            state.best_epoch = epoch
        state.history.append(
            Epoch(
                epoch=epoch, train_loss=train_loss, validation_loss=loss, validation_metric=metric, rate=rate
            )
        )
        for callback in callbacks:
            callback(state)


def _stale(state: State, training: Training) -> bool:
    return training.patience is not None and state.stale_epochs() >= training.patience


def _train_epoch(
    state: State, fit: Rows, objective: Objective, training: Training, epoch: int
) -> tuple[float, float]:
    """One pass over the fit rows: mean loss and last learning rate."""
    network, optimizer, device = state.network.train(), state.optimizer, fit.labels.device
    n = len(fit.labels)
    batches = torch.split(torch.randperm(n).to(device), training.batch)
    together = len(batches) if isinstance(training.optimizer, GradientDescent) else training.accumulate
    steps = math.ceil(len(batches) / together)
    past = [each.validation_loss for each in state.history]
    sums = torch.zeros(len(batches), device=device)
    rate = 0.0
    for i in range(steps):
        step = (epoch - 1) * steps + i
        rate = training.optimizer.rate * rate_factor(training.schedule, step, steps, training.epochs, past)
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        group = batches[i * together : (i + 1) * together]
        rows = sum(map(len, group))
        for j, batch in enumerate(group, start=i * together):
            with torch.autocast(device.type, torch.bfloat16, enabled=training.precision == "bfloat16"):
                outputs = network(fit.inputs.rows(batch))
            total = (objective.losses(outputs.float(), fit.labels[batch]) * fit.weights[batch]).sum()
            (total / rows).backward()  # type: ignore[no-untyped-call]
            sums[j] = total.detach()
        if training.clip_norm is not None:
            nn.utils.clip_grad_norm_(network.parameters(), training.clip_norm)
        optimizer.step()
    # Looked at once an epoch: on a GPU each look would wait for the device.
    if not bool(sums.isfinite().all()):
        first = int((~sums.isfinite()).nonzero()[0])
        where = f"epoch {epoch}, batch {first + 1} of {len(batches)}"
        raise Refusal(_not_finite(training, where, f"{float(sums[first]):g}"))
    return float(sums.sum()) / n, rate


def _not_finite(training: Training, where: str, found: str) -> str:
    return (
        f"training, {where}: the loss is {found}, where a finite number is expected. Lower "
        f"recipe.training.optimizer.rate (now {training.optimizer.rate:g}) or set recipe.training.clip_norm"
    )


@torch.inference_mode()
def score(network: nn.Module, inputs: Inputs, rule: Rule) -> torch.Tensor:
    """Scores (n, classes) or (n, 1), computed some rows at a time."""
    network.eval()
    starts = range(0, len(inputs), SCORED_AT_ONCE)
    return torch.cat([rule.scores(network(inputs.rows(slice(s, s + SCORED_AT_ONCE)))) for s in starts])
