"""The cube against naive counting, and its algebra."""

from collections import Counter

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.fairness import Cube, intake
from tasks.fairness.columns import Codes
from tasks.fairness.scores import binned, uniform_edges

SEXES, RACES, CLASSES = ("Female", "Male", None), ("A", "B", "C10", "C9"), ("no", "yes")
EDGES = (0.25, 0.5, 0.9)
Row = tuple[str | None, str, str, str, float]
rows_of = st.lists(
    st.tuples(
        st.sampled_from(SEXES),
        st.sampled_from(RACES),
        st.sampled_from(CLASSES),
        st.sampled_from(CLASSES),
        st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.6, 0.9, 1.0]),
    ),
    min_size=1,
    max_size=40,
)
quick = settings(max_examples=40, deadline=None)


def cube_of(rows: list[Row]) -> Cube:
    sex, race, truth, guess, score = zip(*rows, strict=True)
    return Cube.from_arrays(
        list(truth),
        list(guess),
        {"sex": list(sex), "race": list(race)},
        score=np.array(score),
        score_edges=EDGES,
        labels=CLASSES,
        positive="yes",
    )


@quick
@given(rows_of)
def test_counts_are_those_of_counting_one_by_one(rows: list[Row]) -> None:
    cube = cube_of(rows)
    naive = Counter((s or "unknown", r, y, k) for s, r, y, k, _ in rows)
    for (i, j, y, k), count in np.ndenumerate(cube.counts):
        names = (cube.axes["sex"][i], cube.axes["race"][j], cube.labels[y], cube.labels[k])
        assert count == naive[names]
    assert cube.counts.sum() == len(rows)


@quick
@given(rows_of)
def test_score_bins_are_those_of_counting_one_by_one(rows: list[Row]) -> None:
    cube = cube_of(rows)
    naive = Counter((r, y, sum(score >= edge for edge in EDGES)) for _, r, y, _, score in rows)
    assert cube.score_bins is not None
    for (level, y, b), count in np.ndenumerate(cube.score_bins.tables["race"]):
        assert count == naive[(cube.axes["race"][level], cube.labels[y], b)]


@quick
@given(rows_of, rows_of)
def test_merging_is_counting_both_parts_together(one: list[Row], other: list[Row]) -> None:
    assert cube_of(one).merge(cube_of(other)).to_json() == cube_of([*one, *other]).to_json()


@quick
@given(rows_of, st.randoms())
def test_order_of_rows_does_not_matter(rows: list[Row], random: object) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert cube_of(shuffled).to_json() == cube_of(rows).to_json()


@quick
@given(rows_of)
def test_marginals_are_sums(rows: list[Row]) -> None:
    cube = cube_of(rows)
    assert (cube.marginal(["race"]).counts == cube.counts.sum(axis=0)).all()
    assert (cube.marginal(["race", "sex"]).counts == cube.counts.swapaxes(0, 1)).all()
    assert (cube.marginal([]).counts == cube.counts.sum(axis=(0, 1))).all()


@quick
@given(rows_of)
def test_json_reads_back_as_the_same_bytes(rows: list[Row]) -> None:
    content = cube_of(rows).to_json()
    again = Cube.from_json(content)
    assert again.to_json() == content
    assert again == cube_of(rows)


def test_levels_are_in_natural_order_with_unknown_last() -> None:
    rows = [(s, r, "no", "yes", 0.5) for s in (None, "Male", "Female") for r in ("C10", "A", "C9")]
    assert cube_of(rows).axes == {"sex": ("Female", "Male", "unknown"), "race": ("A", "C9", "C10")}


@pytest.mark.parametrize(
    "spell",
    [
        lambda a: a,
        lambda a: a.astype(np.uint8),
        lambda a: a.astype(float),
        lambda a: a.tolist(),
        pl.Series,
        lambda a: pl.Series(a).cast(pl.String).cast(pl.Categorical),
        lambda a: pl.Series(a).cast(pl.String).cast(pl.Enum(["0", "1"])),
        lambda a: Codes(a, ("0", "1")),
        lambda a: Codes(a.astype(np.int8) - 1, ("0", "1"), first=-1),
        lambda a: np.array([str(v) for v in a], dtype=object),
    ],
)
def test_every_spelling_of_a_column_counts_alike(spell: object) -> None:
    rng = np.random.default_rng(0)
    truth, guess, group = (rng.integers(0, 2, 300) for _ in range(3))
    plain = Cube.from_arrays(truth, guess, {"g": group})
    assert callable(spell)
    assert Cube.from_arrays(spell(truth), spell(guess), {"g": spell(group)}) == plain
    assert plain.positive == "1"


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        (["a", None, "b"], ("a", "b", "unknown")),
        (["a", "", "b"], ("a", "b", "unknown")),
        ([2, None, 10], ("2", "10", "unknown")),
        ([0.5, None, 2.0], ("0.5", "2", "unknown")),
        ([True, None, False], ("False", "True", "unknown")),
        (pl.Series(["a", None, "b"], dtype=pl.Categorical), ("a", "b", "unknown")),
        (pl.Series(["a", "", "b"], dtype=pl.Categorical), ("a", "b", "unknown")),
        (pl.Series(["a", None, "b"], dtype=pl.Enum(["b", "a", "c"])), ("a", "b", "c", "unknown")),
        (pl.Series(["a", None, "b"]), ("a", "b", "unknown")),
        (pd.Series(["a", None, "b"]), ("a", "b", "unknown")),
        (pd.Series(["a", float("nan"), "b"], dtype="string"), ("a", "b", "unknown")),
        (pd.Series(["a", pd.NA, "b"]), ("a", "b", "unknown")),
        (pd.Series(["a", None, "b"], dtype="category"), ("a", "b", "unknown")),
        (pd.Categorical(["a", None, "b"]), ("a", "b", "unknown")),
        (pd.Series([1, None, 2], dtype="Int64"), ("1", "2", "unknown")),
        (pd.Series([True, None, False], dtype="boolean"), ("False", "True", "unknown")),
        (pl.Series(pa.array(["a", None, "b"]).dictionary_encode()), ("a", "b", "unknown")),
        (np.array(["a", None, "b"], dtype=object), ("a", "b", "unknown")),
        ([None, None, None], ("unknown",)),
    ],
)
def test_groups_of_every_type_are_named_and_missing_ones_are_a_level(
    values: object, levels: tuple[str, ...]
) -> None:
    assert Cube.from_arrays([0, 1, 1], [1, 1, 0], {"g": values}).axes == {"g": levels}


def test_classes_may_be_given_as_the_numbers_they_are() -> None:
    plain = Cube.from_arrays([0, 1], [1, 1], {"g": ["a", "b"]})
    given_ = Cube.from_arrays([0.0, 1.0], [1.0, 1.0], {"g": ["a", "b"]}, labels=[0.0, 1.0], positive=1.0)
    assert given_ == plain


def test_categories_far_apart_in_the_common_pool_count_right() -> None:
    pool = pl.Series([f"other {i}" for i in range(3_000)]).cast(pl.Categorical)
    names = ["zeta", "alpha", "zeta", "alpha"]
    far = pl.concat([pool, pl.Series(["alpha", "zeta"], dtype=pl.Categorical)])[-2:]
    cube = Cube.from_arrays([0, 1, 0, 1], [1, 1, 0, 0], {"g": pl.Series(names, dtype=pl.Categorical)})
    assert far.len() == 2
    assert cube == Cube.from_arrays([0, 1, 0, 1], [1, 1, 0, 0], {"g": names})


def test_missing_integers_over_a_wide_range_of_one_byte_count_right() -> None:
    values = pl.Series([-128, None, 127, 0], dtype=pl.Int8)
    cube = Cube.from_arrays([0, 1, 0, 1], [1, 1, 0, 0], {"g": values})
    assert cube.rates(["g"])["n"].to_list() == [1, 1, 1, 1]
    assert set(cube.axes["g"]) == {"-128", "0", "127", "unknown"}


def test_without_edges_scores_fall_into_200_bins_of_equal_width() -> None:
    edges = np.array(uniform_edges())
    score = np.concatenate([[0, 1], edges, np.nextafter(edges, 0), np.nextafter(edges, 1)])
    for kind in (np.float64, np.float32):
        found = binned(score.astype(kind), None)
        assert (found.codes == np.searchsorted(edges, score.astype(kind), side="right")).all()
        assert len(found.levels) == 200
    group = np.arange(len(score)) % 2
    cube = Cube.from_arrays(group, group, {"g": group}, score=score)
    assert cube == Cube.from_arrays(group, group, {"g": group}, score=score, score_edges=uniform_edges())


def test_many_cells_count_scores_by_attribute_as_few_do(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [("Male", "A", "no", "yes", 0.3), (None, "C9", "yes", "yes", 0.9)]
    joint = cube_of(rows)
    monkeypatch.setattr(intake, "JOINT_CELLS", 1)
    assert cube_of(rows) == joint


def test_pieces_wide_integers_and_many_cells_count_right() -> None:
    rng = np.random.default_rng(1)
    n = 300_000
    group, other = rng.integers(-40, 40, n), rng.choice([5, 10**12], n)
    truth, guess = rng.random(n) < 0.3, rng.random(n) < 0.3
    cube = Cube.from_arrays(truth, guess, {"g": group, "h": other})
    assert cube.rows == n
    assert cube.axes["h"] == ("5", "1000000000000")
    seven = cube.axes["g"].index("-7")
    assert cube.counts[seven, 1, 1, 0] == ((group == -7) & (other == 10**12) & truth & ~guess).sum()


def test_declared_levels_stay_without_rows() -> None:
    cube = Cube.from_arrays([1, 0], [1, 1], {"g": Codes(np.array([0, 0]), ("seen", "unseen"))})
    assert cube.axes["g"] == ("seen", "unseen")
    unseen = cube.rates(["g"]).row(1, named=True)
    assert unseen["n"] == 0
    assert unseen["selection_rate"] is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"y_pred": [1]}, "one length"),
        ({"y_true": [1, None, 0]}, "missing"),
        ({"y_true": [1.0, float("nan"), 0.0]}, "missing"),
        ({"labels": [0, 2]}, "found also"),
        ({"labels": [0, 1, "1"]}, "each class once"),
        ({"labels": ["0", "1"], "positive": "yes"}, "none of the classes"),
        ({"y_true": ["a", "b", "a"], "y_pred": ["a", "b", "a"]}, "`positive` must name"),
        ({"y_true": [True, False, True]}, "spelled alike"),
        ({"score": [0.1, 0.2, 1.2], "score_edges": [0.5]}, r"\[0, 1\]"),
        ({"score": [0.1, 0.2, float("nan")], "score_edges": [0.5]}, r"\[0, 1\]"),
        ({"score": [0.1, 0.2, 0.3], "score_edges": [0.5, 0.5]}, "rise"),
        ({"score": ["a", "b", "c"]}, "one number a row"),
        ({"groups": {"tpr": [1, 2, 3]}}, "can't be called"),
        ({"groups": {"weight": [1, 2, 3]}}, "can't be called"),
        ({"groups": {"sex x race": [1, 2, 3]}}, "stands between two"),
        ({"groups": {"g": [1.0, float("nan"), 2.0]}}, "1 of 3 values are missing.*mark missing"),
        (
            {"groups": {"g": ["a", float("nan"), "b"]}},
            "1 of 3 .*mark missing values as null",
        ),
        ({"groups": {"g": np.array(["a", float("nan"), "b"], object)}}, "mark missing values as null"),
        ({"groups": {"g": pd.Series(["a", float("nan"), "b"], dtype=object)}}, "mark missing values as null"),
        ({"groups": {"g": ["unknown", None, "b"]}}, "a level is called 'unknown', as its 1 missing values"),
        ({"groups": {"g": ["1", 1, 2]}}, "two types are spelt alike: 1"),
        ({"groups": {"g": [["a"], ["b"], ["a"]]}}, "one value a row"),
        ({"y_true": ["1", "", "0"]}, "missing"),
        ({"y_true": [], "y_pred": [], "groups": {"g": []}}, "found none"),
        ({"groups": {"g": Codes(np.array([0, 1, 2]), ("a", "b"))}}, "found 0 to 2"),
    ],
)
def test_bad_input_is_refused_with_its_reason(change: dict[str, object], words: str) -> None:
    good: dict[str, object] = {"y_true": [1, 0, 1], "y_pred": [1, 1, 0], "groups": {"g": ["a", "b", "a"]}}
    Cube.from_arrays(**good)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=words):
        Cube.from_arrays(**(good | change))  # type: ignore[arg-type]


def test_ten_thousand_levels_are_no_groups() -> None:
    names = [f"person {i}" for i in range(10_000)]
    with pytest.raises(ValueError, match="at most 1000 levels are expected, found 10000"):
        Cube.from_arrays([0, 1] * 5_000, [0, 1] * 5_000, {"g": names})


def test_other_audits_are_not_merged() -> None:
    one = Cube.from_arrays([0, 1], [1, 1], {"g": ["a", "b"]})
    for other in (
        Cube.from_arrays([0, 1], [1, 1], {"h": ["a", "b"]}),
        Cube.from_arrays([0, 1], [1, 1], {"g": ["a", "b"]}, positive=0),
        Cube.from_arrays([0, 1], [1, 1], {"g": ["a", "b"]}, score=[0.1, 0.2], score_edges=[0.5]),
    ):
        with pytest.raises(ValueError, match=r"cubes of one audit|has a score"):
            one.merge(other)


def test_a_cube_that_does_not_fit_its_axes_is_refused() -> None:
    content = Cube.from_arrays([0, 1], [1, 1], {"g": ["a", "b"]}).to_json()
    for old, new in ((b'"schema":2', b'"schema":9'), (b'["a","b"]', b'["a"]'), (b"[[0,1]", b"[[0,-1]")):
        assert old in content
        with pytest.raises(ValueError, match="expected"):
            Cube.from_json(content.replace(old, new))


def test_an_attribute_is_named_once() -> None:
    cube = Cube.from_arrays([0, 1], [1, 1], {"r": ["a", "b"]})
    for repeated in (lambda: cube.rates(["r", "r"]), lambda: cube.marginal(["r", "r"])):
        with pytest.raises(ValueError, match="named once, found r, r"):
            repeated()


def test_one_text_names_an_attribute_or_a_crossing() -> None:
    cube = Cube.from_arrays([0, 1], [1, 1], {"sex": ["a", "b"], "race": ["c", "d"]})
    assert cube.rates("sex").equals(cube.rates(["sex"]))
    assert cube.rates("race x sex").equals(cube.rates(["race", "sex"]))
    assert cube.marginal("race") == cube.marginal(["race"])
