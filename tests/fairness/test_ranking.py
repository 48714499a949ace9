"""Ranking's sufficient statistics against the formulas written out, and their algebra."""

from math import log, log2

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.fairness.ranking import RankingTable

DESIRED = {"a": 0.5, "b": 0.3, "unknown": 0.2}
KS = (1, 3, 5)
ranked = st.lists(st.lists(st.sampled_from(["a", "b", None]), min_size=1, max_size=8), min_size=1, max_size=5)
quick = settings(max_examples=50, deadline=None)


def table_of(lists: list[list[str | None]]) -> RankingTable:
    return RankingTable.from_arrays("g", lists, DESIRED, KS)


def ndkl(items: list[str | None]) -> float:
    """Geyik et al. 2019, definition 3.4, term by term."""
    total = weight = 0.0
    for i in range(1, len(items) + 1):
        top = [item or "unknown" for item in items[:i]]
        shares = {level: top.count(level) / i for level in DESIRED}
        divergence = sum(share * log(share / DESIRED[level]) for level, share in shares.items() if share)
        total += divergence / log2(i + 1)
        weight += 1 / log2(i + 1)
    return total / weight


@quick
@given(ranked)
def test_metrics_are_the_formulas_written_out(lists: list[list[str | None]]) -> None:
    table = table_of(lists)
    assert table.mean_ndkl() == pytest.approx(sum(map(ndkl, lists)) / len(lists))
    every = sum(1 / log2(i + 2) for items in lists for i in range(len(items)))
    for found in table.metrics().iter_rows(named=True):
        level = found["g"]
        own = [1 / log2(i + 2) for x in lists for i, item in enumerate(x) if (item or "unknown") == level]
        assert found["n"] == len(own)
        assert found["exposure"] == pytest.approx(sum(own) / every)
        assert found["exposure_ratio"] == pytest.approx(sum(own) / every / DESIRED[level])
        for k in KS:
            tops = [item or "unknown" for x in lists if len(x) >= k for item in x[:k]]
            if level in tops:
                skew = log(tops.count(level) / len(tops) / DESIRED[level])
                assert found[f"skew@{k}"] == pytest.approx(skew)
            else:
                assert found[f"skew@{k}"] is None


def test_desired_shares_at_every_rank_are_no_divergence_and_the_worst_order_is_some() -> None:
    fair = RankingTable.from_arrays("g", [["a"] * 4], {"a": 1.0}, [2])
    assert fair.mean_ndkl() == 0
    halves = {"a": 0.5, "b": 0.5}
    mixed = RankingTable.from_arrays("g", [["a", "b"] * 5], halves, [4]).mean_ndkl()
    sorted_ = RankingTable.from_arrays("g", [["a"] * 5 + ["b"] * 5], halves, [4])
    assert mixed is not None
    assert (sorted_.mean_ndkl() or 0) > mixed > 0
    assert sorted_.metrics()["skew@4"].to_list() == [pytest.approx(log(2)), None]


@quick
@given(ranked, ranked)
def test_merging_is_summing_both_parts_together(
    one: list[list[str | None]], other: list[list[str | None]]
) -> None:
    merged, whole = table_of(one).merge(table_of(other)), table_of([*one, *other])
    assert (merged.rows == whole.rows).all()
    assert (merged.tops == whole.tops).all()
    assert (merged.full == whole.full).all()
    assert merged.exposure == pytest.approx(whole.exposure)
    assert merged.ndkl == pytest.approx(whole.ndkl)


@quick
@given(ranked)
def test_json_reads_back_as_the_same_bytes(lists: list[list[str | None]]) -> None:
    content = table_of(lists).to_json()
    assert RankingTable.from_json(content).to_json() == content


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"desired": {"a": 0.5, "b": 0.4}}, "sum to 1"),
        ({"desired": {"a": 1.0, "b": 0.0}}, "above 0"),
        ({"desired": {"a": 1.0}}, "no desired share of b"),
        ({"ranked": [["a"], []]}, "empty"),
        ({"ks": [3, 2]}, "rising"),
        ({"ks": [0]}, "from 1"),
    ],
)
def test_bad_input_is_refused_with_its_reason(change: dict[str, object], words: str) -> None:
    good: dict[str, object] = {"ranked": [["a", "b"]], "desired": {"a": 0.6, "b": 0.4}, "ks": [1]}
    RankingTable.from_arrays("g", **good)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=words):
        RankingTable.from_arrays("g", **(good | change))  # type: ignore[arg-type]


def test_other_tables_are_neither_merged_nor_read() -> None:
    table = RankingTable.from_arrays("g", [["a"]], {"a": 1.0}, [1])
    with pytest.raises(ValueError, match="same shares"):
        table.merge(RankingTable.from_arrays("g", [["a"]], {"a": 1.0}, [2]))
    for old, new in ((b'"schema":1', b'"schema":2'), (b'"ks":[1]', b'"ks":[1,2]')):
        with pytest.raises(ValueError, match="expected"):
            RankingTable.from_json(table.to_json().replace(old, new))
