"""The audit cube of rows that stay with clients: each counts its own, and only their sum can be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import polars as pl

from tasks.errors import Refusal
from tasks.evaluate.evaluate import count_predictions
from tasks.evaluate.layout import Layout
from tasks.evaluate.predict import predict_part
from tasks.evaluate.predictions import check_predictions
from tasks.evaluate.records import PREDICTIONS
from tasks.fairness.counts import Counts
from tasks.fairness.cube import Cube
from tasks.ingest.clients import rows_of_clients
from tasks.ingest.described import describe
from tasks.model.predictor import DESCRIPTION, WEIGHTS, Predictor, rule_in
from tasks.plan.federated import Federated
from tasks.plan.judgement import Judgement
from tasks.privacy.carriers import Here
from tasks.privacy.federated import Aggregation, Arrays, Carrier, Told, client_app
from tasks.privacy.processes import processes
from tasks.privacy.secure import Numbers

TASK = "cube"
LAYOUT = "layout"
MODEL = (WEIGHTS, DESCRIPTION)
ROWS, JUDGEMENT = "rows.arrow", "judgement.json"


class CountingClient(NamedTuple):
    """One client's rows of the test part.

    Attributes:
        frame: typed rows.
        judgement: of the plan, the same for all clients.
    """

    frame: pl.DataFrame
    judgement: Judgement

    def compute(self, task: str, arrays: Arrays, told: Mapping[str, Any]) -> Numbers:
        """Counts (n,) of what the frozen model says of the rows, in the layout that all share.

        Args:
            task: counting, which is all that this client does.
            arrays: none.
            told: the layout, and the files of the frozen model by name.

        Raises:
            Refusal: for another layout than the plan's, or rows that the model can't take.
        """
        del arrays
        if task != TASK:
            raise Refusal(f"a client that counts its test rows is asked for {TASK!r} alone, found {task!r}")
        with TemporaryDirectory(prefix="assay-model-") as folder:
            for name in MODEL:
                (Path(folder) / name).write_bytes(told[name])
            predictor = Predictor.load(folder)  # weights other than the described ones are refused
        layout = Layout.of(self.judgement, predictor.rule.score_edges)
        if told[LAYOUT] != layout.to_json():
            raise Refusal("audit cube: the layout of the plan is expected, another one was announced")
        # On torch's own number of threads, as wherever a model is judged: others change a score's last bit.
        answers = predict_part(predictor, self.frame, self.judgement)
        predictions = check_predictions(answers, self.judgement, PREDICTIONS)
        described = describe(self.frame, self.judgement)
        cube = count_predictions(predictions, described, self.judgement, layout.edges)
        assert isinstance(cube, Cube)  # noqa: S101 - numbers are refused with the plan
        return layout.numbers(cube)


class ClientsCube(NamedTuple):
    """The sum, and the names of the clients that it is over."""

    cube: Cube
    clients: tuple[str, ...]


def cube_of_clients(
    frame: pl.DataFrame, judgement: Judgement, federated: Federated, model: Path, counted: Counts
) -> ClientsCube:
    """The audit cube as the sum of the clients' own, under masks.

    Cells of a level that one client alone has are its own counts, in any sum: masks hide from the server
    what each client sends, not what is audited.

    Args:
        frame: typed rows of the test part; divided among the clients here, where they are played by this
            machine.
        judgement: of the plan.
        federated: who the clients are, and whether each has a process of its own.
        model: folder of the frozen model.
        counted: the same of the predictions that the dossier holds.

    Raises:
        Refusal: fewer clients hold test rows than the plan asks for, or one of them does not answer: what is
            left is no cube of the test part.
        EvidenceError: the sum is not what the predictions give.
    """
    rows = rows_of_clients(frame, judgement, federated, "test")
    held = {name: CountingClient(frame.filter(own), judgement) for name, own in rows.items()}
    with _carrier(held, federated) as carrier:
        return sum_cubes(carrier, tuple(held), federated, judgement, model, counted)


def sum_cubes(
    carrier: Carrier,
    names: tuple[str, ...],
    federated: Federated,
    judgement: Judgement,
    model: Path,
    counted: Counts,
) -> ClientsCube:
    """The sum over clients that a carrier reaches, all of them; see :func:`cube_of_clients`."""
    layout = Layout.of(judgement, rule_in(model).score_edges)
    told: Told = {LAYOUT: layout.to_json(), **{name: (model / name).read_bytes() for name in MODEL}}
    # All are needed: a cube of some of the clients would be judged as if it were that of the test part.
    aggregation = Aggregation(
        carrier,
        dict(enumerate(names, start=1)),
        len(names),
        federated.wait_seconds,
        "audit cube of the clients",
    )
    summed = aggregation.sum(TASK, {}, told)
    assert isinstance(counted, Cube)  # noqa: S101 - numbers are refused with the plan
    layout.require_equal(summed.values, counted)
    return ClientsCube(layout.cube(summed.values), summed.present)


@contextmanager
def _carrier(held: Mapping[str, CountingClient], federated: Federated) -> Iterator[Carrier]:
    clients = list(held.values())
    if federated.mode == "simulation":
        yield Here({place: client_app(client) for place, client in enumerate(clients, start=1)})
        return

    def lay(place: int, folder: Path) -> None:
        client = clients[place - 1]
        client.frame.write_ipc(folder / ROWS)
        (folder / JUDGEMENT).write_text(client.judgement.model_dump_json())

    with processes(len(clients), lay, client_in) as carrier:
        yield carrier


def client_in(folder: Path) -> CountingClient:
    """The client whose rows lie in the folder."""
    judgement = Judgement.model_validate_json((folder / JUDGEMENT).read_text())
    return CountingClient(pl.read_ipc(folder / ROWS), judgement)
