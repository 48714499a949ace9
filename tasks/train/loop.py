"""The training loop: whole tensors, indexed batches, callbacks after each epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import torch
from torch import nn

from tasks.errors import AssayError
from tasks.model.encode import Encoded
from tasks.model.mlp import Network
from tasks.plan.recipe import Training
from tasks.train.records import Epoch

SCORED_AT_ONCE = 8192


class Rows(NamedTuple):
    """Rows to learn from or to validate on, all on one device.

    Attributes:
        inputs: encoded columns, n rows.
        labels: int64 (n,), position of the class.
        weights: float32 (n,), mean 1.
    """

    inputs: Encoded
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


def rate_factor(step: int, steps: int, warmup: int) -> float:
    """Share of the full rate at ``step`` of ``steps``: linear warm-up, then cosine decay to 0."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))


def run(
    state: State, fit: Rows, validation: Rows, training: Training, seed: int, callbacks: Sequence[Callback]
) -> None:
    """Train ``state`` until the last epoch, or until validation has not improved for ``patience`` epochs.

    Each epoch draws from its own seed, so a run that goes on from a checkpoint draws the same numbers.

    Args:
        state: fresh, or as a checkpoint left it; changed in place.
        fit: rows to learn from.
        validation: rows that choose the epoch whose weights are kept.
        training: the plan's settings.
        seed: of the recipe.
        callbacks: called with the state after each epoch, in order.

    Raises:
        AssayError: the loss is no longer a finite number.
    """
    while len(state.history) < training.epochs and state.stale_epochs() < training.patience:
        epoch = len(state.history) + 1
        torch.manual_seed(seed * 100_003 + epoch)
        train_loss, rate = _train_epoch(state, fit, training, epoch)
        loss, accuracy = validate(state.network, validation)
        if not (math.isfinite(train_loss) and math.isfinite(loss)):
            raise AssayError(
                f"training, epoch {epoch}: the loss is {train_loss:g} on fit rows and {loss:g} on validation "
                "rows, where finite numbers are expected. Lower recipe.training.optimizer.rate "
                f"(now {training.optimizer.rate:g}) or set recipe.training.clip_norm"
            )
        if loss < min((past.validation_loss for past in state.history), default=math.inf):
            state.best = {name: value.clone() for name, value in state.network.state_dict().items()}
            state.best_epoch = epoch
        state.history.append(
            Epoch(
                epoch=epoch,
                train_loss=train_loss,
                validation_loss=loss,
                validation_accuracy=accuracy,
                rate=rate,
            )
        )
        for callback in callbacks:
            callback(state)


def _train_epoch(state: State, fit: Rows, training: Training, epoch: int) -> tuple[float, float]:
    """One pass over the fit rows: mean loss and last learning rate."""
    network, optimizer = state.network.train(), state.optimizer
    n = len(fit.labels)
    steps = math.ceil(n / training.batch)
    warmup = round(training.schedule.warmup_epochs * steps)
    order = torch.randperm(n).to(fit.labels.device)
    total = torch.zeros((), device=fit.labels.device)
    rate = 0.0
    for step, batch in enumerate(torch.split(order, training.batch), start=(epoch - 1) * steps):
        rate = training.optimizer.rate * rate_factor(step, training.epochs * steps, warmup)
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        logits = network(fit.inputs.rows(batch))
        loss = _loss(logits, fit.labels[batch], fit.weights[batch])
        loss.backward()  # type: ignore[no-untyped-call]
        if training.clip_norm is not None:
            nn.utils.clip_grad_norm_(network.parameters(), training.clip_norm)
        optimizer.step()
        total += loss.detach() * len(batch)
    return float(total) / n, rate


def _loss(logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted cross-entropy of logits (members, n, classes): each member learns by itself."""
    members = len(logits)
    losses = nn.functional.cross_entropy(logits.flatten(0, 1), labels.repeat(members), reduction="none")
    return (losses * weights.repeat(members)).mean()


@torch.inference_mode()
def validate(network: Network, rows: Rows) -> tuple[float, float]:
    """Weighted mean cross-entropy (nats) and weighted accuracy of the members' mean probabilities."""
    scores = score(network, rows.inputs, len(rows.labels))
    chosen = scores.gather(1, rows.labels[:, None])[:, 0]
    loss = -(chosen.log() * rows.weights).sum() / rows.weights.sum()
    right = (scores.argmax(dim=1) == rows.labels).float()
    return float(loss), float((right * rows.weights).sum() / rows.weights.sum())


@torch.inference_mode()
def score(network: Network, inputs: Encoded, n: int) -> torch.Tensor:
    """Probabilities (n, classes), computed some rows at a time."""
    network.eval()
    starts = range(0, n, SCORED_AT_ONCE)
    return torch.cat([network.probabilities(inputs.rows(slice(s, s + SCORED_AT_ONCE))) for s in starts])
