"""Power at equal rates, against what the whole gate does with test sets drawn from them."""

import numpy as np
import pytest

from tasks.fairness import Cube, Verdict, judge
from tasks.fairness.links import F1, IDENTITY
from tasks.fairness.power import Sum, Term, power, rows_needed, smallest_showable
from tasks.fairness.table import METRICS
from tasks.plan.judgement import Limit


def one(sizes: tuple[int, ...], rate: float) -> list[Sum]:
    """A plain share."""
    return [Sum((Term(1.0, IDENTITY, sizes, rate),))]


def confusion(groups: list[tuple[int, int, int, int]]) -> Cube:
    """Groups as TN, FP, FN, TP."""
    axes = {"g": tuple(f"g{i}" for i in range(len(groups)))}
    return Cube(axes, ("0", "1"), "1", np.array(groups, np.int64).reshape(-1, 2, 2))


def odds(positives: tuple[int, ...], negatives: tuple[int, ...], tpr: float, fpr: float) -> list[Sum]:
    """TPR + FPR and TPR - FPR."""
    return [
        Sum((Term(1.0, IDENTITY, positives, tpr), Term(sign, IDENTITY, negatives, fpr))) for sign in (1, -1)
    ]


# metric, limit, rows a group, positives among them, TPR, FPR, alpha
CASES = [
    ("demographic_parity_difference", 0.05, (1000, 500), 0.2, 1.0, 0.0, 0.05),
    ("demographic_parity_ratio", 0.8, (1000, 2000), 0.2, 1.0, 0.0, 0.05),
    ("f1_difference", 0.1, (1100, 550), 0.25, 0.8, 0.06, 0.05),
    ("equalized_odds_difference", 0.12, (1100, 1100), 0.2, 0.8, 0.1, 0.0025),
    ("equalized_odds_sum", 0.16, (1100, 1100), 0.2, 0.8, 0.1, 0.05),
]


def planned(metric: str, rows: tuple[int, ...], share: float, tpr: float, fpr: float) -> list[Sum]:
    positives = tuple(round(n * share) for n in rows)
    negatives = tuple(n - p for n, p in zip(rows, positives, strict=True))
    if metric.startswith("demographic"):
        return one(rows, share)
    if metric.startswith("f1"):
        hits = share * tpr
        sizes = tuple(round(n * (share + (1 - share) * fpr)) for n in rows)
        return [Sum((Term(1.0, F1, sizes, hits / (share + (1 - share) * fpr)),))]
    if metric == "equalized_odds_sum":
        return odds(positives, negatives, tpr, fpr)
    return one(positives, tpr) + one(negatives, fpr)


@pytest.mark.parametrize(
    ("metric", "bound", "rows", "share", "tpr", "fpr", "alpha"), CASES, ids=[case[0] for case in CASES]
)
def test_it_is_the_share_of_equal_test_sets_that_pass(
    metric: str,
    bound: float,
    rows: tuple[int, ...],
    share: float,
    tpr: float,
    fpr: float,
    alpha: float,
) -> None:
    told = power(METRICS[metric].scale, bound, planned(metric, rows, share, tpr, fpr), alpha)
    limit = Limit(metric=metric, attribute="g", limit=bound)
    rng, runs, passed = np.random.default_rng(5), 120, 0
    for _ in range(runs):
        drawn = []
        for n in rows:
            positives = rng.binomial(n, share) if metric[:2] in ("de", "f1") else round(n * share)
            hit, false = rng.binomial(positives, tpr), rng.binomial(n - positives, fpr)
            drawn.append((n - positives - false, false, positives - hit, hit))
        passed += judge(confusion(drawn), [limit], alpha)[0].verdict is Verdict.PASS
    assert 0.05 < told < 0.98
    assert abs(passed / runs - told) < 0.15  # three standard errors of both


DIFFERENCE, RATIO = METRICS["tpr_difference"].scale, METRICS["tpr_ratio"].scale


def test_the_smallest_limit_is_passed_with_the_power_asked_for() -> None:
    groups = one((2000, 500, 900), 0.2)
    often, half = (smallest_showable(DIFFERENCE, groups, 0.05, chance) for chance in (0.9, 0.5))
    assert 0.03 < half < often < 0.1
    assert power(DIFFERENCE, half, groups, 0.05) == pytest.approx(0.5, abs=0.03)
    assert power(DIFFERENCE, often, groups, 0.05) == pytest.approx(0.9, abs=0.03)
    assert 0.6 < smallest_showable(RATIO, groups, 0.05) < 0.9


def test_ten_thousand_rows_a_group_show_five_points_and_sixty_do_not() -> None:
    assert power(DIFFERENCE, 0.05, one((10_000, 10_000), 0.2), 0.05) >= 0.95
    assert power(DIFFERENCE, 0.05, one((60, 60), 0.2), 0.05) <= 0.05


def test_the_rows_needed_are_near_the_textbooks() -> None:
    """Chow, Shao and Wang 2008: 2 (z_.95 + z_.9)^2 v / margin^2; Clopper-Pearson's limits cost some more."""
    pair = one((1, 1), 0.5)
    found = rows_needed(DIFFERENCE, 0.1, pair, 0.05)
    assert found is not None
    assert 429 < found < 1.12 * 429
    ratio = rows_needed(RATIO, 0.8, pair, 0.05)
    assert ratio is not None
    assert ratio == pytest.approx(2 * 8.564 / np.log(0.8) ** 2, rel=0.15)
    assert (rows_needed(DIFFERENCE, 0.1, pair, 0.05 / 20) or 0) > 1.8 * 429
    assert (rows_needed(DIFFERENCE, 0.1, one((1,) * 8, 0.5), 0.05) or 0) > 1.3 * found


@pytest.mark.parametrize("groups", [2, 12])
@pytest.mark.parametrize(("scale", "limit", "rate"), [(DIFFERENCE, 0.1, 0.3), (RATIO, 0.8, 0.4)])
def test_with_the_rows_needed_four_of_five_pass_and_with_half_of_them_few(
    scale: type, limit: float, rate: float, groups: int
) -> None:
    n = rows_needed(scale, limit, one((1,) * groups, rate), 0.01)  # type: ignore[arg-type]
    assert n is not None
    enough, half = (power(scale, limit, one((size,) * groups, rate), 0.01) for size in (n, n // 2))  # type: ignore[arg-type]
    assert 0.78 < enough < 0.9
    assert half < 0.5


def test_no_rows_have_no_power_and_some_limits_take_more_than_there_are() -> None:
    assert power(DIFFERENCE, 0.5, one((0, 100), 0.5), 0.05) == 0
    assert smallest_showable(DIFFERENCE, one((0, 100), 0.5), 0.05) == np.inf
    assert rows_needed(DIFFERENCE, 1e-5, one((1, 1), 0.5), 0.05) is None


def test_without_a_judged_group_nothing_can_be_shown() -> None:
    scale = METRICS["accuracy_difference"].scale
    none = [Sum((Term(1.0, IDENTITY, (), 0.5),))]
    assert power(scale, 0.2, none, 0.05) == 0
    assert smallest_showable(scale, none, 0.05) == np.inf


def test_shares_of_the_same_rows_are_bounded_more_widely() -> None:
    terms = (Term(0.5, IDENTITY, (400, 400), 0.5), Term(0.5, IDENTITY, (400, 400), 0.5))
    apart, together = (
        smallest_showable(DIFFERENCE, [Sum(terms, independent)], 0.05) for independent in (True, False)
    )
    assert apart < 0.75 * together
