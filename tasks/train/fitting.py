"""From prepared rows to the weights of the best epoch: by this process, or as one of several."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from tasks.errors import AssayError
from tasks.mitigate.during import pressure_of
from tasks.model.inputs import Features
from tasks.model.network import Network
from tasks.plan.model import Pretrained
from tasks.plan.plan import Plan
from tasks.train import loop
from tasks.train.checkpoint import Checkpoints
from tasks.train.initial import initialise
from tasks.train.objective import Objective
from tasks.train.optimizers import optimizer_of
from tasks.train.pretrained import Thaw, load_pretrained, read_pretrained
from tasks.train.rows import Rows
from tasks.train.streaming import placed
from tasks.train.team import ALONE, Team

HOW_IT_LEARNS = {"initial", "files", "head_epochs", "frozen_layers"}
NO_MEMORY = ("can't allocate memory", "not enough memory")  # how torch's allocator for the CPU puts it


def settings_of(plan: Plan) -> dict[str, Any]:
    """The network's settings, as the plan has them; where weights start and which learn is no part of it."""
    return plan.recipe.model.model_dump(mode="json", exclude=HOW_IT_LEARNS)


def begin(
    features: Features, objective: Objective, plan: Plan, device: torch.device, rows: Rows
) -> loop.State:
    """A fresh network on the device, with its optimiser and the pressure of a step during training.

    Args:
        features: fitted.
        objective: of the plan.
        plan: its recipe.
        device: to train on.
        rows: to learn from, whose labels and groups such a step counts.

    Raises:
        AssayError: the device or this machine can't do what the recipe asks for.
    """
    recipe = plan.recipe
    require_able(plan, device)
    torch.manual_seed(recipe.seed)
    network = Network(features, settings_of(plan), objective.rule.outputs)
    initialise(network, recipe.model.initial)
    if isinstance(recipe.model, Pretrained):
        load_pretrained(network, read_pretrained(recipe.model))
    network.to(device)
    if recipe.training.compile:  # in place: the names of the weights stay
        torch.use_deterministic_algorithms(mode=True)  # tells the compiler too
        network.front.compile()
        network.body.compile()
    pressure = pressure_of(recipe.mitigation, objective.rule, rows.labels, rows.groups)
    learning = [*network.parameters()]
    if pressure is not None:
        learning += pressure.to(device).parameters()
    return loop.State(network, optimizer_of(learning, recipe.training.optimizer, device), pressure)


def fit(
    state: loop.State,
    rows: tuple[Rows, Rows],
    objective: Objective,
    plan: Plan,
    saved: Checkpoints,
    callbacks: Sequence[loop.Callback],
    team: Team = ALONE,
) -> int | None:
    """Run the loop from the newest checkpoint; only rank 0 calls back and writes checkpoints.

    Returns:
        The epoch of the checkpoint that it went on from.

    Raises:
        AssayError: the device has not enough memory.
        Refusal: the loss is no longer a finite number.
    """
    recipe, device = plan.recipe, next(state.network.parameters()).device
    first: list[loop.Callback] = [Thaw(recipe.model)] if isinstance(recipe.model, Pretrained) else []
    resumed_from = saved.begin(state) if team.size == 1 else saved.resume(state)
    for settle in first:  # before the first epoch, or the one after the checkpoint
        settle(state)
    told: list[loop.Callback] = [*callbacks, saved] if team.rank == 0 else []
    with memory_named(plan, device):
        fit_rows, validation = (placed(side, device) for side in rows)
        settings = recipe.training
        every: list[loop.Callback] = [*first, *told]
        loop.run(state, fit_rows, validation, objective, settings, recipe.seed, every, team)
    return resumed_from


def require_able(plan: Plan, device: torch.device) -> None:
    """Refuse a precision that the device lacks, and compilation without a compiler.

    Raises:
        AssayError: saying what to change in the plan.
    """
    training = plan.recipe.training
    if training.precision == "bfloat16" and not has_bfloat16(device):
        raise AssayError(
            f"recipe.training.precision is bfloat16, which the device {device.type} does not compute; "
            "set it to float32"
        )
    compilers = [os.environ.get("CXX", "g++"), "clang++"]
    if training.compile and device.type == "cpu" and not any(map(shutil.which, compilers)):
        raise AssayError(
            "recipe.training.compile is true, and torch.compile needs a C++ compiler; none was found "
            f"({', '.join(compilers)}): install one, or set it to false"
        )


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies in bfloat16."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return device.type == "cpu" or bool(torch.backends.mps.is_macos_or_newer(14, 0))


@contextmanager
def memory_named(plan: Plan, device: torch.device) -> Iterator[None]:
    """Turn an allocation that failed into an error that says what to lower."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        short = isinstance(error, torch.OutOfMemoryError | MemoryError)
        if not short and not any(words in str(error) for words in NO_MEMORY):
            raise
        training = plan.recipe.training
        raise AssayError(
            f"training: the memory of the device {device.type} is not enough for a batch of {training.batch} "
            f"rows in {training.precision}. Lower recipe.training.batch (and raise accumulate as much: the "
            "step stays the same), or the width and layers of recipe.model, or the length of a sample in "
            "recipe.features; or set recipe.training.precision to bfloat16"
        ) from error
