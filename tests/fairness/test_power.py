"""Power before the test part is opened, against what the gate then does."""

import numpy as np
import pytest

from tasks.fairness import Cube, Verdict, judge
from tasks.fairness.power import expected_cube, power_at_equality, smallest_showable, smallest_showable_on
from tasks.plan.judgement import Limit, TooSmall


def limit(metric: str, bound: float) -> Limit:
    return Limit(metric=metric, attribute="g", limit=bound)


def confusion(groups: list[tuple[int, int, int, int]]) -> Cube:
    """Groups as TN, FP, FN, TP."""
    axes = {"g": tuple(f"g{i}" for i in range(len(groups)))}
    return Cube(axes, ("0", "1"), "1", np.array(groups, np.int64).reshape(-1, 2, 2))


CASES = [
    ("demographic_parity_difference", 0.05, [(800, 0, 200, 0), (400, 0, 100, 0)], 0.05),
    ("demographic_parity_ratio", 0.8, [(800, 0, 200, 0), (1600, 0, 400, 0)], 0.05),
    ("f1_difference", 0.1, [(800, 50, 50, 200), (400, 25, 25, 100)], 0.05),
    ("equalized_odds_difference", 0.12, [(800, 100, 40, 160), (800, 100, 40, 160)], 0.0025),
    ("equalized_odds_sum", 0.18, [(800, 100, 40, 160), (800, 100, 40, 160)], 0.05),
    ("tpr_minimum", 0.75, [(800, 100, 40, 160), (800, 100, 50, 200)], 0.05),
]


@pytest.mark.parametrize(("metric", "bound", "groups", "alpha"), CASES, ids=[case[0] for case in CASES])
def test_it_is_the_share_of_equal_test_sets_that_pass(
    metric: str, bound: float, groups: list[tuple[int, int, int, int]], alpha: float
) -> None:
    """Drawn anew from the same rates, and judged by the whole gate."""
    if metric.startswith("demographic"):  # selected as often as labelled positive
        groups = [(n0, 0, 0, n1) for n0, _, n1, _ in groups]
    cube = confusion(groups)
    told = power_at_equality(cube, limit(metric, bound), alpha)
    assert told is not None
    rng, runs, passed = np.random.default_rng(5), 120, 0
    shares = np.array(groups, float).sum(axis=0) / np.array(groups).sum()
    for _ in range(runs):
        drawn = []
        for group in groups:
            n, (tn, fp, fn, tp) = sum(group), shares
            positives = group[2] + group[3]
            hit, false = rng.binomial(positives, tp / (tp + fn)), rng.binomial(n - positives, fp / (fp + tn))
            drawn.append((n - positives - false, false, positives - hit, hit))
            if metric.startswith(("demographic", "f1")):
                drawn[-1] = tuple(rng.multinomial(n, shares).tolist())
        passed += judge(confusion(drawn), [limit(metric, bound)], alpha)[0].verdict is Verdict.PASS
    assert 0.05 < told < 0.98
    assert abs(passed / runs - told) < 0.15  # three standard errors of both


def test_the_smallest_limit_is_passed_with_the_power_asked_for() -> None:
    groups = [(2000, 0.2), (500, 0.2), (900, 0.2)]
    found = {
        power: smallest_showable(limit("tpr_difference", 0.1), groups, 0.05, power) for power in (0.5, 0.9)
    }
    assert found[0.5] is not None
    assert found[0.9] is not None
    assert 0.03 < found[0.5] < found[0.9] < 0.1
    cube = confusion([(round(n * 0.8), 0, 0, round(n * 0.2)) for n, _ in groups])
    on = smallest_showable_on(cube, limit("selection_rate_difference", 0.1), 0.05, 0.5)
    assert on == pytest.approx(found[0.5], abs=0.01)
    ratio = smallest_showable(limit("tpr_ratio", 0.8), groups, 0.05)
    assert ratio is not None
    assert 0.6 < ratio < 0.9
    assert power_at_equality(cube, limit("selection_rate_difference", on), 0.05) == pytest.approx(
        0.5, abs=0.03
    )


def test_ten_thousand_rows_a_group_show_five_points_and_sixty_do_not() -> None:
    for n, low, high in ((10_000, 0.95, 1.0), (60, 0.0, 0.05)):
        cube = confusion([(round(0.8 * n), 0, 0, round(0.2 * n))] * 2)
        power = power_at_equality(cube, limit("demographic_parity_difference", 0.05), 0.05)
        assert power is not None
        assert low <= power <= high


def test_labels_alone_assume_the_rate_that_spreads_most() -> None:
    training = Cube.from_labels([1] * 400 + [0] * 1600, {"g": ["a", "b"] * 1000})
    test = expected_cube(training, 1000)
    assert test.rows == 1000
    metric = limit("tpr_difference", 0.3)
    told = smallest_showable_on(test, metric, 0.05)
    assert told == pytest.approx(smallest_showable(metric, [(100, 0.5), (100, 0.5)], 0.05), abs=1e-9)
    few = TooSmall(policy="report", smallest_denominator=150)
    assert power_at_equality(test, limit("demographic_parity_difference", 0.3), 0.05, few) == 1.0


def test_no_rows_have_no_power_and_scores_are_not_planned_for() -> None:
    cube = confusion([(80, 20, 0, 0), (60, 20, 5, 15)])
    assert power_at_equality(cube, limit("tpr_difference", 0.5), 0.05) == 0.0
    assert power_at_equality(cube, limit("auc_minimum", 0.5), 0.05) is None
    assert smallest_showable(limit("abroca", 0.1), [(100, 0.5)] * 2, 0.05) is None
