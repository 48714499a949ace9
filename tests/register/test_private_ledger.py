"""The ledger of private rows in a real MLflow: over runs and plans, deleted ones too; missed when altered."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlparse

import pytest

from tasks.errors import RegistryError
from tasks.plan.differential import DpSgd
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
