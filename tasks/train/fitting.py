"""From prepared rows to the weights of the best epoch: by this process, or as one of several."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch

from tasks.errors import AssayError, NotEnoughMemory, Refusal
from tasks.evidence.environment import code_digest
from tasks.mitigate.during import pressure_of
from tasks.model.cnn import GROUPS
from tasks.model.inputs import Features
from tasks.model.network import Network
from tasks.model.rule import Rule
from tasks.plan.model import CNN, Pretrained
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
# How they put it: torch's allocator on a CPU, those of GPUs past torch's own, and CUDA's libraries.
NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "_STATUS_ALLOC_FAILED")
NETWORK = (
    "the network. Lower the width and layers of recipe.model, or the number and width of the vectors and the "
    "length of a sample in recipe.features"
)


def settings_of(plan: Plan) -> dict[str, Any]:
    """The network's settings, as the plan has them; where weights start and which learn is no part of it."""
    return plan.recipe.model.model_dump(mode="json", exclude=HOW_IT_LEARNS)


def deciding(plan: Plan, rule: Rule, device: torch.device) -> dict[str, Any]:
    """What decides the result of training beside its rows, as a checkpoint's key needs it.

    Args:
        plan: its recipe and threads.
        rule: of the objective: which class is the positive one, how a number is standardised.
        device: to train on.
    """
    return {
        "recipe": plan.recipe.model_dump(mode="json"),
        "rule": rule.to_json(),
        "code": _loaded_code(),
        "device": device.type,
        "threads": plan.operations.compute.threads,
        "torch": torch.__version__,
    }


@cache
def _loaded_code() -> str:
    """Digest of the code that this process trains by: it was loaded once, whatever becomes of its files."""
    return code_digest()


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
        AssayError: the device or this machine can't do what the recipe asks for, or has no memory for it.
        Refusal: a block would have a single number to normalise.
    """
    recipe = plan.recipe
    require_able(plan, device)
    torch.manual_seed(recipe.seed)
    with enough_memory(device, NETWORK):
        network = Network(features, settings_of(plan), objective.rule.outputs)
        require_normalisable(plan, network, len(rows.labels))
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


def require_normalisable(plan: Plan, network: Network, rows: int) -> None:
    """Refuse blocks that would normalise a single number: it has no variance, and torch fails at it.

    Args:
        plan: says how large batches are, and what is normalised.
        network: whose front says how large a sample is.
        rows: to learn from.

    Raises:
        Refusal: naming the block, and what to change.
    """
    model, batch = plan.recipe.model, plan.recipe.training.batch
    if not isinstance(model, CNN):
        return
    sides = network.front.shape[1:]
    small = [i for i in range(len(model.channels)) if all(side <= 2**i for side in sides)]
    if model.norm == "batch" and small and (rows % batch or batch) == 1:
        found = f"{rows:,} rows in batches of {batch} end an epoch with a batch of one row"
        remedy = "recipe.training.batch to another number, recipe.model.norm to group"
    elif model.norm == "group" and any(GROUPS % model.channels[i] == 0 for i in small):
        found = f"norm: group has one channel in each group where there are {GROUPS} or fewer"
        remedy = "recipe.model.norm to batch or none, more recipe.model.channels"
    else:
        return
    raise Refusal(
        f"training: block {small[0] + 1} of recipe.model.channels sees a sample as one pixel, and {found}; "
        f"two numbers to normalise are expected at least. Set {remedy}, or fewer blocks"
    )


@contextmanager
def memory_named(plan: Plan, device: torch.device) -> Iterator[None]:
    """Turn an allocation that failed while batches are learned from into an error that says what to lower."""
    training = plan.recipe.training
    batch = (
        f"a batch of {training.batch} rows in {training.precision}. Lower recipe.training.batch (and raise "
        "accumulate as much: the step stays the same), or the width and layers of recipe.model, or the "
        "length of a sample in recipe.features; or set recipe.training.precision to bfloat16"
    )
    with enough_memory(device, batch):
        yield


@contextmanager
def enough_memory(device: torch.device, need: str) -> Iterator[None]:
    """Turn an allocation that failed into an error.

    Args:
        device: whose memory it is.
        need: what there is too little for, and what to do.

    Raises:
        NotEnoughMemory: saying what to lower.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        short = isinstance(error, torch.OutOfMemoryError | MemoryError)
        if not short and not any(words in str(error) for words in NO_MEMORY):
            raise
        raise NotEnoughMemory(
            f"training: the memory of the device {device.type} is not enough for {need}"
        ) from error
