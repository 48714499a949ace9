"""Optimisers by the plan's member, and the learning rate at each step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import nn, optim

from tasks.plan.training import (
    SGD,
    Adam,
    AdamW,
    Constant,
    Cosine,
    Exponential,
    GradientDescent,
    Optimizer,
    Plateau,
    Schedule,
    Step,
)


def optimizer_of(
    parameters: Iterable[nn.Parameter], member: Optimizer, device: torch.device
) -> torch.optim.Optimizer:
    """The optimiser that a plan names, fused where the device has that."""
    wanted = list(parameters)
    fused = device.type in ("cpu", "cuda")  # mps has no fused step in every version
    if isinstance(member, GradientDescent):
        return optim.SGD(wanted, lr=member.rate, fused=fused)
    if isinstance(member, SGD):
        return optim.SGD(
            wanted,
            lr=member.rate,
            momentum=member.momentum,
            nesterov=member.nesterov,
            weight_decay=member.weight_decay,
            fused=fused,
        )
    if isinstance(member, Adam):
        return optim.Adam(wanted, lr=member.rate, fused=fused)
    assert isinstance(member, AdamW)  # noqa: S101 - the last member of the union
    return optim.AdamW(wanted, lr=member.rate, weight_decay=member.weight_decay, fused=fused)


def rate_factor(
    schedule: Schedule, step: int, steps_per_epoch: int, epochs: int, validation_losses: Sequence[float]
) -> float:
    """Share of the full learning rate at a step; the same after a resumption, since nothing is kept.

    Args:
        schedule: the plan's.
        step: steps taken before this one.
        steps_per_epoch: steps in an epoch.
        epochs: the plan's.
        validation_losses: of the epochs before this one.
    """
    passed = step / steps_per_epoch
    if isinstance(schedule, Constant):
        return 1.0
    if isinstance(schedule, Step):
        return float(schedule.factor ** (int(passed) // schedule.epochs))
    if isinstance(schedule, Exponential):
        return float(schedule.factor**passed)
    if isinstance(schedule, Plateau):
        return float(schedule.factor ** plateaus(validation_losses, schedule.patience))
    assert isinstance(schedule, Cosine)  # noqa: S101 - the last member of the union
    warmup, steps = round(schedule.warmup_epochs * steps_per_epoch), epochs * steps_per_epoch
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))


def plateaus(losses: Sequence[float], patience: int) -> int:
    """How often the loss has not fallen below its best for ``patience`` epochs in a row."""
    best, waited, found = math.inf, 0, 0
    for loss in losses:
        best, waited = (loss, 0) if loss < best else (best, waited + 1)
        if waited == patience:
            found, waited = found + 1, 0
    return found
