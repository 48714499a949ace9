"""How verdicts are said."""

import pytest

from tasks.fairness import Cube, judge
from tasks.fairness.words import decided_by, limit_of, words


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tpr", "true positive rate"),
        ("tpr (b)", "true positive rate (b)"),
        ("tpr_minimum", "true positive rate minimum"),
        ("demographic_parity_ratio", "demographic parity ratio"),
        ("f1_difference", "F1 difference"),
    ],
)
def test_names_in_words(name: str, said: str) -> None:
    assert words(name) == said


def test_a_minimum_names_one_group_and_bounds_from_below() -> None:
    cube = Cube.from_arrays([1, 0] * 200, [1, 0] * 200, {"g": ["a", "a", "b", "b"] * 100})
    limits = [
        {"metric": f"selection_rate_{kind}", "attribute": "g", "limit": 0.3}
        for kind in ("minimum", "difference")
    ]
    low, between = judge(cube, limits)
    assert limit_of(low) == "≥ 0.3"
    assert limit_of(between) == "≤ 0.3"
    assert "against" not in decided_by(low)
    assert "against" in decided_by(between)
