"""Weights and sampling units in the cube: their invariants, and the same algebra as the counts."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.fairness import Cube
from tasks.fairness.units import Units

Row = tuple[str, str | None, int, int, float]  # unit, group, true, predicted, weight
rows_of = st.lists(
    st.tuples(
        st.sampled_from(["u1", "u2", "u3", "u10"]),
        st.sampled_from(["a", "b", None]),
        st.integers(0, 1),
        st.integers(0, 1),
        st.sampled_from([0.25, 0.5, 1.0, 2.5]),  # sums of these are exact
    ),
    min_size=1,
    max_size=30,
)
quick = settings(max_examples=60, deadline=None)


def cube_of(rows: list[Row], *, weighted: bool = True, units: bool = True, shard: str = "") -> Cube:
    unit, group, truth, guess, weight = zip(*rows, strict=True)
    return Cube.from_arrays(
        truth,
        guess,
        {"g": list(group), "h": [name[1:] for name in unit]},
        weight=weight if weighted else None,
        unit=[shard + name for name in unit] if units else None,
    )


@quick
@given(rows_of)
def test_weights_are_sums_over_the_rows_of_each_cell(rows: list[Row]) -> None:
    cube = cube_of(rows)
    assert cube.weights is not None
    assert cube.squares is not None
    sums, squares = Counter[tuple[object, ...]](), Counter[tuple[object, ...]]()
    for unit, group, truth, guess, weight in rows:
        place = (group or "unknown", unit[1:], truth, guess)
        sums[place] += weight  # type: ignore[assignment]
        squares[place] += weight**2  # type: ignore[assignment]
    for (g, h, y, k), weight in np.ndenumerate(cube.weights):
        place = (cube.axes["g"][g], cube.axes["h"][h], y, k)
        assert weight == sums[place]
        assert cube.squares[g, h, y, k] == squares[place]


@quick
@given(rows_of, st.booleans())
def test_units_hold_the_rows_of_the_cube_whatever_they_are_called(rows: list[Row], weighted: bool) -> None:  # noqa: FBT001
    cube = cube_of(rows, weighted=weighted)
    names = {unit for unit, *_ in rows}
    if not weighted and len(names) == len(rows):
        assert cube.units is None
        return
    assert cube.units is not None
    assert cube.units.size == len(names)
    assert (np.bincount(cube.units.cell, cube.units.counts, cube.counts.size) == cube.counts.ravel()).all()
    sizes = sorted(np.bincount(cube.units.unit, cube.units.counts).astype(int).tolist())
    assert sizes == sorted(Counter(unit for unit, *_ in rows).values())
    renamed = [(unit.replace("u1", "z"), *rest) for unit, *rest in rows]
    other = Cube.from_arrays(
        [row[2] for row in rows],
        [row[3] for row in rows],
        {"g": [row[1] for row in rows], "h": [row[0][1:] for row in rows]},
        weight=[row[4] for row in rows] if weighted else None,
        unit=[row[0] for row in renamed],
    )
    assert other == cube


@quick
@given(rows_of, rows_of, st.booleans(), st.booleans())
def test_merging_shards_is_counting_together(
    one: list[Row],
    other: list[Row],
    weighted: bool,  # noqa: FBT001
    units: bool,  # noqa: FBT001
) -> None:
    kinds = {"weighted": weighted, "units": units}
    parts = cube_of(one, **kinds), cube_of(other, **kinds)
    unit, group, truth, guess, weight = zip(*one, *other, strict=True)
    shards = ["x" + name for name in unit[: len(one)]] + ["y" + name for name in unit[len(one) :]]
    together = Cube.from_arrays(
        truth,
        guess,
        {"g": list(group), "h": [name[1:] for name in unit]},
        weight=weight if weighted else None,
        unit=shards if units else None,
    )
    assert parts[0].merge(parts[1]).to_json() == together.to_json()
    assert parts[1].merge(parts[0]).to_json() == together.to_json()


@quick
@given(rows_of, st.randoms())
def test_order_of_rows_does_not_matter(rows: list[Row], random: object) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert cube_of(shuffled).to_json() == cube_of(rows).to_json()


@quick
@given(rows_of)
def test_marginals_carry_weights_and_units(rows: list[Row]) -> None:
    unit, group, truth, guess, weight = zip(*rows, strict=True)
    direct = Cube.from_arrays(truth, guess, {"g": list(group)}, weight=weight, unit=unit)
    assert cube_of(rows).marginal(["g"]) == direct
    swapped = cube_of(rows).marginal(["h", "g"])
    assert swapped.marginal(["g", "h"]) == cube_of(rows)
    assert swapped.marginal(["g"]) == direct


@quick
@given(rows_of)
def test_json_reads_back_as_the_same_bytes(rows: list[Row]) -> None:
    content = cube_of(rows).to_json()
    assert Cube.from_json(content).to_json() == content


@quick
@given(rows_of)
def test_weight_1_gives_the_rates_of_the_counts(rows: list[Row]) -> None:
    cube = cube_of([(*row[:4], 1.0) for row in rows])
    plain = cube.rates(["g"])
    assert cube.weighted_rates(["g"]).drop("weight").equals(plain)
    assert cube_of(rows, weighted=False).weighted_rates(["g"]).drop("weight").equals(plain)


def test_weighted_rates_are_shares_of_weight_and_undefined_ones_stay_so() -> None:
    cube = Cube.from_arrays(
        [1, 1, 1, 0], [1, 0, 0, 1], {"g": ["a", "a", "b", "b"]}, weight=[3, 0.1, 0.2, 0.7]
    )
    first, second = cube.weighted_rates(["g"]).iter_rows(named=True)
    assert first["tpr"] == pytest.approx(3 / 3.1)
    assert first["fpr"] is None  # no negatives, though sums of weight differ by a rounding error
    assert second["selection_rate"] == pytest.approx(0.7 / 0.9)
    assert (second["n"], second["weight"]) == (2, pytest.approx(0.9))


def test_a_part_without_weights_weighs_its_rows_1() -> None:
    one = Cube.from_arrays([0, 1], [1, 1], {"g": ["a", "b"]}, weight=[2, 3])
    merged = one.merge(Cube.from_arrays([1, 1], [1, 1], {"g": ["b", "b"]}))
    assert merged.weights is not None
    assert merged.weights.sum() == 7
    assert merged.squares is not None
    assert merged.squares.sum() == 4 + 9 + 2


def test_rows_of_a_part_without_units_are_units() -> None:
    one = Cube.from_arrays([0, 1], [1, 1], {"g": ["a", "b"]}, unit=["u", "u"])
    merged = one.merge(Cube.from_arrays([1, 1], [1, 1], {"g": ["b", "b"]}))
    assert merged.units is not None
    assert merged.units.size == 3
    weighted = Cube.from_arrays([1, 1], [1, 1], {"g": ["b", "b"]}, weight=[1, 2])
    with pytest.raises(ValueError, match="count both with `unit`"):
        one.merge(weighted)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weight": [1, 0, 1]}, "above 0 are expected, 1 of 3"),
        ({"weight": [1, -1, 1]}, "above 0"),
        ({"weight": [1, float("nan"), 1]}, "above 0"),
        ({"weight": [1, float("inf"), 1]}, "finite"),
        ({"weight": [1, 1]}, "one length"),
        ({"weight": ["1", "2", "3"]}, "one number a row"),
        ({"unit": ["a", None, "b"]}, "1 of 3 rows have none"),
        ({"unit": [1.0, float("nan"), 2.0]}, "1 of 3 rows have none"),
        ({"unit": ["a", "b"]}, "one length"),
    ],
)
def test_bad_weights_and_units_are_refused_with_their_reason(change: dict[str, object], words: str) -> None:
    good: dict[str, object] = {"y_true": [1, 0, 1], "y_pred": [1, 1, 0], "groups": {"g": ["a", "b", "a"]}}
    with pytest.raises(ValueError, match=words):
        Cube.from_arrays(**(good | change))  # type: ignore[arg-type]


def test_tables_that_do_not_fit_one_another_are_refused() -> None:
    cube = Cube.from_arrays([0, 1], [1, 1], {"g": ["a", "b"]}, weight=[2, 3], unit=["u", "u"])
    content = cube.to_json()
    changes = (
        (b'"squares":[[[0.0,4.0]', b'"squares":[[[0.0,5.0]'),  # above the sum's square
        (b'"weights":[[[0.0,2.0]', b'"weights":[[[0.5,2.0]'),  # weight without rows
        (b'"weights":[[[0.0,2.0]', b'"weights":[[[0.0,0.0]'),  # rows without weight
        (b'"cell":[1,7]', b'"cell":[1,6]'),
        (b'"cell":[1,7]', b'"cell":[1,8]'),
        (b'"unit":[0,0]', b'"unit":[0]'),
    )
    for old, new in changes:
        assert old in content
        with pytest.raises(ValueError, match="expected"):
            Cube.from_json(content.replace(old, new))
    with pytest.raises(ValueError, match="together"):
        Cube.from_json(
            content.replace(b'"squares":[[[0.0,4.0],[0.0,0.0]],[[0.0,0.0],[0.0,9.0]]]', b'"squares":null')
        )


def test_units_of_one_row_are_the_rows() -> None:
    plain = Cube.from_arrays([0, 1], [1, 1], {"g": ["a", "b"]})
    assert Cube.from_arrays([0, 1], [1, 1], {"g": ["a", "b"]}, unit=["u", "v"]) == plain
    assert Units.single(plain.counts).are_rows
