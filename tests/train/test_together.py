"""Several processes, or clients that keep their rows, predict and count what one does."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest

from tasks.errors import EvidenceError, Refusal
from tasks.evaluate import clients
from tasks.evaluate.clients import ClientsCube, CountingClient, cube_of_clients, sum_cubes
from tasks.evaluate.layout import Layout
from tasks.evaluate.opening import open_sets
from tasks.evaluate.together import Crew, count_together, crew, divide, predict_together
from tasks.fairness.counts import Counts
from tasks.fairness.cube import Cube
from tasks.ingest.described import describe
from tasks.model import network
from tasks.model.predictor import Predictor, rule_in
from tasks.plan.federated import Federated
from tasks.plan.judgement import TEST, Judgement
from tasks.privacy.carriers import Here
from tasks.privacy.federated import Aggregation, Arrays, Client, Told, client_app
from tasks.privacy.secure import STEP, Numbers
from tests.train.conftest import Sample
from tests.train.test_train import recipe, run

ALONE = Crew(1, map)


@pytest.fixture(scope="module")
def model(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("counted")
    run(sample, folder, plan=recipe(sample.plan, "training", epochs=1))
    return folder / "model"


@pytest.fixture(scope="module")
def rows(sample: Sample, model: Path) -> pl.DataFrame:
    """Those that the model can take."""
    known = ~Predictor.load(model).features.unknown_rows(sample.frame)
    return sample.frame.filter(pl.Series(known)).with_row_index("row_id")


@pytest.fixture(scope="module")
def three() -> Iterator[Crew]:
    with crew(3) as by:
        yield by


def by_unit(own: Judgement, column: str) -> Judgement:
    return own.model_copy(update={"unit": column})


def cube(
    by: Crew, model: Path, rows: pl.DataFrame, own: Judgement, edges: Sequence[float] = (0.5,)
) -> Counts:
    told = predict_together(ALONE, model, rows, own, TEST)
    return count_together(by, told, describe(rows, own), own, edges)


def test_three_processes_say_what_one_does(
    sample: Sample, model: Path, rows: pl.DataFrame, three: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "ROWS_AT_ONCE", 100)  # here; so there is something to divide
    own = sample.plan.judgement
    one = predict_together(ALONE, model, rows, own, TEST)
    assert predict_together(three, model, rows, own, TEST).equals(one)


def test_parts_hold_whole_batches_in_order(rows: pl.DataFrame) -> None:
    parts = divide(rows, 100, 3)
    assert len(parts) == 3
    assert {len(part) % 100 for part in parts[:-1]} == {0}
    assert pl.concat(parts).equals(rows)
    assert [len(part) for part in divide(rows.head(150), 100, 3)] == [100, 50]
    assert [len(part) for part in divide(rows.head(0), 100, 3)] == [0]


def test_the_cubes_of_three_processes_add_up_to_that_of_one(
    sample: Sample, model: Path, rows: pl.DataFrame, three: Crew
) -> None:
    own = sample.plan.judgement
    one = cube(ALONE, model, rows, own)
    assert one.rows == len(rows)
    assert cube(three, model, rows, own).to_json() == one.to_json()
    assert cube(three, model, rows.head(-1), own).to_json() != one.to_json()


def test_rows_in_units_are_counted_alike(
    sample: Sample, model: Path, rows: pl.DataFrame, three: Crew
) -> None:
    own = by_unit(sample.plan.judgement, "native-country")
    named = rows.drop_nulls("native-country")
    assert cube(three, model, named, own).to_json() == cube(ALONE, model, named, own).to_json()
    with pytest.raises(EvidenceError, match=r"unit: .* rows have none"):
        cube(three, model, rows, own)


def test_what_one_part_is_refused_for_is_refused(
    sample: Sample, model: Path, rows: pl.DataFrame, three: Crew
) -> None:
    strange = pl.when(pl.col("row_id") == len(rows) - 1).then(pl.lit("Elsewhere")).otherwise("workclass")
    with pytest.raises(Refusal, match="workclass"):
        predict_together(three, model, rows.with_columns(workclass=strange), sample.plan.judgement, TEST)


BY_RACE = Federated(clients="race", rounds=1)


def held_by(rows: pl.DataFrame, own: Judgement) -> dict[str, CountingClient]:
    """Each client's rows, by its name, in order."""
    races = rows["race"].unique().sort()
    return {race: CountingClient(rows.filter(race=race), own) for race in races}


def summed(held: Mapping[str, Client], model: Path, rows: pl.DataFrame, own: Judgement) -> ClientsCube:
    carrier = Here({place: client_app(client) for place, client in enumerate(held.values(), start=1)})
    return sum_cubes(carrier, tuple(held), BY_RACE, own, model, cube(ALONE, model, rows, own, fixed(model)))


def fixed(model: Path) -> Sequence[float]:
    return rule_in(model).score_edges


class Strange(NamedTuple):
    """A client that does something else with its counts."""

    client: Client
    does: Callable[[Numbers], Numbers]

    def compute(self, task: str, arrays: Arrays, told: Told) -> Numbers:
        return self.does(self.client.compute(task, arrays, told))


def test_the_cube_on_file_is_the_sum_of_the_clients(
    sample: Sample, model: Path, rows: pl.DataFrame, tmp_path: Path
) -> None:
    own = sample.plan.judgement
    told = {TEST: predict_together(ALONE, model, rows, own, TEST)}
    shutil.copytree(model, tmp_path / "model")
    opened = open_sets({TEST: rows}, told, own, Predictor.load(model), tmp_path, ALONE, BY_RACE)
    filed = (tmp_path / opened.cube.path).read_bytes()
    assert filed == cube(ALONE, model, rows, own, fixed(model)).to_json()
    # No client has a level of the others', and none has "unknown", for which the layout has cells.
    assert opened.clients == tuple(rows["race"].unique().sort())
    assert len(opened.clients) == 5
    central = open_sets({TEST: rows}, told, own, Predictor.load(model), tmp_path, ALONE)
    assert "clients" not in central.model_dump()


def test_the_server_gets_masked_counts_alone(
    sample: Sample, model: Path, rows: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, sums, kept = sample.plan.judgement, list[Aggregation](), dict[str, Numbers]()

    def aggregation(*given: Any) -> Aggregation:
        sums.append(Aggregation(*given))
        return sums[-1]

    def keeping(name: str, counts: Numbers) -> Numbers:
        kept[name] = counts
        return counts

    monkeypatch.setattr(clients, "Aggregation", aggregation)
    held = held_by(rows, own)
    found = summed(
        {name: Strange(each, partial(keeping, name)) for name, each in held.items()}, model, rows, own
    )
    (one,) = sums
    assert one.needed == len(one.received) == len(kept) == 5
    for received, counts in zip(one.received.values(), kept.values(), strict=True):
        assert not (received.view(np.int64) * STEP == counts).any()  # not where the count is 0 either
    assert found.cube.rows == len(rows)


def vanish(_: Numbers) -> Numbers:
    raise ConnectionError("reset by peer")


def miscount(counts: Numbers) -> Numbers:
    return counts + (np.arange(len(counts)) == 0)


@pytest.mark.parametrize(
    ("does", "error", "why"),
    [
        (vanish, Refusal, r"audit cube.*5 of 5 clients are expected, 4 answered. Black: it vanished"),
        (
            miscount,
            EvidenceError,
            r"in 1 of \d+ cells; first sex 'Female', race 'Amer-Indian-Eskimo', .*: 2 by the clients, 1 by",
        ),
        (lambda counts: counts[:-1], Refusal, "as many numbers of each client are expected"),
    ],
)
def test_a_client_that_does_not_count_its_rows_ends_the_run(
    does: Callable[[Numbers], Numbers],
    error: type[Exception],
    why: str,
    sample: Sample,
    model: Path,
    rows: pl.DataFrame,
) -> None:
    held = held_by(rows, sample.plan.judgement)
    with pytest.raises(error, match=why):
        summed({**held, "Black": Strange(held["Black"], does)}, model, rows, sample.plan.judgement)


def test_what_clients_can_not_add_is_refused(sample: Sample, model: Path, rows: pl.DataFrame) -> None:
    own = sample.plan.judgement
    two = rows.filter(pl.col("race").is_in(["Black", "White"]))
    with pytest.raises(Refusal, match=r"at least 3 clients with rows are expected.*Black, White"):
        cube_of_clients(two, own, BY_RACE, model, cube(ALONE, model, two, own))
    told = predict_together(ALONE, model, rows, own, TEST)
    elsewhere = describe(rows, own).with_columns(race=pl.lit("Martian"))
    counted = count_together(ALONE, told, elsewhere, own, fixed(model))
    assert isinstance(counted, Cube)
    with pytest.raises(Refusal, match=r"found also .*'race': \['Martian'\]"):
        Layout.of(own, fixed(model)).numbers(counted)
    without = own.model_copy(update={"protected": {"sex": own.protected["sex"]}})
    held: dict[str, Client] = {
        **held_by(rows, own),
        "White": CountingClient(rows.filter(race="White"), without),
    }
    with pytest.raises(Refusal, match="White: audit cube: the layout of the plan is expected"):
        summed(held, model, rows, own)
