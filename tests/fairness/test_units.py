"""Weighted rows and rows in sampling units: effective sizes, and error rates at the limit by simulation."""

from collections.abc import Iterator

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binom

from tasks.fairness import Cube, Judged, Verdict, effective, judge
from tasks.fairness.bounds import lower_limit, upper_limit
from tasks.fairness.effective import Entries

PASS, FAIL = Verdict.PASS, Verdict.FAIL


def one(cube: Cube, limit: float, alpha: float = 0.05, metric: str = "selection_rate_difference") -> Judged:
    (judged,) = judge(cube, [{"metric": metric, "attribute": "g", "limit": limit}], alpha)
    return judged


def clusters(
    rng: np.random.Generator,
    units: tuple[int, int],
    rows: tuple[int, int],
    rates: tuple[float, float],
    icc: float,
) -> Cube:
    """Two groups of units whose own rates are beta with the intraclass correlation; y is the prediction."""
    y, group, unit = [], [], []
    for g in (0, 1):
        p, spread = rates[g], (1 - icc) / icc
        own = rng.beta(p * spread, (1 - p) * spread, units[g])
        y.append(rng.binomial(1, np.repeat(own, rows[g])))
        group.append(np.full(units[g] * rows[g], "ab"[g]))
        unit.append(np.repeat(np.arange(units[g]), rows[g]) + 10_000 * g)
    found = np.concatenate(y)
    return Cube.from_arrays(found, found, {"g": np.concatenate(group)}, unit=np.concatenate(unit))


def templates(rng: np.random.Generator, units: int, means: tuple[float, float]) -> Cube:
    """Each unit has a row of either group, with a hardness of its own in common."""
    hardness = 3 * rng.normal(size=units)
    y = rng.binomial(1, expit(np.concatenate([means[0] + hardness, means[1] + hardness])))
    return Cube.from_arrays(y, y, {"g": np.repeat(["a", "b"], units)}, unit=np.tile(np.arange(units), 2))


def weighted(rng: np.random.Generator, n: int, rates: tuple[float, float]) -> Cube:
    """Rows of weight 1 or 5; those of weight 5 are selected less often, so weights matter."""
    heavy = rng.random(2 * n) < 0.2
    shift = np.where(heavy, -0.05, 0.05 * 0.2 * 5 / 0.8)
    y = (rng.random(2 * n) < np.repeat(rates, n) + shift).astype(int)
    return Cube.from_arrays(y, y, {"g": np.repeat(["a", "b"], n)}, weight=np.where(heavy, 5.0, 1.0))


def most(runs: int, alpha: float) -> int:
    """The largest count that an error rate of alpha explains; exceeded by chance 1 time in 100,000."""
    return int(binom.ppf(1 - 1e-5, runs, alpha))


AT_THE_LIMIT = {
    "many small": ((60, 60), (8, 8), (0.3, 0.2), 0.2, 0.1),
    "few large": ((6, 60), (80, 10), (0.4, 0.2), 0.05, 0.2),
    "five and five": ((5, 5), (100, 100), (0.3, 0.2), 0.02, 0.1),
    "rare and clumped": ((30, 30), (20, 20), (0.06, 0.01), 0.3, 0.05),
}


def errors(cubes: Iterator[Cube], limit: float, runs: int) -> None:
    found = {(alpha, verdict): 0 for alpha in (0.05, 0.0025) for verdict in Verdict}
    for _, cube in zip(range(runs), cubes, strict=False):
        for alpha in (0.05, 0.0025):
            found[alpha, one(cube, limit, alpha).verdict] += 1
    for alpha in (0.05, 0.0025):
        assert found[alpha, PASS] <= most(runs, alpha)
        assert found[alpha, FAIL] <= most(runs, alpha)


@pytest.mark.parametrize("case", AT_THE_LIMIT)
def test_errors_at_the_limit_of_clusters(case: str) -> None:
    """Long runs gave the coverage stated in docs/evidence_format.md; these would see it lost."""
    *shape, limit = AT_THE_LIMIT[case]
    rng = np.random.default_rng(17)
    errors((clusters(rng, *shape) for _ in range(60)), limit, 60)


def test_errors_at_the_limit_of_weighted_rows() -> None:
    rng = np.random.default_rng(18)
    rates = (0.3, 0.2)
    errors((weighted(rng, 200, rates) for _ in range(120)), 0.1, 120)


def test_errors_at_the_limit_of_templates() -> None:
    rng = np.random.default_rng(19)
    hardness = 3 * np.random.default_rng(0).normal(size=100_000)
    means = (-2.0, -2.9)
    gap = float((expit(means[0] + hardness) - expit(means[1] + hardness)).mean())
    errors((templates(rng, 150, means) for _ in range(100)), gap, 100)


def test_rows_taken_for_independent_would_err() -> None:
    """What the units prevent: the same rows without them pass beyond their level."""
    rng, runs, alpha = np.random.default_rng(20), 60, 0.05
    cubes = [clusters(rng, (12, 12), (60, 60), (0.3, 0.2), 0.3) for _ in range(runs)]
    blind = [Cube(cube.axes, cube.labels, cube.positive, cube.counts) for cube in cubes]
    assert sum(one(cube, 0.1, alpha).verdict is PASS for cube in blind) > most(runs, alpha)
    assert sum(one(cube, 0.1, alpha).verdict is PASS for cube in cubes) <= most(runs, alpha)


def test_units_and_weights_have_power() -> None:
    rng = np.random.default_rng(21)
    assert (
        sum(one(clusters(rng, (300, 300), (10, 10), (0.2, 0.2), 0.1), 0.1).verdict is PASS for _ in "x" * 8)
        >= 7
    )
    assert (
        sum(one(clusters(rng, (200, 200), (10, 10), (0.45, 0.2), 0.1), 0.1).verdict is FAIL for _ in "x" * 8)
        >= 7
    )
    assert sum(one(weighted(rng, 3000, (0.2, 0.2)), 0.1).verdict is PASS for _ in "x" * 8) >= 7


def test_templates_gain_by_what_their_groups_have_in_common() -> None:
    rng = np.random.default_rng(22)
    paired = [templates(rng, 400, (-1.0, -1.0)) for _ in range(5)]
    apart = [Cube(cube.axes, cube.labels, cube.positive, cube.counts) for cube in paired]
    for with_units, without in zip(paired, apart, strict=True):
        narrow, wide = one(with_units, 0.2).high, one(without, 0.2).high
        assert narrow is not None
        assert wide is not None
        assert narrow < wide


def alike(pairs: int, differing: int) -> Cube:
    """Templates whose groups agree, half of them events, but for a few where only the first is one."""
    first = np.arange(pairs) < pairs // 2
    second = first & (np.arange(pairs) >= differing)
    y = np.concatenate([first, second]).astype(int)
    return Cube.from_arrays(y, y, {"g": np.repeat(["a", "b"], pairs)}, unit=np.tile(np.arange(pairs), 2))


@pytest.mark.parametrize("alpha", [0.05, 0.0025, 0.0005])
def test_what_groups_have_in_common_never_beats_the_discordant_pairs(alpha: float) -> None:
    """Exact: with k of 400 templates discordant a pass asks a limit at which k were unlikely enough."""
    for k in (0, 1, 3, 5, 6, 10, 20):
        high = one(alike(400, k), 0.9, alpha).high
        assert high is not None
        assert binom.cdf(k, 400, high) <= alpha


def test_design_effects_are_shown() -> None:
    rng = np.random.default_rng(23)
    found = one(clusters(rng, (200, 200), (10, 10), (0.4, 0.4), 0.3), 0.2).groups
    for group in found:
        assert group.n == 2000
        assert group.design_effect == pytest.approx(1 + 9 * 0.3, rel=0.3)
        assert group.low is not None
        assert group.rate is not None
        assert group.rate - group.low > 1.6 * np.sqrt(group.rate * (1 - group.rate) * 3 / group.n)


def test_weights_of_two_strata_have_the_variance_of_their_estimate() -> None:
    """Rate .5 from 100 rows of weight 1 and 100 of weight 3: n' = (sum w)^2 / sum w^2."""
    sizes = effective.weighted(
        np.array([0.5]),
        (np.array([100]), np.array([100])),
        (np.array([200.0]), np.array([200.0])),
        (np.array([500.0]), np.array([500.0])),
    )
    assert sizes.size[0] == pytest.approx(400**2 / 1000)
    assert sizes.design_effect[0] == pytest.approx(200 / 160)


@pytest.mark.parametrize("events", [1e-6, 0.01, 0.3, 0.99, 1.0, 1.5])
def test_limits_of_effective_counts_below_one_hold_their_share(events: float) -> None:
    few, many = (np.array([one]) for one in (events, 40 - events))
    n = np.array([40.0])
    for level in (0.5, 0.05, 0.0005):
        assert lower_limit(few, n, level)[0] <= lower_limit(np.array([1.5]), n, level)[0]
        assert lower_limit(few, n, level) == pytest.approx(1 - upper_limit(many, n, level), abs=1e-12)
    assert lower_limit(few, n, 0.05)[0] < events / 40 < upper_limit(few, n, 0.05)[0]


def test_units_that_are_all_alike_inside_count_once() -> None:
    """Forty units of 5 equal rows, half of them events: n' = 39, the variance having one freedom less."""
    unit = np.arange(40)
    entries = Entries(unit, np.zeros(40, np.int64), np.full(40, 5.0), (unit % 2).astype(float))
    sizes = effective.clustered(np.array([0.5]), np.array([200]), entries)
    assert sizes.size[0] == pytest.approx(39)
    assert sizes.freedom[0] == pytest.approx(39)
    assert sizes.at(0.05)[0, 0] == pytest.approx(39 * (1.6449 / 1.6849) ** 2, rel=1e-3)


def missed(rng: np.random.Generator, sizes: list[int], p: float, icc: float, alpha: float) -> int:
    """How often a rate of one group lies beyond its upper limit; its units are of these sizes."""
    count, runs = np.array(sizes), 400
    spread = (1 - icc) / icc
    event = rng.binomial(count, rng.beta(p * spread, (1 - p) * spread, (runs, len(sizes))))
    beyond = 0
    for drawn in event:
        weight = np.concatenate([drawn, count - drawn]).astype(float)
        kind = np.repeat([1.0, 0.0], len(sizes))
        unit, held = np.tile(np.arange(len(sizes)), 2), weight > 0
        entries = Entries(unit[held], np.zeros(held.sum(), np.int64), weight[held], kind[held])
        rate = np.array([drawn.sum() / count.sum()])
        size = effective.clustered(rate, np.array([count.sum()]), entries).at(alpha)[:, 0]
        beyond += int(upper_limit(rate * size, size, alpha)[0] < p)
    return beyond


@pytest.mark.parametrize(
    ("sizes", "p", "icc", "alpha"),
    [
        ([1000] * 3 + [1] * 500, 0.2, 0.3, 0.05),
        ([1000] * 3 + [1] * 500, 0.1, 0.1, 0.0025),
        ([100] * 5 + [1] * 1000, 0.05, 0.5, 0.05),
        ([500] * 50, 0.05, 0.3, 0.0025),
        ([2000] * 3, 0.05, 0.3, 0.05),
    ],
)
def test_few_large_units_or_few_with_events_do_not_pass_for_many(
    sizes: list[int], p: float, icc: float, alpha: float
) -> None:
    assert missed(np.random.default_rng(31), sizes, p, icc, alpha) <= most(400, alpha)


@pytest.mark.parametrize("alpha", [0.05, 0.0025])
@pytest.mark.parametrize(("heavy", "weight", "light"), [(5, 100, 1000), (20, 20, 800), (100, 10, 1000)])
@pytest.mark.parametrize("p", [0.05, 0.1, 0.2])
def test_few_heavy_rows_without_events_do_not_hide_their_rate(
    heavy: int, weight: int, light: int, p: float, alpha: float
) -> None:
    """Heavy rows are events twice as often as light ones."""
    rng, runs = np.random.default_rng(32), 4000
    h, x = rng.binomial(heavy, 2 * p, runs), rng.binomial(light, p, runs)
    sums = h * float(weight) + x, (heavy - h) * float(weight) + light - x
    squares = h * float(weight) ** 2 + x, (heavy - h) * float(weight) ** 2 + light - x
    rate = sums[0] / (sums[0] + sums[1])
    size = effective.weighted(rate, (h + x, heavy + light - h - x), sums, squares).at(alpha)[:, 0]
    true = p * (2 * heavy * weight + light) / (heavy * weight + light)
    assert (upper_limit(rate * size, size, alpha) < true).sum() <= most(runs, alpha)


def test_a_single_unit_shows_nothing() -> None:
    y = np.tile([0, 1], 500)
    cube = Cube.from_arrays(y, y, {"g": np.repeat(["a", "b"], 500)}, unit=np.repeat(["u", "v"], 500))
    assert one(cube, 0.9).verdict is Verdict.INCONCLUSIVE


def test_scores_of_weighted_rows_are_not_judged() -> None:
    rng = np.random.default_rng(5)
    y = rng.integers(0, 2, 400)
    more = {"score": (y + rng.random(400)) / 2, "weight": rng.uniform(1, 2, 400)}
    judged = one(Cube.from_arrays(y, y, {"g": np.tile(["a", "b"], 200)}, **more), 0.1, metric="auc_minimum")
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "not judged on weighted or raked rows" in judged.settles
