"""Training from typed rows to a frozen model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import torch

from tasks.evidence.digest import digest_of
from tasks.mitigate.after import ScoredRows, after_training
from tasks.mitigate.records import Decision
from tasks.model.columns import Codes
from tasks.model.device import choose_device, deterministic
from tasks.model.network import Network
from tasks.model.predictor import Predictor
from tasks.model.rule import Rule, Scores
from tasks.plan.plan import Plan
from tasks.train import loop
from tasks.train.checkpoint import Checkpoints
from tasks.train.fitting import begin, deciding, fit, settings_of
from tasks.train.frozen import frozen
from tasks.train.objective import Objective, objective_of
from tasks.train.prepare import Prepared, held_out, known_of, prepare
from tasks.train.private import Begun, begun_of, fit_privately, public_rule
from tasks.train.records import Trained
from tasks.train.workers import fit_together


class Decided(NamedTuple):
    """How a fitted network decides, and what that makes of the validation rows.

    Attributes:
        rule: as it is frozen, with score bins.
        scores: (n, classes) or (n, 1), calibrated where the rule does that.
        groups: of the rows, as the rule numbers them, (n,); None where it reads no group.
        decision: the record of a step after training, None without one.
    """

    rule: Rule
    scores: Scores
    groups: Codes | None = None
    decision: Decision | None = None


def train(
    frame: pl.DataFrame,
    described: pl.DataFrame,
    row_weights: npt.NDArray[np.float64] | None,
    plan: Plan,
    folder: Path,
    checkpoints: Path,
    callbacks: Sequence[loop.Callback] = (),
) -> Trained:
    """Train the plan's model and freeze it in ``folder``.

    The same rows, weights, recipe, device, threads and torch give the same bytes, also when an earlier
    run was killed and this one goes on from its checkpoint.

    Args:
        frame: typed rows of the training part, with ``row_digest``; n rows. Never test rows.
        described: one row per sample: protected attributes and ``label``.
        row_weights: raking weights, positive, shape (n,); all 1 when None.
        plan: its recipe says how, its operations on how many threads.
        folder: gets weights.safetensors and model.json.
        checkpoints: folder for this model's checkpoints, emptied when training ends.
        callbacks: called after each epoch (a progress bar, say), before the checkpoint is written.

    Raises:
        Refusal: a class or a side of the division has no rows, the loss is not finite any more, or a step
            after training lacks rows of a group.
    """
    device = choose_device()
    with deterministic(plan.operations.compute.threads):
        prepared = prepare(frame, described, row_weights, plan)
        objective = objective_of(plan, prepared.fit.labels)
        saved = Checkpoints(checkpoints, _key(prepared, deciding(plan, objective.rule, device)))
        begun = None if plan.recipe.privacy is None else begun_of(frame, plan, checkpoints)
        network, state, resumed_from = _fit(prepared, objective, plan, device, saved, callbacks, begun)
        scores = loop.score(network, prepared.validation, objective.rule).numpy()
    rule, scores, groups, decision = _decided(frame, row_weights, prepared, scores, objective, plan)
    predictor = Predictor(prepared.features, settings_of(plan), network, rule)
    trained = frozen(
        predictor,
        state,
        plan,
        device,
        saved,
        folder,
        **prepared.rows,
        passes=len(state.history),
        validation=objective.validation(scores, prepared.validation.labels, rule, groups),
        decision=decision,
        made_by=dict(prepared.made),
        resumed_from=resumed_from,
        privacy=state.spent,
    )
    if begun is not None:
        begun.clear()
    return trained


def _decided(
    frame: pl.DataFrame,
    row_weights: npt.NDArray[np.float64] | None,
    prepared: Prepared,
    scores: Scores,
    objective: Objective,
    plan: Plan,
) -> Decided:
    """Make the recipe's steps after training, on the validation rows that the network can take."""
    decided = Decided(objective.rule, scores)
    if steps := [step for step in plan.recipe.mitigation if step.stage == "decision"]:
        held = known_of(held_out(frame, plan), frame, prepared.features)
        weights = np.ones(len(scores)) if row_weights is None else row_weights[held]
        rows = ScoredRows(frame.filter(held), scores, prepared.validation.labels.numpy(), weights)
        decided = Decided(*(after_training(objective.rule, rows, steps, plan.judgement) or decided))
    if plan.recipe.privacy is not None:
        return decided._replace(rule=public_rule(decided.rule))
    return decided._replace(rule=objective.frozen(decided.scores, decided.rule))


def _fit(
    prepared: Prepared,
    objective: Objective,
    plan: Plan,
    device: torch.device,
    saved: Checkpoints,
    callbacks: Sequence[loop.Callback],
    begun: Begun | None,
) -> tuple[Network, loop.State, int | None]:
    """Fit, from a checkpoint if there is one; gives the best network, on the CPU."""
    state = begin(prepared.features, objective, plan, device, prepared.fit)
    if begun is not None:
        rows = prepared.fit, prepared.validation
        resumed_from = fit_privately(state, rows, objective, plan, saved, callbacks, begun)
    elif plan.recipe.training.workers > 1:
        resumed_from = fit_together(state, prepared, plan, saved, callbacks)
    else:
        rows = prepared.fit, prepared.validation
        resumed_from = fit(state, rows, objective, plan, saved, callbacks)
    # A network of its own: the one that was trained may be compiled.
    network = Network(prepared.features, settings_of(plan), objective.rule.outputs)
    network.load_state_dict(state.best)
    return network.eval(), state, resumed_from


def _key(prepared: Prepared, beside_rows: dict[str, Any]) -> str:
    """Digest of all that decides the result of the loop: the rows, and what there is beside them."""
    tensors = [
        tensor
        for rows in (prepared.fit, prepared.validation)
        for tensor in (*rows.tensors().values(), *rows.beside_inputs().values())
    ]
    rows = [hashlib.sha256(tensor.contiguous().numpy().data).hexdigest() for tensor in tensors]
    return digest_of({**beside_rows, "features": prepared.features.to_json(), "rows": rows})
