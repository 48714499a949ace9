"""The ledger of private rows in a real MLflow: over runs and plans, deleted ones too; missed when altered."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlparse

import pytest

from tasks.errors import RegistryError
from tasks.plan.differential import DpSgd
from tasks.privacy.budget import Origin
from tasks.privacy.records import Drawn, Mechanism
from tasks.register.client import Connection
from tasks.register.private_ledger import FILE, TAG, Training, draw_private
from tasks.register.register import Filing

MEMBER = DpSgd(kind="dp_sgd", epsilon=1.5, delta=1e-5, budget=2.0)
TRAINING = Training(
    rows=[f"{i:016x}" for i in range(300)],
    mechanism=Mechanism(noise=2.0, rate=0.1, steps=20),
    key="k",
    goes_on=False,
    origin=Origin(sources=("a",), naming="x"),
)
Draws = Callable[..., tuple[Drawn, str]]


@pytest.fixture
def draws(connection: Connection, tmp_path: Path) -> Draws:
    """Draws in a run of its own."""

    def draw(experiment: str = "adult", **changed: object) -> tuple[Drawn, str]:
        run = str(connection.client.create_run(connection.experiment(experiment)).info.run_id)
        filing = Filing(connection, run, tmp_path, {})
        return draw_private(replace(TRAINING, **changed), MEMBER, filing), run  # type: ignore[arg-type]

    return draw


def test_trainings_of_every_plan_count_and_the_one_beyond_the_budget_writes_nothing(
    draws: Draws, connection: Connection
) -> None:
    first, run = draws()
    second, _ = draws("another-plan")
    assert (first.trainings, second.trainings) == (1, 2)
    assert first.total < second.total <= 2
    connection.client.delete_run(run)  # what was learned stays learned
    totals = [first.total, second.total]
    for _ in range(10):
        found, last = draws()
        if found.problem:
            break
        totals.append(found.total)
    assert "privacy budget spent" in found.problem
    assert totals == sorted(totals)
    assert TAG not in connection.client.get_run(last).data.tags
    other, _ = draws(rows=[f"{i:016x}" for i in range(1000, 1300)])
    assert other.problem == ""


def test_a_training_that_goes_on_after_a_crash_draws_once(draws: Draws) -> None:
    first, _ = draws()
    again, _ = draws(goes_on=True)
    assert again.total == pytest.approx(first.total)
    fresh, _ = draws(goes_on=True, key="another recipe")
    assert fresh.trainings == 2


def test_the_same_file_under_other_columns_draws_on_the_same_budget(draws: Draws) -> None:
    """Without a column a row has another digest: by digests alone each would be a row never learned from."""
    renamed = {"rows": [f"{i:016x}" for i in range(1000, 1300)], "key": "without a column"}
    first, _ = draws()
    other, _ = draws("another-plan", **renamed, origin=Origin(sources=("a",), naming="y"))
    assert (first.trainings, other.trainings) == (1, 2)
    assert first.total < other.total <= 2
    while not (found := draws(**renamed, origin=Origin(sources=("a",), naming="y"))[0]).problem:
        assert found.total <= 2
    assert (
        "(1 of them under other columns or another key, which counts for every row) spent epsilon"
        in found.problem
    )
    another, _ = draws(**renamed, origin=Origin(sources=("b",), naming="z"))
    assert another.trainings == 2  # of two lines, the one whose rows have these names
    fresh, _ = draws(rows=["f" * 16], key="fresh", origin=Origin(sources=("b",), naming="z"))
    assert fresh.problem == ""


def test_a_line_of_before_origins_leaves_no_row_a_budget(draws: Draws, connection: Connection) -> None:
    _, run = draws()
    line = json.loads(connection.client.get_run(run).data.tags[TAG])
    del line["origin"]
    connection.client.set_tag(run, TAG, json.dumps(line))
    found, _ = draws(rows=["f" * 16], key="fresh", origin=Origin(sources=("b",), naming="z"))
    assert f"MLflow run {run} trained with noise that could be taken off" in found.problem


def test_a_line_longer_than_mlflow_keeps_is_refused_before_training(
    draws: Draws, connection: Connection
) -> None:
    many = tuple(f"{i:016x}" for i in range(400))
    found, run = draws(origin=Origin(sources=many, naming="x" * 64))
    assert "names 400 source files" in found.problem
    assert TAG not in connection.client.get_run(run).data.tags
    assert draws(origin=Origin(sources=many[:300], naming="x" * 64))[0].problem == ""
    assert draws()[0].trainings == 2  # what was written can be read


def test_a_line_that_was_cut_stops_every_draw(draws: Draws, connection: Connection) -> None:
    _, run = draws()
    connection.client.set_tag(run, TAG, connection.client.get_run(run).data.tags[TAG][:90])
    with pytest.raises(RegistryError, match=f"run {run} is no line of the ledger.*restore it"):
        draws()


@pytest.mark.parametrize("harm", ["gone", "changed"])
def test_without_a_line_s_rows_nothing_is_drawn(draws: Draws, connection: Connection, harm: str) -> None:
    _, run = draws()
    path = Path(urlparse(connection.client.get_run(run).info.artifact_uri).path) / FILE
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(RegistryError, match=f"{FILE} .*run {run}.*what its rows have spent is unknown"):
        draws()
