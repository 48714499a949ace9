"""The loop under differential privacy, beside the plain one: it draws its own rows, and stops by no loss."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import torch

from tasks.errors import Refusal
from tasks.evidence.digest import digest_of, write_atomically
from tasks.model.inputs import Inputs
from tasks.model.rule import NumberRule, Rule
from tasks.plan.plan import Plan
from tasks.plan.training import Training
from tasks.privacy.accountant import planned, spent, steps_of
from tasks.privacy.dpsgd import PrivateSteps, Sample
from tasks.privacy.public import score_edges
from tasks.train import loop
from tasks.train.checkpoint import Checkpoints
from tasks.train.fitting import memory_named
from tasks.train.objective import NUMBER_BINS, SCORE_BINS, Objective
from tasks.train.optimizers import rate_factor
from tasks.train.prepare import held_out
from tasks.train.records import Epoch
from tasks.train.rows import Rows
from tasks.train.single import Head, Whole, single_rows
from tasks.train.streaming import placed

COUNT = "private.json"
LABELS, WEIGHTS = "labels/", "weights/"  # no column's name ends in a slash


@dataclass
class Begun:
    """Epochs begun of one training, in a file beside its checkpoints.

    It is written before an epoch's first step: what a killed epoch has told of its rows is paid for, and is
    not made up for. A file of another training counts nothing.

    Attributes:
        path: of the file.
        key: of the training: its recipe and rows.
    """

    path: Path
    key: str

    @property
    def left(self) -> bool:
        """Whether a crash has left a count of this training."""
        return self.path.is_file() and json.loads(self.path.read_bytes())["key"] == self.key

    @property
    def epochs(self) -> int:
        """How many were begun; 0 without a file of this training."""
        return int(json.loads(self.path.read_bytes())["epochs"]) if self.left else 0

    def one_more(self) -> None:
        """Count an epoch that is about to begin."""
        self.write(self.epochs + 1)

    def write(self, epochs: int) -> None:
        """State how many were begun."""
        write_atomically(self.path, json.dumps({"key": self.key, "epochs": epochs}).encode())

    def clear(self) -> None:
        """The training has its result: the next one begins anew, and pays anew."""
        self.path.unlink(missing_ok=True)


def fit_rows(frame: pl.DataFrame, plan: Plan) -> list[str]:
    """Digests of the rows that training learns from.

    Args:
        frame: of the training part, with ``row_digest``.
        plan: says which are kept for validation.

    Raises:
        Refusal: several of them are of one sampling unit, to whom a promise for one row would be too much.
    """
    learned = frame.filter(pl.Series(~held_out(frame, plan)))
    unit = plan.judgement.unit
    if unit is not None and (units := learned[unit].n_unique()) < learned.height:
        raise Refusal(
            f"recipe.privacy: the promise is for one row, and the {learned.height:,} rows to learn from are "
            f"of {units:,} units of judgement.unit ({unit!r}); keep one row of each"
        )
    return learned["row_digest"].to_list()


def begun_of(frame: pl.DataFrame, plan: Plan, checkpoints: Path) -> Begun:
    """The count of epochs of the training of these rows by this recipe.

    Args:
        frame: of the training part, with ``row_digest``.
        plan: its recipe.
        checkpoints: the folder beside which a crash leaves the count.
    """
    recipe = plan.recipe.model_dump(mode="json")
    return Begun(checkpoints / COUNT, digest_of({"recipe": recipe, "rows": sorted(fit_rows(frame, plan))}))


def fit_privately(
    state: loop.State,
    rows: tuple[Rows, Rows],
    objective: Objective,
    plan: Plan,
    saved: Checkpoints,
    callbacks: Sequence[loop.Callback],
    begun: Begun,
) -> int | None:
    """Train by noisy steps from the newest checkpoint, and keep the last epoch.

    An epoch that a crash undid was begun, and is paid for: as many fewer are left.

    Returns:
        The epoch of the checkpoint that it went on from.

    Raises:
        AssayError: the device has not enough memory.
        Refusal: delta is too large for the rows, no noise keeps epsilon, the loss is not finite any more, or
            crashes have used up every epoch.
    """
    member, training = plan.recipe.privacy, plan.recipe.training
    assert member is not None  # noqa: S101 - whoever calls this has looked
    device = next(state.network.parameters()).device
    mechanism = planned(member, len(rows[0].labels), training.batch, training.epochs)
    resumed_from = saved.begin(state)
    told: list[loop.Callback] = [*callbacks, saved]
    with memory_named(plan, device):
        fit, validation = (placed(side, device) for side in rows)
        learning, learned = single_rows(state, plan.recipe.model, fit)
        steps = PrivateSteps(
            learning, state.optimizer, mechanism, len(fit.labels), member.clip, member.at_once
        )
        while begun.epochs < training.epochs:
            torch.manual_seed(plan.recipe.seed * 100_003 + begun.epochs + 1)  # of dropout; no secret
            begun.one_more()
            rate = _train_epoch(state, learning, learned, objective, training, steps)
            _close_epoch(state, validation, objective, rate)
            for callback in told:
                callback(state)
    if not state.best:
        raise Refusal(
            "recipe.privacy: every epoch that was paid for was begun and lost to a crash; "
            f"remove {begun.path} to begin anew, which draws on the budget of these rows again"
        )
    taken = begun.epochs * steps_of(len(fit.labels), training.batch)
    state.spent = spent(member, mechanism.model_copy(update={"steps": taken}))
    return resumed_from


def public_rule(rule: Rule) -> Rule:
    """The rule with score bins of one width, where else they are quantiles of private rows' scores."""
    if isinstance(rule, NumberRule):
        return replace(rule, score_edges=score_edges(rule.minimum, rule.maximum, NUMBER_BINS))
    if rule.positive is None:
        return rule
    return replace(rule, score_edges=score_edges(0, 1, SCORE_BINS))


def _train_epoch(
    state: loop.State,
    learning: Whole | Head,
    fit: Rows,
    objective: Objective,
    training: Training,
    steps: PrivateSteps,
) -> float:
    """Take an epoch's steps; gives the last learning rate."""
    state.network.train()
    count, rate = steps_of(len(fit.labels), training.batch), 0.0
    for i in range(count):
        step = len(state.history) * count + i
        rate = training.optimizer.rate * rate_factor(training.schedule, step, count, training.epochs, ())
        steps.optimizer.param_groups[0]["lr"] = rate
        pieces = [_sample(learning, fit, some) for some in torch.split(steps.draw(), steps.at_once)]
        steps.step(pieces, lambda call, row: _loss(call, row, objective))
    return rate


def _close_epoch(state: loop.State, validation: Rows, objective: Objective, rate: float) -> None:
    """Keep the epoch's weights, and what validation rows say of them, by which nothing is chosen.

    The loss of the rows learned from is not measured: published, it would tell of them unpaid.
    """
    scores = loop.score(state.network, validation, objective.rule)
    loss, metric = objective.measure(scores, validation.labels, validation.weights)
    epoch = len(state.history) + 1
    if not math.isfinite(loss):
        raise Refusal(
            f"training, epoch {epoch}: the loss is {loss:g} on validation rows, where a finite number is "
            "expected. Lower recipe.training.optimizer.rate"
        )
    state.best = {name: value.clone() for name, value in state.network.state_dict().items()}
    state.best_epoch = epoch
    state.history.append(
        Epoch(epoch=epoch, train_loss=None, validation_loss=loss, validation_metric=metric, rate=rate)
    )


def _sample(learning: Whole | Head, fit: Rows, which: torch.Tensor) -> Sample:
    """Some rows' tensors under one name each, on the network's device, no longer than the longest needs."""
    rows = fit.at(which.to(fit.labels.device)).to(next(learning.parameters()).device)
    inputs = Inputs(rows.tensors())
    if len(rows.labels):
        inputs = learning.shortened(inputs)
    return {**inputs.tensors, LABELS: rows.labels, WEIGHTS: rows.weights}


def _loss(call: Any, row: Sample, objective: Objective) -> torch.Tensor:
    inputs = Inputs({name: tensor for name, tensor in row.items() if name not in (LABELS, WEIGHTS)})
    return objective.losses(call(inputs), row[LABELS])[0] * row[WEIGHTS][0]
