"""Impact ratios (Local Law 144) and the four-fifths rule, against the rules' own examples."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import fisher_exact

from tasks.fairness import Cube
from tasks.fairness.four_fifths import Finding, FourFifths, four_fifths
from tasks.fairness.regulators import ImpactTable, impact_ratios, local_law_144, scoring_ratios


def cube_of(groups: dict[str, tuple[int, int]], **more: Any) -> Cube:
    """A cube from group -> (n, selected); truth is no matter to these rules."""
    names = [name for name, (n, _) in groups.items() for _ in range(n)]
    selected = [int(i < k) for n, k in groups.values() for i in range(n)]
    return Cube.from_arrays(selected, selected, {"race": names}, **more)


# 6 RCNY 5-301, the worked example (persons inferred from its rates): n, selected, impact ratio.
RACE = {
    "Hispanic": (28, 18, 1.00),
    "White": (40, 15, 0.58),
    "Black": (32, 16, 0.78),
    "NHPI": (8, 5, 0.97),
    "Asian": (24, 10, 0.65),
}


def test_impact_ratios_of_the_rules_example() -> None:
    table = impact_ratios(cube_of({name: (n, k) for name, (n, k, _) in RACE.items()}), ["race"])
    assert {c.category: (c.n, c.selected) for c in table.categories} == {
        name: (n, k) for name, (n, k, _) in RACE.items()
    }
    ratios = {c.category: round(c.impact_ratio or 0, 2) for c in table.categories}
    assert ratios == {name: ratio for name, (_, _, ratio) in RACE.items()}
    assert table.unknown == 0
    assert "New York" in table.place
    assert not any(c.small for c in table.categories)


def test_unknown_persons_are_left_out_and_counted_in_every_table() -> None:
    sex = ["F", "F", "M", "M", None, "F", "M", None]
    race = ["a", "b", "a", "b", "a", None, None, None]
    chosen = [1, 0, 1, 1, 1, 1, 0, 0]
    tables = local_law_144(Cube.from_arrays(chosen, chosen, {"sex": sex, "race": race}), "sex", "race")
    assert [table.attribute for table in tables] == ["sex", "race", "sex x race"]
    assert [table.unknown for table in tables] == [2, 3, 4]
    assert [sum(c.n for c in table.categories) + table.unknown for table in tables] == [8, 8, 8]
    assert [c.category for c in tables[2].categories] == ["F x a", "F x b", "M x a", "M x b"]
    frame = tables[2].frame()
    assert frame["rate"].to_list() == [1.0, 0.0, 1.0, 1.0]
    assert frame["impact_ratio"].to_list() == [1.0, 0.0, 1.0, 1.0]


def test_a_category_below_two_percent_is_flagged_and_the_ratios_without_it_stand_beside() -> None:
    table = impact_ratios(cube_of({"a": (1000, 200), "b": (990, 99), "c": (10, 5)}), ["race"])
    a, b, c = table.categories
    assert (a.small, b.small, c.small) == (False, False, True)
    assert [one.impact_ratio for one in (a, b, c)] == pytest.approx([0.4, 0.2, 1.0])
    assert [one.ratio_without_small for one in (a, b)] == pytest.approx([1.0, 0.5])
    assert c.ratio_without_small is None
    at_the_line = impact_ratios(cube_of({"a": (980, 200), "c": (20, 5)}), ["race"])
    assert not any(one.small for one in at_the_line.categories)


def test_nobody_selected_and_nobody_there_leave_ratios_undefined() -> None:
    table = impact_ratios(cube_of({"a": (30, 0), "b": (20, 0)}, labels=[0, 1]), ["race"])
    assert [c.rate for c in table.categories] == [0.0, 0.0]
    assert [c.impact_ratio for c in table.categories] == [None, None]
    assert "nobody was selected" in table.problem
    rule = four_fifths(cube_of({"a": (30, 0), "b": (20, 0)}, labels=[0, 1]), ["race"])
    assert rule.highest is None
    assert [one.finding for one in rule.groups] == [Finding.UNDEFINED] * 2


def test_a_tool_that_sorts_into_classes_has_a_table_for_each() -> None:
    style = ["coach", "coach", "chief", "clerk"]
    cube = Cube.from_arrays(style, style, {"g": ["x", "y", "x", "x"]})
    rates = [c.rate for c in impact_ratios(cube, ["g"], selected="coach").categories]
    assert rates == [pytest.approx(1 / 3), 1.0]
    with pytest.raises(ValueError, match="`selected` must name one of the classes"):
        impact_ratios(cube, ["g"])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 60))
def test_scoring_rates_are_those_of_the_rows_or_bound_them(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    score = rng.integers(0, 101, n) / 100
    group, chosen = rng.choice(["a", "b"], n), rng.integers(0, 2, n)
    edges = [i / 20 for i in range(1, 20)]
    cube = Cube.from_arrays(chosen, chosen, {"g": group}, score=score, score_edges=edges, labels=[0, 1])
    table = scoring_ratios(cube, ["g"])
    for one in table.categories:
        true_rate = float((score > np.median(score))[group == one.category].mean())
        assert one.low is not None
        assert one.high is not None
        assert one.low - 1e-12 <= true_rate <= one.high + 1e-12
        if one.rate is not None:
            assert one.rate == pytest.approx(true_rate)
    assert (table.problem == "") == all(one.rate is not None for one in table.categories)


def test_scoring_rates_are_exact_between_bins_and_undefined_for_crossings() -> None:
    chosen, groups = [0, 1, 0, 1], {"sex": ["F", "F", "M", "M"], "race": ["a", "b", "a", "b"]}
    cube = Cube.from_arrays(chosen, chosen, groups, score=[0.1, 0.9, 0.2, 0.8], score_edges=[0.5])
    tables = local_law_144(cube, "sex", "race")
    assert [t.measure for t in tables] == ["selection rate"] * 3 + ["scoring rate"] * 3
    assert [c.rate for c in tables[3].categories] == [0.5, 0.5]
    assert [c.impact_ratio for c in tables[4].categories] == [0.0, 1.0]
    assert "not per crossing" in tables[5].problem
    assert tables[5].categories == ()


def test_question_21_one_different_person_reverses_the_order() -> None:
    """44 FR 11996 (1979), question 21: 16 of 80 white and 3 of 20 black applicants hired; 75%."""
    rule = four_fifths(cube_of({"white": (80, 16), "black": (20, 3)}), ["race"])
    black = next(one for one in rule.groups if one.group == "black")
    assert rule.highest == "white"
    assert black.ratio == pytest.approx(0.75)
    assert black.below
    assert black.reversed_by_one  # 4 of 20 (20%) against 15 of 80 (18.75%)
    assert black.changed_by == 1
    assert black.finding is Finding.SMALL_NUMBERS
    assert "1607.4(D)" in rule.law


def test_a_ratio_of_exactly_four_fifths_is_not_below() -> None:
    """0.8 has no exact float: 8 of 100 against 10 of 100 is compared in whole numbers."""
    for scale in (1, 3, 7, 1000):
        rule = four_fifths(cube_of({"a": (100 * scale, 10 * scale), "b": (100 * scale, 8 * scale)}), ["race"])
        assert rule.groups[1].below is False


def test_significance_and_its_loss_by_two_more_persons() -> None:
    small = four_fifths(cube_of({"a": (50, 25), "b": (50, 14)}), ["race"]).groups[1]
    assert small.below
    assert small.significant
    assert small.changed_by in {1, 2}
    assert small.finding is Finding.SMALL_NUMBERS
    large = four_fifths(cube_of({"a": (5000, 2500), "b": (5000, 1400)}), ["race"]).groups[1]
    assert (large.changed_by, large.reversed_by_one) == (None, False)
    assert large.finding is Finding.ADVERSE
    close = four_fifths(cube_of({"a": (50_000, 25_000), "b": (50_000, 23_000)}), ["race"]).groups[1]
    assert close.finding is Finding.SIGNIFICANT
    even = four_fifths(cube_of({"a": (500, 250), "b": (500, 249)}), ["race"]).groups[1]
    assert even.finding is Finding.NONE
    assert even.with_more == ()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 40)), min_size=2, max_size=5))
def test_every_group_is_compared_with_the_highest(pairs: list[tuple[int, int]]) -> None:
    groups = {f"g{i}": (n, min(k, n)) for i, (n, k) in enumerate(pairs)}
    rule = four_fifths(cube_of(groups, labels=[0, 1]), ["race"])
    if rule.highest is None:
        assert all(k == 0 for _, k in groups.values())
        return
    n1, k1 = groups[rule.highest]
    for one in rule.groups:
        n, k = groups[one.group]
        assert k * n1 <= k1 * n
        assert one.ratio == pytest.approx((k / n) / (k1 / n1))
        if one.finding is not Finding.HIGHEST:
            exact = fisher_exact(np.array([[k, n - k], [k1, n1 - k1]])).pvalue
            assert one.p_value == pytest.approx(exact)
            for more in one.with_more:
                assert more.ratio == pytest.approx(((k + more.persons) / n) / (k1 / n1))
    assert rule.frame().height == len(groups)


def test_a_level_that_is_none_is_refused() -> None:
    cube = Cube.from_arrays([0, 1], [0, 1], {"g": ["a", "b"]})
    for alpha in (0.0, 1.0, float("nan")):
        with pytest.raises(ValueError, match="alpha: a level above 0 and below 1"):
            four_fifths(cube, ["g"], alpha=alpha)


def test_persons_are_counted_whatever_they_weigh_and_the_table_says_so() -> None:
    """6 RCNY 5-300 and 29 CFR 1607.4(D) divide numbers of persons; neither knows a weight."""
    chosen, groups = [1, 0, 1, 1], {"sex": ["F", "F", "M", "M"], "race": ["a", "b", "a", "b"]}
    plain = Cube.from_arrays(chosen, chosen, groups, score=[0.9, 0.1, 0.8, 0.7])
    weighted, sampled = (
        Cube.from_arrays(chosen, chosen, groups, score=[0.9, 0.1, 0.8, 0.7], **more)
        for more in ({"weight": [9.0, 1.0, 1.0, 1.0]}, {"unit": ["p", "p", "q", "r"]})
    )
    same: list[ImpactTable | FourFifths] = [*local_law_144(plain, "sex", "race"), four_fifths(plain, ["sex"])]
    for cube, said in ((weighted, "its weight is left out"), (sampled, "one person")):
        tables: list[ImpactTable | FourFifths] = [
            *local_law_144(cube, "sex", "race"),
            four_fifths(cube, ["sex"]),
        ]
        assert [one.model_copy(update={"note": ""}) for one in tables] == same
        notes = [table.note for table in (*tables[:5], tables[-1])]  # a crossing has no scoring table
        assert all(said in note for note in notes)
