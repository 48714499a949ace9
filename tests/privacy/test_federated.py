"""Clients that keep their rows train the model that one place would, and none of them can be read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import safetensors.torch
import torch
from flwr.app import Message
from flwr.common.serde import message_to_proto
from pydantic import ValidationError

from tasks.errors import PlanError, Refusal
from tasks.evaluate.clients import cube_of_clients
from tasks.evaluate.evaluate import count_predictions
from tasks.evaluate.predict import predict_part
from tasks.ingest.described import describe
from tasks.model.device import deterministic
from tasks.model.predictor import Predictor
from tasks.plan.load import load_plan
from tasks.plan.plan import Plan
from tasks.privacy.carriers import Here, connected, serve
from tasks.privacy.federated import Aggregation, Arrays, Client, client_app
from tasks.privacy.secure import Numbers
from tasks.train.client import LocalClient
from tasks.train.federated import Server, divided, fit_clients, train_federated
from tasks.train.loop import State
from tasks.train.prepare import held_out
from tasks.train.records import Trained
from tasks.train.summed import SUMS
from tasks.train.train import train

ROWS, SIDE = 240, 4
SITES = ["east", "north", "south", "west"]
LABELS = ["0", "1", "2"]


def plan_of(federated: Mapping[str, Any] | None = None, **training: Any) -> Plan:
    """Tiny images of three digits, taken at four sites."""
    recipe: dict[str, Any] = {
        "seed": 5,
        "split": {"validation": 0.2},
        "model": {"kind": "mlp", "hidden": [8], "dropout": 0.0},
        "training": {"batch": ROWS, "optimizer": {"kind": "sgd", "rate": 0.5, "momentum": 0.0}},
    }
    recipe["training"] |= {"schedule": {"kind": "constant"}, "clip_norm": None, "patience": None, **training}
    if federated is not None:
        recipe["federated"] = {"clients": "site", "rounds": 1, **federated}
    source = {"name": "a", "sha256": "0" * 64, "origins": ["https://example.org/a"]}
    data = {
        "kind": "image",
        "sources": [source | {"part": "train"}, source | {"name": "b", "part": "test"}],
        "format": {"type": "idx"},
        "height": SIDE,
        "width": SIDE,
        "label": {"column": "digit", "values": LABELS},
        "columns": {"site": {"type": "category", "values": SITES}},
    }
    judgement = {
        "data": data,
        "protected": {"site": {"column": "site"}},
        "expectations": {"minimum_rows": {"train": 1, "test": 1}},
        "limits": [{"metric": "accuracy_difference", "attribute": "site", "limit": 0.2}],
        "performance": [{"metric": "accuracy", "minimum": 0.1}],
        "champion": {"margin": 0.02},
        "alpha": 0.05,
    }
    return Plan.model_validate(
        {"name": "tiny", "judgement": judgement, "recipe": recipe, "operations": {"compute": {"threads": 1}}}
    )


def images() -> pl.DataFrame:
    """The more to the east a site, the more rows it has, and the brighter they are."""
    rng = np.random.default_rng(1)
    digit, site = rng.integers(0, 3, ROWS), np.minimum(rng.geometric(0.45, ROWS), 4) - 1
    pixels = rng.integers(0, 90, (ROWS, SIDE * SIDE)) + 20 * site[:, None]
    pixels[np.arange(ROWS), digit * 4] += 90
    return pl.DataFrame(
        {
            "image": [row.astype(np.uint8).tobytes() for row in pixels],
            "digit": [LABELS[i] for i in digit],
            "site": [SITES[i] for i in site],
            "row_digest": [f"{i:016x}" for i in range(ROWS)],
        }
    )


FRAME = images()


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(folder / "weights.safetensors")


def run(plan: Plan, top: Path, callbacks: Sequence[Any] = ()) -> Trained:
    for name in ("model", "checkpoints"):
        (top / name).mkdir(parents=True, exist_ok=True)
    described = describe(FRAME, plan.judgement)
    folders = top / "model", top / "checkpoints"
    if plan.recipe.federated is None:
        return train(FRAME, described, None, plan, *folders, callbacks)
    return train_federated(FRAME, described, plan, *folders, callbacks)


@pytest.mark.parametrize("balanced", ["none", "balanced"])
def test_a_step_over_clients_is_the_step_over_all_rows(tmp_path: Path, balanced: str) -> None:
    loss = {"kind": "cross_entropy", "class_weights": balanced}
    central = run(plan_of(epochs=1, loss=loss), tmp_path / "central")
    clients = run(plan_of({}, loss=loss), tmp_path / "clients")
    expected, found = weights(tmp_path / "central" / "model"), weights(tmp_path / "clients" / "model")
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert found[name].numpy() == pytest.approx(value.numpy(), abs=1e-6)
    # The features are of sums, the losses and the performance too.
    one, other = (
        json.loads((tmp_path / k / "model" / "model.json").read_text()) for k in ("central", "clients")
    )
    assert other["features"] == pytest.approx(one["features"])
    assert clients.history[0].train_loss == pytest.approx(central.history[0].train_loss, abs=1e-5)
    assert clients.history[0].validation_loss == pytest.approx(central.history[0].validation_loss, abs=1e-5)
    assert clients.validation == pytest.approx(central.validation)
    assert (clients.fit_rows, clients.validation_rows) == (central.fit_rows, central.validation_rows)
    assert clients.clients == tuple(SITES) == clients.history[0].clients


def local_weights(plan: Plan, place: int) -> tuple[Numbers, Arrays]:
    """One client's weights after a round, and those that it was sent."""
    names, told = list(divided(FRAME, describe(FRAME, plan.judgement), plan)), {}
    part = divided(FRAME, describe(FRAME, plan.judgement), plan)[names[place - 1]]
    client = LocalClient(*part, plan, place)
    features = {"kind": "image", "column": "image", "height": SIDE, "width": SIDE, "channels": 1}
    features |= {"mean": 0.3, "deviation": 0.2, "resize": False}
    told = {"features": json.dumps(features), "factors": [1.0] * 3, "round": 1}
    from tasks.model.features import features_from_json
    from tasks.train.client import fresh_network, taken

    with deterministic(1):
        sent = taken(fresh_network(features_from_json(features), plan, torch.device("cpu")))
        numbers = client.update(sent, told)
    return numbers[3:] / numbers[0], sent


def test_fedprox_pulls_towards_the_weights_that_were_sent() -> None:
    way = []
    for strategy in (
        {"kind": "fedavg"},
        {"kind": "fedprox", "proximal": 0.1},
        {"kind": "fedprox", "proximal": 1.9},
    ):
        found, sent = local_weights(plan_of({"local_epochs": 20, "strategy": strategy}), 1)
        way.append(float(np.linalg.norm(found - np.concatenate([each.ravel() for each in sent.values()]))))
    assert way[0] > 1.2 * way[1] > 1.44 * way[2]


class Strange:
    """A client that misbehaves in one round, or the first time that it has to do something else."""

    def __init__(self, client: Client, how: str, task: str = "update") -> None:
        """Take the client that it would be otherwise."""
        self.client, self.how, self.task = client, how, task

    def compute(self, task: str, arrays: Arrays, told: Mapping[str, Any]) -> Numbers:
        numbers = self.client.compute(task, arrays, told)
        if task != self.task or told.get("round", 2) != 2:
            return numbers
        self.task = self.task if task == "update" else "nothing"
        if self.how == "vanishes":
            raise ConnectionError("reset by peer")
        return np.where(np.arange(len(numbers)) == 5, np.nan, numbers)


def carried(
    plan: Plan, strange: Mapping[int, str], task: str = "update", frame: pl.DataFrame = FRAME
) -> Server:
    parts = divided(frame, describe(frame, plan.judgement), plan)
    clients: dict[int, Client] = {
        i: LocalClient(*part, plan, i) for i, part in enumerate(parts.values(), start=1)
    }
    clients |= {i: Strange(clients[i], how, task) for i, how in strange.items()}
    return Server(plan, list(parts), Here({i: client_app(client) for i, client in clients.items()}))


def fitted(server: Server, top: Path) -> Trained:
    for name in ("model", "checkpoints"):
        (top / name).mkdir(parents=True, exist_ok=True)
    with deterministic(1):
        return fit_clients(server, top / "model", top / "checkpoints")


@pytest.mark.parametrize(("how", "why"), [("vanishes", "vanished (reset by peer)"), ("strays", "not finite")])
def test_a_round_goes_on_without_a_client_that_vanishes_or_sends_nan(
    tmp_path: Path, how: str, why: str
) -> None:
    plan = plan_of({"rounds": 3})
    trained = fitted(carried(plan, {2: how}), tmp_path)
    first, second, third = trained.history
    assert first.clients == third.clients == tuple(SITES)
    assert second.clients == ("east", "south", "west")
    (lost,) = second.lost
    assert lost.startswith("north: ")
    assert why in lost
    assert not first.lost
    assert not third.lost
    assert all(np.isfinite([epoch.train_loss or 0, epoch.validation_loss]).all() for epoch in trained.history)


def asked_of(server: Server, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[str, ...]]]:
    """What the server learned the sum of, and over which clients, as it goes on."""
    learned, whole = list[tuple[str, tuple[str, ...]]](), server.sum

    def noted(task: str, *given: Any, **named: Any) -> Any:
        summed = whole(task, *given, **named)
        learned.append((task, summed.present))
        return summed

    monkeypatch.setattr(server, "sum", noted)
    return learned


def test_no_two_sums_of_the_same_numbers_differ_by_one_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Their difference would be its own: what features need, at a second attempt; the best round's figures.
    starting = carried(plan_of({}), {2: "vanishes"}, "statistics")
    learned = asked_of(starting, monkeypatch)
    with pytest.raises(Refusal, match=r"4 of 4 clients are expected, 3 answered\. north: it vanished"):
        fitted(starting, tmp_path / "statistics")
    assert not learned
    assert starting.statistics().validation > 0
    judging = carried(plan_of({}), {2: "vanishes"}, "figures")
    learned = asked_of(judging, monkeypatch)
    trained = fitted(judging, tmp_path / "figures")
    assert [task for task, _ in learned] == ["statistics", "update", "figures"]
    others = FRAME.filter(pl.Series(held_out(FRAME, judging.plan)), pl.col("site") != "north")
    assert trained.validation_rows == others.height
    assert trained.history[0].lost


def test_too_few_clients_end_the_run_with_what_became_of_the_others(tmp_path: Path) -> None:
    with pytest.raises(
        Refusal, match=r"at least 3 of 4 clients.*2 answered.*north: .*not finite; west: .*vanished"
    ):
        fitted(carried(plan_of({"rounds": 2}), {2: "strays", 4: "vanishes"}), tmp_path)
    with pytest.raises(Refusal, match=r"at least 5 clients.*east, north, south, west"):
        run(plan_of({"minimum_clients": 5}), tmp_path / "five")


@pytest.mark.parametrize("side", ["fit", "validation"])
def test_a_sum_that_all_but_two_clients_add_nothing_to_is_refused(side: str, tmp_path: Path) -> None:
    plan = plan_of({})
    held = pl.Series(held_out(FRAME, plan))
    elsewhere = pl.col("site").is_in(SITES[:2]) | (held if side == "fit" else ~held)
    refusal = rf"at least 3 clients with {side} rows are expected .*, 2 have some"
    with pytest.raises(Refusal, match=refusal):
        fitted(carried(plan, {}, frame=FRAME.filter(elsewhere)), tmp_path)


@pytest.mark.parametrize(("side", "task"), [("fit", "update"), ("validation", "figures")])
def test_a_client_without_rows_does_not_stand_in_for_one_that_vanishes(
    side: str, task: str, tmp_path: Path
) -> None:
    # Three answer, but of these east adds zeros: the sum would be that of two.
    plan = plan_of({"rounds": 2})
    held = pl.Series(held_out(FRAME, plan))
    frame = FRAME.filter((pl.col("site") != "east") | (held if side == "fit" else ~held))
    whole = fitted(carried(plan, {}, frame=frame), tmp_path / "whole")
    assert whole.history[1].clients == tuple(SITES)
    with pytest.raises(Refusal, match=r"at least 4 of 4 clients are expected, 3 answered\. north: "):
        fitted(carried(plan, {2: "vanishes"}, task, frame), tmp_path / "less")


class Spy:
    """Keeps every answer, as it would travel."""

    def __init__(self, carrier: Here) -> None:
        """Take what carries the messages."""
        self.carrier, self.seen = carrier, list[bytes]()

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        answers = list(self.carrier.send_and_receive(messages, timeout=timeout))
        self.seen += [message_to_proto(answer).SerializeToString() for answer in answers]
        return answers


def test_the_server_sees_no_row_and_no_clients_update(tmp_path: Path) -> None:
    plan = plan_of({})
    server, told = carried(plan, {}), list[Numbers]()
    real = LocalClient.compute

    class Known(LocalClient):
        def compute(self, task: str, arrays: Arrays, given: Mapping[str, Any]) -> Numbers:
            told.append(real(self, task, arrays, given))
            return told[-1]

    parts = divided(FRAME, describe(FRAME, plan.judgement), plan)
    apps = {i: client_app(Known(*part, plan, i)) for i, part in enumerate(parts.values(), start=1)}
    spy = Spy(Here(apps))
    server.carrier = spy
    fitted(server, tmp_path)
    assert len(told) == 3 * 4  # statistics, a round, its figures
    sent = b"".join(spy.seen)
    assert len(sent) > 3 * 4 * 100
    for numbers in told:
        held = numbers[np.abs(numbers) > 1e-3]
        for number in held[:50]:
            assert number.tobytes() not in sent
            assert np.float32(number).tobytes() + bytes(4) not in sent
            assert int(np.rint(number * 2**24)).to_bytes(8, "little", signed=True) not in sent
    for image, digest in FRAME.select("image", "row_digest").iter_rows():
        assert image not in sent
        assert digest.encode() not in sent


def test_sums_are_exact_to_their_step() -> None:
    plan = plan_of({})
    server = carried(plan, {})
    parts = divided(FRAME, describe(FRAME, plan.judgement), plan)
    own = [LocalClient(*part, plan, i).statistics({}, {}) for i, part in enumerate(parts.values(), start=1)]
    aggregation = Aggregation(server.carrier, server.names, 3, 10.0)
    assert (aggregation.sum("statistics", {}, {}).values == np.sum(own, axis=0)).all()
    for i, numbers in enumerate(own, start=1):
        received = aggregation.received[i].view(np.int64) * 2.0**-24
        assert not np.isin(numbers[numbers > 0], received).any()


def test_processes_over_loopback_give_the_bytes_of_the_simulation(tmp_path: Path) -> None:
    here = run(plan_of({"rounds": 2}), tmp_path / "here")
    plan = plan_of({"rounds": 2, "mode": "processes"})
    there = run(plan, tmp_path / "there")
    assert there.digest == here.digest
    assert there.history == here.history
    # The clients count rows likewise, of the frozen model's own files.
    rows, own, model = FRAME.head(60).with_row_index("row_id"), plan.judgement, tmp_path / "there" / "model"
    told = predict_part(Predictor.load(model), rows, own)
    counted = count_predictions(told, describe(rows, own), own, ())
    assert plan.recipe.federated is not None
    summed = cube_of_clients(rows, own, plan.recipe.federated, model, counted)
    assert summed.cube.to_json() == counted.to_json()
    assert summed.clients == tuple(SITES)


def test_a_process_that_is_gone_is_told_of_as_a_client_that_vanished() -> None:
    plan = plan_of({})
    parts = divided(FRAME, describe(FRAME, plan.judgement), plan)
    served = [
        serve(client_app(LocalClient(*part, plan, i))) for i, part in enumerate(parts.values(), start=1)
    ]
    try:
        with connected([port for _, port in served]) as carrier:
            server = Server(plan, list(parts), carrier)
            assert server.sum("statistics").present == tuple(SITES)
            served[2][0].stop(None).wait()
            left = server.sum("statistics")
            assert left.present == ("east", "north", "west")
            assert left.lost[0].startswith("south: it vanished (UNAVAILABLE")
    finally:
        for each, _ in served:
            each.stop(None).wait()


def test_the_words_of_an_error_stay_with_the_client(capfd: pytest.CaptureFixture[str]) -> None:
    class Quoting:
        def compute(self, task: str, arrays: Arrays, told: Mapping[str, Any]) -> Numbers:
            del task, arrays
            if told["of"] == "row":
                raise ValueError("no number: jane@example.org")
            return np.ones(1)

    served = [serve(client_app(Quoting())) for _ in range(3)]
    try:
        with connected([port for _, port in served]) as carrier:
            aggregation = Aggregation(carrier, dict(enumerate(SITES[:3], start=1)), 3, 10.0)
            assert aggregation.sum("any", {}, {"of": "nothing"}).values == pytest.approx([3.0])
            with pytest.raises(
                Refusal, match=r"0 answered\. east: it vanished \(INTERNAL: ValueError"
            ) as refused:
                aggregation.sum("any", {}, {"of": "row"})
    finally:
        for each, _ in served:
            each.stop(None).wait()
    assert "jane" not in str(refused.value)
    assert "jane@example.org" in capfd.readouterr().err


def test_a_run_goes_on_from_its_last_round(tmp_path: Path) -> None:
    whole = run(plan_of({"rounds": 3}), tmp_path / "whole")

    def stop(state: State) -> None:
        if len(state.history) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(plan_of({"rounds": 3}), tmp_path / "stopped", [stop])
    resumed = run(plan_of({"rounds": 3}), tmp_path / "stopped")
    assert resumed.resumed_from == 2
    assert (resumed.digest, resumed.history) == (whole.digest, whole.history)


def test_validation_figures_of_clients_add_up_to_those_of_all_rows(tmp_path: Path) -> None:
    plan = plan_of({"rounds": 3})
    trained = run(plan, tmp_path)
    predictor = Predictor.load(tmp_path / "model")
    held = FRAME.filter(pl.Series(held_out(FRAME, plan)))
    told = predictor.predict(held)
    right = np.asarray(told["prediction"]) == held["digit"].to_numpy()
    assert trained.validation["accuracy"] == pytest.approx(right.mean())


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"federated": {"clients": "speaker"}}, "neither protected nor described"),
        ({"federated": {"minimum_clients": 2}}, "greater than or equal to 3"),
        ({"federated": {"strategy": {"kind": "fedprox"}}}, "proximal"),
        ({"workers": 2}, "clients do the training"),
        ({"epochs": 7}, "rounds x local_epochs = 1, found 7"),
        ({"schedule": {"kind": "plateau"}}, "plateau is seen by the server alone"),
    ],
)
def test_what_needs_rows_in_one_place_is_refused_with_the_plan(changed: dict[str, Any], why: str) -> None:
    federated = changed.pop("federated", {})
    with pytest.raises(ValidationError, match=why):
        plan_of(federated, **changed)


def test_counts_that_clients_could_not_add_are_refused_with_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.plan.federated.MOST_CELLS", 44)
    with pytest.raises(ValidationError, match="levels make 45 cells, at most 44"):
        plan_of({})
    monkeypatch.undo()
    document = plan_of({}).model_dump(mode="json")
    document["judgement"]["unit"] = "site"
    document["judgement"]["data"]["columns"]["site"]["values"] = None
    with pytest.raises(ValidationError, match="would tell a single client's own") as refused:
        Plan.model_validate(document)
    assert "protected.site: its levels must be declared" in str(refused.value)


def test_a_table_is_taken_when_the_plan_states_levels_and_bounds() -> None:
    settings = "recipe.federated={clients: race, rounds: 6}", "recipe.mitigation=[]"
    with pytest.raises(PlanError, match=r"columns.index: its `minimum` and `maximum` are learned") as refused:
        load_plan("income-acs", Path("data"), (*settings, "recipe.features.exclude=[]"))
    assert "columns.AGEP" not in str(refused.value)
    plan = load_plan("income-acs", Path("data"), settings)
    features = json.dumps(SUMS["tabular"].features(np.zeros(0), plan).to_json())
    assert "foster child" in features
    assert '"index"' not in features
