"""Raking: a published example, what must hold of any weights, and each limit broken once."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tasks.errors import Refusal
from tasks.plan.judgement import Judgement, Raking
from tasks.represent.compare import compare
from tasks.represent.raking import rake, weighted, weights_for
from tasks.represent.table import Table

LOOSE = {"minimum_effective_share": 1e-6, "maximum_weight": 1e9}


def table(counts: object) -> Table:
    cells = np.asarray(counts, float)
    shape = zip(("a", "b", "c"), cells.shape, strict=False)
    return Table({name: tuple(f"{name}{i}" for i in range(size)) for name, size in shape}, cells)


def test_a_worked_example_of_iterative_proportional_fitting() -> None:
    # The 4 x 4 example of Wikipedia's "Iterative proportional fitting", whose last printed table is that
    # of the third cycle, still up to .05 from the limit.
    sample = table([[40, 30, 20, 10], [35, 50, 100, 75], [30, 80, 70, 120], [20, 30, 40, 50]])
    rows, columns = np.array([150, 300, 400, 150]), np.array([200, 300, 400, 100])
    reference = table(np.outer(rows, columns) / 1000)  # only its margins are used
    raked = rake(sample, reference, Raking(margins=["a", "b"], **LOOSE))
    fitted = weighted(sample, raked).counts / sample.total * 1000
    expected = [
        [64.61, 46.28, 35.42, 3.83],
        [49.95, 68.15, 156.49, 25.37],
        [56.70, 144.40, 145.06, 53.76],
        [28.74, 41.18, 63.03, 17.03],
    ]
    assert fitted == pytest.approx(np.array(expected), abs=0.06)
    assert fitted.sum(axis=1) == pytest.approx(rows, rel=1e-7)
    assert fitted.sum(axis=0) == pytest.approx(columns, rel=1e-7)


def test_a_two_by_two_table_by_hand() -> None:
    # Margins of one half each keep the odds ratio 40 x 30 / (10 x 20) = 6, so the diagonal's share is
    # sqrt(6) / (2 (1 + sqrt(6))).
    sample, reference = table([[40, 10], [20, 30]]), table([[1, 1], [1, 1]])
    raked = rake(sample, reference, Raking(margins=["a", "b"], **LOOSE))
    diagonal = np.sqrt(6) / (2 * (1 + np.sqrt(6)))
    shares, rest = weighted(sample, raked).counts / 100, 0.5 - diagonal
    assert shares == pytest.approx(np.array([[diagonal, rest], [rest, diagonal]]), abs=1e-9)
    assert raked.cells["a0 x b0"] == pytest.approx(diagonal * 100 / 40)
    assert raked.maximum_weight == max(raked.cells.values())
    squares = sum(n * raked.cells[name] ** 2 for name, n in zip(raked.cells, (40, 10, 20, 30), strict=True))
    assert raked.effective_size == pytest.approx(100**2 / squares)


counts = arrays(np.int64, (2, 3, 2), elements=st.integers(1, 500))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(sample=counts, reference=counts, factor=st.integers(2, 1000))
def test_margins_are_met_and_scale_does_not_matter(
    sample: np.ndarray, reference: np.ndarray, factor: int
) -> None:
    plan = Raking(margins=["a x b", "c"], **LOOSE)
    raked = rake(table(sample), table(reference), plan)
    after, target = weighted(table(sample), raked), table(reference)
    for names in (("a", "b"), ("c",), ("a",)):
        shares = after.margin(names) / after.total
        assert shares == pytest.approx(target.margin(names) / target.total, rel=1e-7)
    assert after.total == pytest.approx(sample.sum())  # mean weight 1
    assert 0 < raked.effective_share <= 1 + 1e-12
    assert raked.worst_margin_error <= 1e-7
    larger_population = rake(table(sample), table(reference * factor), plan)
    larger_sample = rake(table(sample * factor), table(reference), plan)
    for other in (larger_population, larger_sample):
        assert other.cells == pytest.approx(raked.cells, rel=1e-6)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(sample=counts, reference=counts)
def test_weights_are_products_of_one_factor_per_margin(sample: np.ndarray, reference: np.ndarray) -> None:
    # What makes raking raking (Deming and Stephan 1940): among all tables with these margins it is the
    # one whose weights factorise, w[a, b, c] = f[a, b] g[c]. Margins alone would allow many others.
    raked = rake(table(sample), table(reference), Raking(margins=["a x b", "c"], **LOOSE))
    logs = np.log(np.reshape(list(raked.cells.values()), sample.shape))
    steps = logs[..., 1] - logs[..., 0]
    assert steps == pytest.approx(np.full(steps.shape, steps[0, 0]), abs=1e-6)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(sample=counts)
def test_a_sample_that_fits_is_left_alone(sample: np.ndarray) -> None:
    raked = rake(table(sample), table(sample), Raking(margins=["a", "b", "c"]))
    assert list(raked.cells.values()) == pytest.approx([1.0] * sample.size)
    assert raked.effective_share == pytest.approx(1.0)
    assert raked.problems == ()


def test_an_attribute_that_is_not_raked_keeps_its_place() -> None:
    sample = table(np.arange(1, 13).reshape(2, 3, 2))
    raked = rake(sample, table(np.ones((2, 3, 2))), Raking(margins=["c x a"], **LOOSE))
    after = weighted(sample, raked)
    assert after.counts.shape == (2, 3, 2)
    assert after.margin(("a", "c")) / after.total == pytest.approx(np.full((2, 2), 0.25))
    assert after.counts[0, 0, 1] == pytest.approx(sample.counts[0, 0, 1] * raked.cells["c1 x a0"])


def test_a_level_without_rows_is_named_and_gives_no_weights() -> None:
    raked = rake(table([[5, 0], [5, 0]]), table([[1, 1], [1, 1]]), Raking(margins=["a", "b"]))
    assert raked.cells == {}
    assert raked.worst_margin_error == 1
    assert len(raked.problems) == 1
    assert "'b1'" in raked.problems[0]
    assert "50.000%" in raked.problems[0]


def test_a_level_that_the_population_lacks_is_named() -> None:
    raked = rake(table([[5, 1], [5, 1]]), table([[1, 0], [1, 0]]), Raking(margins=["a", "b"]))
    assert raked.cells == {}
    assert any("'b1'" in problem and "2 rows" in problem for problem in raked.problems)


def test_margins_that_contradict_empty_cells_are_a_problem() -> None:
    # With an empty diagonal, both margins can be met only if they are equal.
    raked = rake(table([[0, 5], [5, 0]]), table([[4, 0], [3, 3]]), Raking(margins=["a", "b"]))
    assert any("margin_tolerance 0.01" in problem for problem in raked.problems)


@pytest.mark.parametrize(
    ("limits", "sides"),
    [
        ({"minimum_effective_share": 0.9}, ("0.360 of the rows", "minimum_effective_share 0.9")),
        ({"maximum_weight": 4}, ("largest weight 5.000 (a1)", "maximum_weight 4")),
    ],
)
def test_each_limit_refuses_with_both_sides(limits: dict[str, float], sides: tuple[str, str]) -> None:
    # Shares .9 and .1 against one half each: weights 5/9 and 5, effective share 1 / (.25/.9 + .25/.1).
    plan = Raking(margins=["a"], **{"minimum_effective_share": 0.1, "maximum_weight": 10, **limits})
    raked = rake(table([900, 100]), table([1, 1]), plan)
    assert len(raked.problems) == 1
    assert all(side in raked.problems[0] for side in sides)


def test_row_weights_are_those_of_their_cells(
    town: Callable[..., Judgement], rows: Callable[..., pl.DataFrame], tmp_path: Path
) -> None:
    frame = rows({("F", "north"): 30, ("M", "south"): 40, ("F", "south"): 10, ("M", "north"): 20})
    raked = compare(frame, town(), tmp_path).raked
    assert raked is not None
    weights = weights_for(frame, raked)
    assert weights.shape == (100,)
    assert weights.mean() == pytest.approx(1)
    women = (frame["sex"] == "F").to_numpy()
    assert weights[women].sum() / weights.sum() == pytest.approx(0.6)
    shuffled = frame.reverse()
    assert weights_for(shuffled, raked).tolist() == weights[::-1].tolist()


def test_weights_are_not_given_for_a_cell_never_raked(
    town: Callable[..., Judgement], rows: Callable[..., pl.DataFrame], tmp_path: Path
) -> None:
    raked = compare(rows({("F", "north"): 3, ("M", "south"): 2}), town(), tmp_path).raked
    assert raked is not None
    with pytest.raises(Refusal, match="1 of 2 rows"):
        weights_for(rows({("F", "north"): 1, ("M", "north"): 1}), raked.model_copy(update={"problems": ()}))


def test_weights_that_broke_a_limit_are_not_given(rows: Callable[..., pl.DataFrame]) -> None:
    raked = rake(table([900, 100]), table([1, 1]), Raking(margins=["a"], maximum_weight=2))
    with pytest.raises(Refusal, match="maximum_weight 2"):
        weights_for(pl.DataFrame({"a": ["a0"]}), raked)


def test_the_full_crossing_is_post_stratification() -> None:
    # Holt and Smith 1979: weight of a cell = (N_c / N) / (n_c / n), and coarser margins then add nothing.
    sample, reference = table([[40, 10], [20, 30]]), table([[100, 300], [200, 400]])
    joint = rake(sample, reference, Raking(margins=["a x b"], **LOOSE))
    expected = (reference.counts / 1000) / (sample.counts / 100)
    assert list(joint.cells.values()) == pytest.approx(expected.ravel())
    assert joint.iterations == 1
    with_margins = rake(sample, reference, Raking(margins=["a", "b", "a x b"], **LOOSE))
    assert with_margins.cells == pytest.approx(joint.cells)


def test_a_structural_zero_stays_empty() -> None:
    # Nobody is a1 x b1, here or in the population: no problem, no weight.
    sample, reference = table([[40, 10], [20, 0]]), table([[100, 300], [200, 0]])
    for margins in (["a x b"], ["a", "b"]):
        raked = rake(sample, reference, Raking(margins=margins, **LOOSE))
        assert raked.problems == ()
        assert set(raked.cells) == {"a0 x b0", "a0 x b1", "a1 x b0"}
        after = weighted(sample, raked)
        assert after.margin(("a",)) / after.total == pytest.approx(np.array([4, 2]) / 6)


def test_margins_that_are_met_in_the_limit_alone_do_not_converge() -> None:
    # The empty cell forces a0 x b0 towards nothing: the error falls as 1 / passes and is soon within the
    # tolerance, while the weights go on changing.
    sample, reference = table([[50, 50], [50, 0]]), table([[0.0, 5], [5, 0]])
    raked = rake(sample, reference, Raking(margins=["a", "b"], **LOOSE))
    assert raked.worst_margin_error < 0.01
    assert any("no convergence in 1000 passes" in problem for problem in raked.problems)
