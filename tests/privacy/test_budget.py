"""The budget of rows over trainings: added up by row, refused when spent."""

from pathlib import Path

import numpy as np
import pytest

from tasks.evidence.records import Deidentified
from tasks.plan.differential import DpSgd
from tasks.plan.load import load_plan
from tasks.plan.plan import Plan
from tasks.privacy.accountant import epsilon_of
from tasks.privacy.budget import Line, Origin, Rows, draw, origin_of
from tasks.privacy.records import Drawn, Mechanism

STEPS = Mechanism(noise=2.0, rate=0.1, steps=50)
MEMBER = DpSgd(kind="dp_sgd", epsilon=2.0, delta=1e-5, budget=3.0)


HERE = Origin(sources=("a", "b"), naming="x")


def rows(first: int, last: int) -> Rows:
    return np.arange(first, last, dtype=np.uint64)


def drawn(earlier: list[Rows], own: Rows, wanted: Mechanism | None = STEPS) -> Drawn:
    """What a training on ``own`` may draw after trainings on the earlier sets."""
    lines = [
        Line(key=str(i), rows=str(i), mechanism=STEPS, run=f"run {i}", origin=HERE)
        for i in range(len(earlier))
    ]
    return draw(lines, {str(i): each for i, each in enumerate(earlier)}, own, HERE, wanted, MEMBER)


def test_trainings_on_the_same_rows_add_up_as_one_of_all_their_steps() -> None:
    found = drawn([rows(0, 100)], rows(0, 100))
    together = STEPS.model_copy(update={"steps": 100})
    assert found.total == pytest.approx(epsilon_of([together], 1e-5))
    assert found.epsilon < found.total < 2 * found.epsilon  # less than by adding epsilons
    assert (found.trainings, found.problem) == (2, "")


def test_a_spent_budget_is_refused_with_both_figures() -> None:
    before = 0
    while not (found := drawn([rows(0, 100)] * before, rows(0, 100))).problem:
        before += 1
    assert before > 1
    assert found.total > 3
    spent = epsilon_of([STEPS] * before, 1e-5)
    assert spent <= 3
    assert (
        f"{before} trainings on some of these rows spent epsilon {spent:.3g} at delta 1e-05" in found.problem
    )
    assert "recipe.privacy.budget is 3" in found.problem
    assert found.problems == (found.problem,)


def test_the_row_that_was_learned_from_most_decides() -> None:
    """Two trainings on halves spend on no row twice; a single row of both does."""
    apart = drawn([rows(0, 50), rows(50, 100)], rows(0, 100))
    assert apart.trainings == 2
    shared = drawn([rows(0, 51), rows(50, 100)], rows(0, 100))
    assert shared.trainings == 3
    assert shared.total > apart.total
    assert drawn([rows(0, 50)], rows(50, 100)).total == pytest.approx(epsilon_of([STEPS], 1e-5))


def test_a_training_that_goes_on_draws_nothing_more() -> None:
    found = drawn([rows(0, 100)], rows(0, 100), wanted=None)
    assert found.epsilon == 0
    assert found.total == pytest.approx(epsilon_of([STEPS], 1e-5))


@pytest.mark.parametrize(
    ("origin", "trainings"),
    [
        (HERE, 1),
        (Origin(sources=("c",), naming="x"), 1),  # a later version of the file, say
        (Origin(sources=("b", "c"), naming="y"), 2),
        (Origin(sources=("a",), naming="x", fingerprint="k"), 2),
        (Origin(sources=("c",), naming="x", fingerprint="k"), 2),  # the same file, whose mark is keyed
        (Origin(sources=("c",), naming="y"), 1),  # what is not seen
    ],
)
def test_rows_that_may_go_by_another_name_all_count(origin: Origin, trainings: int) -> None:
    line = Line(key="k", rows="r", mechanism=STEPS, run="run", origin=origin)
    found = draw([line], {"r": rows(100, 200)}, rows(0, 100), HERE, STEPS, MEMBER)
    assert found.trainings == trainings
    together = STEPS.model_copy(update={"steps": 50 * trainings})
    assert found.total == pytest.approx(epsilon_of([together], 1e-5))
    shared = draw([line], {"r": rows(0, 1)}, rows(0, 100), HERE, STEPS, MEMBER)
    assert shared.trainings == 2


def test_beside_a_training_whose_noise_could_be_taken_off_nothing_is_drawn() -> None:
    line = Line(key="k", rows="r", mechanism=STEPS, run="run 7", origin=None)
    found = draw([line], {"r": rows(100, 200)}, rows(0, 100), HERE, STEPS, MEMBER)
    assert found.total < MEMBER.total
    assert "MLflow run run 7 trained with noise that could be taken off again" in found.problem


def test_an_origin_names_the_key_of_de_identification() -> None:
    plan = load_plan("adult-private", Path("data"))
    told = Deidentified(fingerprint="ab", method="m", sources={}, replaced={}, forgotten=None)
    mine, other = (
        origin_of(plan.judgement, told.model_copy(update={"fingerprint": key})) for key in ("ab", "cd")
    )
    assert mine.fingerprint == "ab"
    assert mine.naming == other.naming
    line = Line(key="k", rows="r", mechanism=STEPS, run="run", origin=mine)
    assert line.comparable(mine)
    assert not line.comparable(other)


def changed(plan: Plan, **data: object) -> Origin:
    """The origin of the plan's rows with some settings of its data changed."""
    document = plan.judgement.model_dump(mode="json")
    document["data"] |= data
    return origin_of(type(plan.judgement).model_validate(document), None)


def test_an_origin_is_of_what_turns_the_learned_files_into_rows() -> None:
    plan = load_plan("adult-private", Path("data"))
    origin = origin_of(plan.judgement, None)
    files = plan.judgement.data.model_dump(mode="json")["sources"]
    assert origin.sources == (files[0]["sha256"][:16],)  # nothing is learned of the test part's
    columns = plan.judgement.data.model_dump(mode="json")["columns"]
    fewer = changed(plan, columns={name: each for name, each in columns.items() if name != "fnlwgt"})
    assert fewer.sources == origin.sources
    assert fewer.naming != origin.naming
    newer = changed(plan, sources=[files[0] | {"sha256": "0" * 64}, files[1]])
    assert newer == Origin(sources=("0" * 16,), naming=origin.naming)
    elsewhere = changed(plan, sources=[files[0] | {"origins": ["https://example.org/a"]}, files[1]])
    assert elsewhere == origin
    limits = plan.judgement.model_copy(update={"alpha": 0.01})
    assert origin_of(limits, None) == origin
