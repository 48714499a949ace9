"""Federated training: rounds of sums over clients, of which features, model and losses are made.

Nothing that depends on rows reaches this side but sums: how many rows a class has, what features need,
weights after a round, losses and counts on validation rows. In a simulation this process plays the clients.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import torch

from tasks.errors import Refusal
from tasks.evaluate.performance import macro_f1
from tasks.evidence.digest import digest_of
from tasks.ingest.clients import rows_of_clients
from tasks.model.device import choose_device, deterministic
from tasks.model.network import Network
from tasks.model.predictor import Predictor
from tasks.plan.data import Classes
from tasks.plan.federated import Federated
from tasks.plan.plan import Plan
from tasks.privacy.carriers import Here
from tasks.privacy.federated import Aggregation, Arrays, Carrier, Summed, client_app
from tasks.privacy.secure import Numbers
from tasks.train import loop
from tasks.train.checkpoint import Checkpoints
from tasks.train.client import LocalClient, fresh_network, put, taken
from tasks.train.fitting import deciding, settings_of
from tasks.train.frozen import frozen
from tasks.train.objective import objective_of
from tasks.train.prepare import POWERS
from tasks.train.private import public_rule
from tasks.train.processes import training_processes
from tasks.train.records import Epoch, Trained
from tasks.train.summed import SUMS


class Part(NamedTuple):
    """A client's rows: typed, and what describes them."""

    frame: pl.DataFrame
    described: pl.DataFrame


class Statistics(NamedTuple):
    """Sums over all clients, before the first round.

    Attributes:
        fit: rows to learn from, of each class.
        validation: rows that choose the round.
        features: what features need.
    """

    fit: Numbers
    validation: float
    features: Numbers


class Figures(NamedTuple):
    """Sums over the validation rows: weighted mean loss and accuracy, counts (classes, classes)."""

    loss: float
    metric: float
    counts: Numbers
    lost: tuple[str, ...]


class Server:
    """Who asks the clients for sums, and makes the model of them."""

    def __init__(self, plan: Plan, names: Sequence[str], carrier: Carrier) -> None:
        """Take the clients' names, in order, and what brings messages to them."""
        federated = plan.recipe.federated
        assert isinstance(federated, Federated)  # noqa: S101 - whoever calls has it
        self.plan, self.federated, self.carrier = plan, federated, carrier
        self.names = dict(enumerate(names, start=1))
        # No two groups of clients could each make a sum: a server could tell each another story.
        self.needed = max(federated.minimum_clients, len(names) // 2 + 1)

    def sum(
        self,
        task: str,
        arrays: Arrays | None = None,
        told: Mapping[str, Any] | None = None,
        needed: int | None = None,
    ) -> Summed:
        """What the clients compute, added up under masks.

        Raises:
            Refusal: too few of them answered.
        """
        wait = self.federated.wait_seconds
        aggregation = Aggregation(self.carrier, self.names, needed or self.needed, wait)
        return aggregation.sum(task, arrays or {}, told or {})

    def statistics(self) -> Statistics:
        """Rows by class, and what features need.

        Raises:
            Refusal: a client did not answer, a class has no rows, or so few clients have rows to learn from
                or to validate with that sums over all would be theirs.
        """
        # Features would lack a client's share in all rounds; and a sum without it, less the one of the next
        # attempt, would be its own numbers. So of fewer than all nothing is unmasked.
        summed, label = self.sum("statistics", needed=len(self.names)), self.plan.judgement.data.label
        assert isinstance(label, Classes)  # noqa: S101 - others are refused with the plan
        fit, (validation, *holders), rest = np.split(summed.values, [(k := len(label.values)), k + 3])
        if absent := [name for name, count in zip(label.values, fit, strict=True) if count == 0]:
            raise Refusal(f"training part: no client has a fit row of {', '.join(map(repr, absent))}")
        for what, clients in zip(("fit", "validation"), holders, strict=True):
            if clients < self.federated.minimum_clients:
                raise Refusal(
                    f"training part: at least {self.federated.minimum_clients} clients with {what} rows are "
                    f"expected (recipe.federated.minimum_clients), {clients:.0f} have some: sums would be "
                    "theirs alone; more rows are needed"
                )
        # Of those that vanish later all may have rows: whoever has none does not stand in for them.
        empty = len(self.names) - round(min(holders))
        self.needed = max(self.needed, self.federated.minimum_clients + empty)
        return Statistics(fit, float(validation), rest)

    def factors(self, statistics: Statistics) -> list[float]:
        """Weight of a row of each class, mean 1 over the fit rows."""
        power = POWERS[getattr(self.plan.recipe.training.loss, "class_weights", "none")]
        rows = statistics.fit
        factors = (rows.sum() / (len(rows) * rows)) ** power
        return list((factors / ((factors @ rows) / rows.sum())).tolist())

    def update(self, network: Network, told: Mapping[str, Any]) -> tuple[Summed, float, float]:
        """A round: the network becomes the clients' mean, weighted by their fit rows; mean loss, and rate."""
        sent = taken(network)
        summed = self.sum("update", sent, told)
        rows, *_ = summed.values
        if not rows:
            raise Refusal("federated training: no client that answered has a fit row")
        loss, rate = summed.values[1:3] / rows
        rate = float(f"{rate:.5g}")  # all have the same: what differs are the steps of the sum
        ends = np.cumsum([array.size for array in sent.values()])[:-1]
        means = np.split(summed.values[3:] / rows, ends)
        put(network, {name: mean.reshape(sent[name].shape) for name, mean in zip(sent, means, strict=True)})
        return summed, float(loss), rate

    def figures(self, network: Network, told: Mapping[str, Any]) -> Figures:
        """How the network does on the clients' validation rows."""
        summed = self.sum("figures", taken(network), told)
        weight, loss, metric = summed.values[:3]
        size = math.isqrt(len(summed.values) - 3)
        counts = summed.values[3:].reshape(size, size)
        if not weight:
            raise Refusal("federated training: no client that answered has a validation row")
        return Figures(float(loss / weight), float(metric / weight), counts, summed.lost)


def train_federated(
    frame: pl.DataFrame,
    described: pl.DataFrame,
    plan: Plan,
    folder: Path,
    checkpoints: Path,
    callbacks: Sequence[loop.Callback] = (),
) -> Trained:
    """Train the plan's model over its clients and freeze it in ``folder``.

    The same rows, recipe, device, threads and torch give the same bytes: masks are drawn anew each time,
    and cancel.

    Args:
        frame: typed rows of the training part, with ``row_digest``; divided among the clients here, where
            they are played by this machine.
        described: one row per sample: protected attributes and ``label``.
        plan: its recipe says who the clients are, and how they train.
        folder: gets weights.safetensors and model.json.
        checkpoints: folder for this model's checkpoints, emptied when training ends.
        callbacks: called after each round, before the checkpoint is written.

    Raises:
        Refusal: too few clients, or too few that answer; a class or a side of the division has no rows.
    """
    parts = divided(frame, described, plan)
    with deterministic(plan.operations.compute.threads), _carrier(parts, plan) as carrier:
        return fit_clients(Server(plan, list(parts), carrier), folder, checkpoints, callbacks)


def divided(frame: pl.DataFrame, described: pl.DataFrame, plan: Plan) -> dict[str, Part]:
    """The rows of each client, by its name, in order.

    Raises:
        Refusal: there are fewer clients than the plan asks for.
    """
    federated = plan.recipe.federated
    assert isinstance(federated, Federated)  # noqa: S101 - whoever calls has it
    rows = rows_of_clients(frame, plan.judgement, federated, "training")
    return {name: Part(frame.filter(own), described.filter(own)) for name, own in rows.items()}


@contextmanager
def _carrier(parts: Mapping[str, Part], plan: Plan) -> Iterator[Carrier]:
    federated = plan.recipe.federated
    assert isinstance(federated, Federated)  # noqa: S101 - whoever calls has it
    if federated.mode == "processes":
        with training_processes(list(parts.values()), plan) as carrier:
            yield carrier
        return
    places = enumerate(parts.values(), start=1)
    yield Here({place: client_app(LocalClient(*part, plan, place)) for place, part in places})


def fit_clients(
    server: Server, folder: Path, checkpoints: Path, callbacks: Sequence[loop.Callback] = ()
) -> Trained:
    """Run the rounds and freeze the network of the best one; see :func:`train_federated`."""
    plan, device = server.plan, choose_device()
    statistics = server.statistics()
    features = SUMS[plan.judgement.data.kind].features(statistics.features, plan)
    network = fresh_network(features, plan, device)
    state = loop.State(network, torch.optim.SGD(network.parameters(), lr=0.0))
    rule = public_rule(objective_of(plan, torch.zeros(0)).rule)
    saved = Checkpoints(checkpoints, _key(server, statistics, deciding(plan, rule, device)))
    resumed_from = saved.begin(state)
    told = {"features": json.dumps(features.to_json()), "factors": server.factors(statistics)}
    best = run_rounds(server, state, told, [*callbacks, saved])
    network.load_state_dict(state.best)
    if best is None:  # measured before a crash
        best = server.figures(network, told)
    predictor = Predictor(features, settings_of(plan), network.cpu().eval(), rule)
    rows = int(statistics.fit.sum())
    return frozen(
        predictor,
        state,
        plan,
        device,
        saved,
        folder,
        fit_rows=rows,
        passes=server.federated.local_epochs * len(state.history),
        validation=performance(best.counts),
        validation_rows=round(best.counts.sum()),
        resumed_from=resumed_from,
        clients=tuple(server.names.values()),
    )


def run_rounds(
    server: Server, state: loop.State, told: Mapping[str, Any], callbacks: Sequence[loop.Callback]
) -> Figures | None:
    """Rounds until the last one, or until ``patience`` of them in a row have not been the best.

    Returns:
        The figures of the best round, None if it was before these. They are not asked for again: where
        other clients answered, the difference of both sums would be a single client's own.
    """
    training, best = server.plan.recipe.training, None
    while len(state.history) < server.federated.rounds and not loop.stale(state, training):
        number = len(state.history) + 1
        summed, loss, rate = server.update(state.network, {**told, "round": number})
        figures = server.figures(state.network, told)
        state.record(
            Epoch(
                epoch=number,
                train_loss=loss,
                validation_loss=figures.loss,
                validation_metric=figures.metric,
                rate=rate,
                clients=summed.present,
                lost=tuple(dict.fromkeys([*summed.lost, *figures.lost])),
            )
        )
        if state.best_epoch == number:
            best = figures
        for callback in callbacks:
            callback(state)
    return best


def performance(counts: Numbers) -> dict[str, float]:
    """Accuracy and macro-F1 of counts (label, prediction)."""
    whole = np.rint(counts).astype(np.int64)
    truth, decided = np.divmod(np.repeat(np.arange(whole.size), whole.ravel()), len(whole))
    return {
        "accuracy": float((truth == decided).mean()),
        "macro_f1": macro_f1(truth, decided, len(whole)).value,
    }


def _key(server: Server, statistics: Statistics, beside_rows: dict[str, Any]) -> str:
    """Digest of all that decides the result, as far as the server knows of it."""
    told = {
        "clients": list(server.names.values()),
        "statistics": [np.asarray(part).tolist() for part in statistics],
    }
    return digest_of({**beside_rows, **told})
