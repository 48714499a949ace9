"""The exact test against full enumeration, and the gate's error rates where they can be computed."""

import numpy as np
import pytest
from scipy.stats import beta, binom

from tasks.fairness import bounds
from tasks.fairness.boundaries import Curve, Line, score
from tasks.fairness.exact import rejects
from tasks.fairness.links import F1, ODDS, Link

LINES = [Line(1, 0.1), Line(1, -0.1), Line(1, 0.05), Line(1.25, 0), Line(0.8, 0), Line(1, 0.2)]


def nuisance(line: Line, points: int) -> tuple[np.ndarray, np.ndarray]:
    low, high = max(0.0, line.inverse(0)), min(1.0, line.inverse(1))
    p2 = np.concatenate([np.linspace(low, high, points), low + (high - low) * np.geomspace(1e-5, 1e-2, 40)])
    return line.at(p2), p2


@pytest.mark.parametrize("line", LINES, ids=str)
@pytest.mark.parametrize(("n1", "n2"), [(12, 12), (31, 7), (9, 40)])
def test_score_statistic_orders_outcomes_as_the_bound_needs(line: Line, n1: int, n2: int) -> None:
    z = score(np.arange(n1 + 1)[:, None], n1, np.arange(n2 + 1)[None, :], n2, line)
    assert np.isfinite(z).all()
    assert (np.diff(z, axis=0) >= -1e-7).all()
    assert (np.diff(z, axis=1) <= 1e-7).all()


@pytest.mark.parametrize("line", LINES, ids=str)
@pytest.mark.parametrize(("n1", "n2"), [(14, 14), (18, 9)])
def test_error_of_the_test_alone_is_at_most_alpha(line: Line, n1: int, n2: int) -> None:
    """Every outcome is tried: the chance of those rejected, at any rates on the line, is at most alpha."""
    p1, p2 = nuisance(line, 400)
    x, y = np.arange(n1 + 1), np.arange(n2 + 1)
    chance1, chance2 = binom.pmf(x, n1, p1[:, None]), binom.pmf(y, n2, p2[:, None])
    for alpha in (0.05, 0.0025):
        table = np.array([[rejects(int(i), n1, int(j), n2, line, alpha) for j in y] for i in x], float)
        worst = np.einsum("ki,ij,kj->k", chance1, table, chance2).max()
        assert worst <= alpha
        assert worst > 0  # it decides


def clopper_pearson(events: np.ndarray, n: np.ndarray, alpha: float) -> tuple[np.ndarray, ...]:
    low, high = bounds.lower_limit(events, n, alpha), bounds.upper_limit(events, n, alpha)
    return events / n, low[:, None], high[:, None]


def passes(x: int, n1: int, y: int, n2: int, line: Line, alpha: float) -> bool:
    """The gate's rule for one pair: closed form proposes, the exact test confirms."""
    limits = clopper_pearson(np.array([x, y]), np.array([n1, n2]), alpha)
    if line.intercept > 0 or line.intercept < 0:
        proposed = bounds.difference_upper(*limits)[0, 1] < line.intercept
    elif line.slope > 1:
        proposed = bounds.ratio_lower(*limits)[0, 1] > 1 / line.slope
    else:
        proposed = bounds.ratio_upper(*limits)[1, 0] < line.slope
    return bool(proposed) and rejects(x, n1, y, n2, line, alpha)


def first_passing(x: int, n1: int, n2: int, line: Line, alpha: float, start: int) -> int:
    """Smallest y that passes with x; never below that of a smaller x, where the search starts."""
    y = start
    while y <= n2 and not passes(x, n1, y, n2, line, alpha):
        y += 1
    return y


def worst_error(n1: int, n2: int, line: Line, alpha: float) -> float:
    p1, p2 = nuisance(line, 300)
    total, y = np.zeros(len(p1)), 0
    for x in range(n1 + 1):
        y = first_passing(x, n1, n2, line, alpha, y)
        if y > n2:
            break
        total += binom.pmf(x, n1, p1) * binom.sf(y - 1, n2, p2)
    return float(total.max())


@pytest.mark.parametrize("alpha", [0.05, 0.0025, 0.0005])
@pytest.mark.parametrize(
    ("n1", "n2", "line"),
    [
        (20, 20, Line(1, 0.2)),
        (20, 200, Line(1, 0.05)),  # small n, rare events: where MOVER alone spends up to 15 alpha
        (200, 20, Line(1, 0.05)),
        (60, 60, Line(1, 0.1)),
        (120, 120, Line(1, 0.05)),
        (100, 100, Line(1, -0.1)),
        (100, 100, Line(1.25, 0)),
        (200, 40, Line(1 / 0.6, 0)),
        (100, 100, Line(0.8, 0)),
    ],
    ids=str,
)
def test_worst_error_of_the_gates_rule(n1: int, n2: int, line: Line, alpha: float) -> None:
    assert worst_error(n1, n2, line, alpha) <= alpha


def test_power_is_that_of_the_statistics_page() -> None:
    """200 against 200 rows at 20%, limit .1: the closed form alone has .781; confirming costs little."""
    p2, power, y = 0.2, 0.0, 0
    for x in range(20, 70):
        y = first_passing(x, 200, 200, Line(1, 0.1), 0.05, y)
        power += binom.pmf(x, 200, p2) * binom.sf(y - 1, 200, p2)
    assert 0.77 < power < 0.79


def test_closed_form_alone_is_not_valid_at_spent_alphas() -> None:
    """Why the exact test confirms: MOVER's own error at small n, rare events and a small alpha."""
    n1, n2, limit, alpha = 20, 200, 0.2, 0.0005
    worst = 0.0
    for p2 in (0.3, 0.5, 0.7, 0.75, 0.79, 0.799):
        error = 0.0
        for x in range(n1 + 1):
            y = np.arange(n2 + 1)
            events, n = np.stack([np.full(n2 + 1, x), y]), np.array([[n1], [n2]])
            rate = events / n
            upper = bounds.upper_limit(events, n + 0 * events, alpha) - rate
            lower = rate - bounds.lower_limit(events, n + 0 * events, alpha)
            proposed = rate[0] - rate[1] + np.hypot(upper[0], lower[1]) < limit
            error += binom.pmf(x, n1, p2 + limit) * binom.pmf(y, n2, p2)[proposed].sum()
        worst = max(worst, error)
    assert worst > alpha


def test_clopper_pearson_limits() -> None:
    events, n = np.array([0, 3, 10, 0]), np.array([10, 10, 10, 0])
    low, high = bounds.lower_limit(events, n, 0.05), bounds.upper_limit(events, n, 0.05)
    assert low[:3] == pytest.approx([0, beta.ppf(0.05, 3, 8), 0.05**0.1])
    assert high[:3] == pytest.approx([1 - 0.05**0.1, beta.ppf(0.95, 4, 7), 1])
    assert np.isnan([low[3], high[3]]).all()


def test_bounds_of_a_ratio_are_where_movers_limit_of_the_difference_is_zero() -> None:
    events, n = np.array([12, 30, 0]), np.array([50, 90, 40])
    limits = clopper_pearson(events, n, 0.05)
    small, large = bounds.ratio_lower(*limits), bounds.ratio_upper(*limits)
    assert small[0, 1] < (30 / 90) / (12 / 50) < large[0, 1]
    assert small[0, 2] == 0  # no events: the ratio may be 0
    assert large[2, 0] == np.inf
    # At its limit c, MOVER's lower limit of rate[h] - c * rate[g] is 0 (Donner and Zou 2012).
    c, r = small[0, 1], events / n
    spread = np.hypot(
        r[1] - bounds.lower_limit(events, n, 0.05)[1], c * (bounds.upper_limit(events, n, 0.05)[0] - r[0])
    )
    assert r[1] - c * r[0] - spread == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("n", [300, 10_000, 1_000_000, 10_000_000])
def test_no_size_is_too_large(n: int) -> None:
    """Two standard errors inside the limit is shown at .05 and one is not, at any size."""
    line, error = Line(1, 0.05), np.sqrt(2 * 0.2 * 0.8 / n)
    low = int(0.2 * n)
    assert rejects(int((0.25 - 2.2 * error) * n), n, low, n, line, 0.05)
    assert not rejects(int((0.25 - 1.3 * error) * n), n, low, n, line, 0.05)


CURVES = [
    (Curve(F1, 1, 0.1, 0.05), 0.05),
    (Curve(F1, 1, -0.1, 0.0005), 0.0005),
    (Curve(F1, 1.25, 0, 0.05), 0.05),
    (Curve(ODDS, 1, 0.1, 0.05), 0.05),
    (Curve(ODDS, 1, -0.1, 0.0005), 0.0005),  # where an infinite ratio, ordered last, once cost 1.03 alpha
    (Curve(ODDS, 0.8, 0, 0.0005), 0.0005),
]


@pytest.mark.parametrize(
    ("curve", "alpha"), CURVES, ids=[f"{c.slope} f(p) + {c.intercept}" for c, _ in CURVES]
)
@pytest.mark.parametrize(("n1", "n2"), [(20, 60), (60, 60)])
def test_worst_error_of_functions_of_a_rate(curve: Curve, alpha: float, n1: int, n2: int) -> None:
    """F1 and FN / FP: the exact test alone, over all outcomes and rates on the curve."""
    p2 = np.concatenate([np.linspace(1e-5, 1 - 1e-5, 200), np.geomspace(1e-5, 1e-2, 30)])
    p1 = curve.at(p2)
    p1, p2 = p1[p1 < 1], p2[p1 < 1]
    total, y = np.zeros(len(p2)), 0
    for x in range(n1 + 1):
        while y <= n2 and not rejects(x, n1, y, n2, curve, alpha):
            y += 1
        if y > n2:
            break
        total += binom.pmf(x, n1, p1) * binom.sf(y - 1, n2, p2)
    assert 0.5 * alpha < total.max() <= alpha


@pytest.mark.parametrize("link", [F1, ODDS], ids=["f1", "odds"])
def test_links_and_their_inverses(link: Link) -> None:
    p = np.linspace(0, 0.99, 34)
    np.testing.assert_allclose(link.back(link.of(p)), p, atol=1e-12)
    assert float(link.back(link.of(1.0))) == 1.0
    assert (np.diff(link.of(p)) > 0).all()
