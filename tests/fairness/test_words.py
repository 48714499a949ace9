"""How verdicts are said."""

import numpy as np
import pytest

from tasks.fairness import Cube, Judged, judge
from tasks.fairness.table import EVERY
from tasks.fairness.words import both_pairs, decided_by, limit_of, measured, words


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tpr", "true positive rate"),
        ("tpr (b)", "true positive rate (b)"),
        ("tpr_minimum", "true positive rate minimum"),
        ("demographic_parity_ratio", "demographic parity ratio"),
        ("f1_difference", "F1 difference"),
        ("tpr - fpr (b)", "true positive rate - false positive rate (b)"),
        ("macro_for_ratio", "macro false omission rate ratio"),
        ("fn_per_fp", "false negatives per false positive"),
        ("ece", "calibration error"),
        ("abroca", "ABROCA"),
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


def selected(groups: dict[str, tuple[int, int]], metric: str, limit: float) -> Judged:
    """The limit judged on so many selected of so many of each group."""
    counts = np.array([[[0, 0], [n - k, k]] for k, n in groups.values()], np.int64)
    cube = Cube({"g": tuple(groups)}, ("0", "1"), "1", counts)
    (judged,) = judge(cube, [{"metric": metric, "attribute": "g", "limit": limit}])
    return judged


def test_no_metric_is_said_in_its_code() -> None:
    for name, metric in EVERY.items():
        assert not {"tpr", "fpr", "ppv", "ece", "auc", "for", "mae", "rmse", "mse"} & set(
            metric.words.split()
        ), name
        assert "_" not in metric.words


def test_a_measured_value_of_another_pair_than_the_deciding_one_is_told_beside_it() -> None:
    groups = {"few": (3, 18), "many": (2000, 10_000), "most": (5000, 10_000)}
    one = selected(groups, "demographic_parity_ratio", 0.8)
    assert one.verdict == "FAIL"
    assert one.measured_on == ("selection_rate", "most", "few")
    assert one.worst == ("selection_rate", "most", "many")
    assert (one.measurement, one.worst_value) == (pytest.approx(1 / 3), pytest.approx(0.4))
    assert measured(one) == "0.3333 (most against few)"
    assert decided_by(one) == "selection rate: most 0.5000 against many 0.2000, n=20,000: 0.4000"
    assert both_pairs(one) == f"measured on most against few; shown on {decided_by(one)}"
    assert one.sentence.startswith(
        "demographic parity ratio 0.333 (most against few); shown on most against many, 0.400 < limit 0.8"
    )
    same = selected({"many": (2000, 10_000), "most": (5000, 10_000)}, "demographic_parity_ratio", 0.8)
    assert "shown on" not in same.sentence + both_pairs(same)
    assert both_pairs(same) == decided_by(same)


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("demographic_parity_ratio", "nobody was selected in a, b: the ratio is undefined"),
        ("tpr_ratio", "the true positive rate is 0 in a, b: the ratio is undefined"),
    ],
)
def test_a_ratio_of_zeros_is_said_so(metric: str, said: str) -> None:
    one = selected({"a": (0, 200), "b": (0, 200)}, metric, 0.8)
    assert (one.verdict, one.measurement, one.detectable) == ("INCONCLUSIVE", None, None)
    assert one.settles == said
    assert "inf" not in one.sentence
    assert "?" not in one.sentence


def test_what_a_ratio_could_be_shown_to_keep_is_a_ratio() -> None:
    one = selected({"a": (20, 100), "b": (22, 100)}, "demographic_parity_ratio", 0.8)
    assert f"equal rates could be shown to keep a ratio of at least {one.detectable:.3f}" in one.settles


def test_rows_of_unknown_group_are_to_be_found_out_not_collected() -> None:
    one = selected({"a": (2000, 10_000), "unknown": (10, 40)}, "demographic_parity_difference", 0.1)
    assert one.settles.endswith("unknown: find out these rows' group, or leave them out and say so")
    assert "would settle it" not in one.settles
