"""fairlearn, AIF360, scikit-learn and statsmodels as oracles over random tables.

Where they disagree with us the test says why, and holds the disagreement to exactly that.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import aif360.sklearn.metrics as aif
import fairlearn.metrics as fl
import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from statsmodels.stats.proportion import proportion_confint

from tasks.fairness import Cube, judge
from tasks.fairness.individual import consistency, generalized_entropy
from tasks.fairness.metrics import RATES

Ints = NDArray[np.int64]
Table = list[tuple[int, int, int, int]]
cells = st.tuples(*[st.integers(0, 9)] * 4).filter(lambda cell: sum(cell) > 0)
tables = st.lists(cells, min_size=2, max_size=4)
pairs = st.lists(cells, min_size=2, max_size=2)
full = st.lists(st.tuples(*[st.integers(1, 12)] * 4), min_size=2, max_size=4)


def rows_of(table: Table) -> tuple[Ints, Ints, NDArray[np.str_]]:
    """Truth, prediction and group of rows with these TP, FP, FN, TN by group."""
    kinds = [(1, 1), (0, 1), (1, 0), (0, 0)]
    rows = [
        (*kind, "abcd"[g])
        for g, counts in enumerate(table)
        for kind, count in zip(kinds, counts, strict=True)
        for _ in range(count)
    ]
    truth, guess, group = zip(*rows, strict=True)
    return np.array(truth), np.array(guess), np.array(group)


def measured(cube: Cube, *metrics: str) -> list[float | None]:
    limits = [{"metric": metric, "attribute": "g", "limit": 0.5} for metric in metrics]
    return [judged.measurement for judged in judge(cube, limits)]


@contextmanager
def undefined_is_silent() -> Iterator[None]:
    """The oracles divide by 0 and warn, or say nothing; what they return is looked at."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


SKLEARN: dict[str, Callable[[Ints, Ints], float]] = {
    "tpr": lambda t, p: sk.recall_score(t, p, zero_division=np.nan),
    "tnr": lambda t, p: sk.recall_score(t, p, pos_label=0, zero_division=np.nan),
    "ppv": lambda t, p: sk.precision_score(t, p, zero_division=np.nan),
    "npv": lambda t, p: sk.precision_score(t, p, pos_label=0, zero_division=np.nan),
    "accuracy": sk.accuracy_score,
    "f1": lambda t, p: sk.f1_score(t, p, zero_division=np.nan),
    "selection_rate": lambda _, p: float(np.mean(p)),
}


@settings(max_examples=15, deadline=None)
@given(tables)
def test_rates_are_scikit_learns_and_undefined_where_it_has_nan(table: Table) -> None:
    truth, guess, group = rows_of(table)
    ours = Cube.from_arrays(truth, guess, {"g": group}, labels=[0, 1]).rates(["g"])
    for row in ours.to_dicts():
        inside = group == row["g"]
        for name, oracle in SKLEARN.items():
            value = oracle(truth[inside], guess[inside])
            assert (row[name] is None) == bool(np.isnan(value)), name
            assert row[name] is None or row[name] == pytest.approx(value, rel=1e-12)
        for name, opposite in {"fpr": "tnr", "fnr": "tpr", "fdr": "ppv", "for": "npv"}.items():
            assert (row[name] is None) == (row[opposite] is None)
            assert row[name] is None or row[name] == pytest.approx(1 - row[opposite], abs=1e-12)


FAIRLEARN = {
    "demographic_parity": ("selection_rate", fl.demographic_parity_difference, fl.demographic_parity_ratio),
    "equal_opportunity": ("tpr", fl.equal_opportunity_difference, fl.equal_opportunity_ratio),
    "equalized_odds": ("tpr fpr", fl.equalized_odds_difference, fl.equalized_odds_ratio),
}


@settings(max_examples=10, deadline=None)
@given(tables)
def test_gaps_are_fairlearns_but_for_undefined_rates_which_it_takes_as_zero(table: Table) -> None:
    truth, guess, group = rows_of(table)
    cube = Cube.from_arrays(truth, guess, {"g": group}, labels=[0, 1])
    rates = cube.rates(["g"])
    for family, (names, gap, ratio) in FAIRLEARN.items():
        values = [rates[name].to_list() for name in names.split()]
        with undefined_is_silent():
            theirs = gap(truth, guess, sensitive_features=group)
            their_ratio = ratio(truth, guess, sensitive_features=group)
        ours, our_ratio = measured(cube, f"{family}_difference", f"{family}_ratio")
        if any(value is None for column in values for value in column):
            assert ours is None  # a gap to a rate that nobody has is no gap
            assert our_ratio is None
            zeros = [[value or 0.0 for value in column] for column in values]
            assert theirs == pytest.approx(max(max(column) - min(column) for column in zeros))
            continue
        assert ours == pytest.approx(theirs, abs=1e-12)
        if all(max(column) > 0 for column in values):
            assert our_ratio == pytest.approx(their_ratio, abs=1e-12)
        else:  # 0 / 0 in one rate: nobody's TPR (or FPR, or selection rate) is above 0
            assert our_ratio is None


@settings(max_examples=10, deadline=None)
@given(full)
def test_equalized_odds_is_the_larger_gap_and_its_mean_is_over_one_pair(table: Table) -> None:
    truth, guess, group = rows_of(table)
    cube = Cube.from_arrays(truth, guess, {"g": group}, labels=[0, 1])
    given_ = {"y_true": truth, "y_pred": guess, "sensitive_features": group}
    larger, mean, total, absolute = measured(
        cube,
        "equalized_odds_difference",
        "equalized_odds_mean",
        "equalized_odds_sum",
        "average_absolute_odds_difference",
    )
    assert larger == pytest.approx(fl.equalized_odds_difference(**given_, agg="worst_case"), abs=1e-12)
    assert mean is not None
    assert total == pytest.approx(2 * mean, abs=1e-12)
    assert absolute == pytest.approx(mean, abs=1e-12)
    theirs = fl.equalized_odds_difference(**given_, agg="mean")
    if len(table) == 2:
        assert mean == pytest.approx(theirs, abs=1e-12)
    else:
        # fairlearn adds the largest TPR gap of one pair to the largest FPR gap of perhaps another;
        # ours belongs to a pair, so that it can be named and tested.
        assert mean <= theirs + 1e-12


@settings(max_examples=12, deadline=None)
@given(pairs)
def test_gaps_of_two_groups_are_aif360s_without_the_sign(table: Table) -> None:
    truth, guess, group = rows_of(table)
    cube = Cube.from_arrays(truth, guess, {"g": group}, labels=[0, 1])
    rates = cube.rates(["g"])
    given_: dict[str, Any] = {"prot_attr": group, "priv_group": "b"}
    y = pd.Series(truth)
    with undefined_is_silent():
        theirs = {
            "demographic_parity_difference": aif.statistical_parity_difference(y, guess, **given_),
            "equal_opportunity_difference": aif.equal_opportunity_difference(y, guess, **given_),
            "average_absolute_odds_difference": aif.average_odds_error(y, guess, **given_),
        }
        signed_mean = aif.average_odds_difference(y, guess, **given_)
    needs = {"demographic_parity_difference": (), "equal_opportunity_difference": ("tpr",)}
    for metric, value in theirs.items():
        (ours,) = measured(cube, metric)
        if any(rates[name].null_count() for name in needs.get(metric, ("tpr", "fpr"))):
            assert ours is None  # AIF360 puts 0 for the recall of a group without positives
        else:
            assert ours == pytest.approx(abs(value), abs=1e-12)
            if metric == "average_absolute_odds_difference":
                # AIF360's signed mean lets a gap in TPR and an opposite one in FPR cancel.
                assert abs(signed_mean) <= ours + 1e-12


def test_the_signed_mean_calls_a_predictor_fair_that_favours_one_group_twice() -> None:
    """Group a: TPR .9 and FPR .1; group b: TPR .5 and FPR .5."""
    truth, guess, group = rows_of([(9, 1, 1, 9), (5, 5, 5, 5)])
    cube = Cube.from_arrays(truth, guess, {"g": group})
    signed = aif.average_odds_difference(pd.Series(truth), guess, prot_attr=group, priv_group="b")
    assert signed == pytest.approx(0)
    assert measured(cube, "average_absolute_odds_difference") == [pytest.approx(0.4)]


@settings(max_examples=25, deadline=None)
@given(pairs)
def test_the_impact_ratio_is_aif360s_or_its_inverse(table: Table) -> None:
    """AIF360 divides by the group named privileged, we by the larger rate, so ours is at most 1."""
    truth, guess, group = rows_of(table)
    cube = Cube.from_arrays(truth, guess, {"g": group}, labels=[0, 1])
    (ours,) = measured(cube, "disparate_impact_ratio")
    low, high = sorted(cube.rates(["g"])["selection_rate"].to_list())
    with undefined_is_silent():
        theirs = aif.disparate_impact_ratio(pd.Series(truth), guess, prot_attr=group, priv_group="b")
    if high == 0:
        assert ours is None  # 0 / 0; AIF360 puts a number there
    elif low == 0:
        assert ours == 0
    else:
        assert ours == pytest.approx(min(theirs, 1 / theirs))


@settings(max_examples=25, deadline=None)
@given(tables)
def test_differential_fairness_is_aif360s_smoothed_edf(table: Table) -> None:
    truth, guess, group = rows_of(table)
    cube = Cube.from_arrays(truth, guess, {"g": group}, labels=[0, 1])
    (ours,) = measured(cube, "differential_fairness_epsilon")
    n = np.array([sum(counts) for counts in table])
    rate = (np.array([tp + fp for tp, fp, _, _ in table]) + 0.5) / (n + 1)
    logs = np.log([rate, 1 - rate])
    assert ours == pytest.approx((logs.max(axis=1) - logs.min(axis=1)).max(), abs=1e-12)
    if all(0 < tp + fp < sum((tp, fp, fn, tn)) for tp, fp, fn, tn in table):
        assert ours == pytest.approx(aif.smoothed_edf(pd.Series(truth), guess, prot_attr=group), abs=1e-9)
    # Otherwise AIF360 smooths a group in which one class alone is predicted by a whole row of that
    # class: it counts the classes seen in each group, and calls "all" and "none" selected alike.


@settings(max_examples=40, deadline=None)
@given(tables, st.sampled_from([0, 1, 2]))
def test_generalized_entropy_is_aif360s_where_it_has_a_value(table: Table, alpha: Any) -> None:
    truth, guess, group = rows_of(table)
    cube = Cube.from_arrays(truth, guess, {"g": group}, labels=[0, 1])
    ours = generalized_entropy(cube, alpha)
    # At 0 AIF360 divides the mean logarithm by the mean benefit, which Speicher et al. do not.
    factor = float(np.mean(1 + guess - truth)) if alpha == 0 else 1.0
    with undefined_is_silent():
        theirs = aif.generalized_entropy_error(truth, guess, alpha=alpha)
    if ours is None:
        # Nobody benefits, or the mean log of a benefit of 0 is asked: AIF360 returns inf or nan.
        assert not np.isfinite(theirs)
    else:
        assert ours == pytest.approx(theirs * factor, abs=1e-12)
    between = generalized_entropy(cube, alpha, by=["g"])
    with undefined_is_silent():
        their_part = aif.between_group_generalized_entropy_error(truth, guess, prot_attr=group, alpha=alpha)
    if between is None:
        assert not np.isfinite(their_part)
    elif np.isfinite(their_part):
        assert between == pytest.approx(their_part * factor, abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(10, 60), st.integers(1, 6))
def test_consistency_is_aif360s_but_for_the_row_itself(seed: int, n: int, k: int) -> None:
    """AIF360 counts each row among its own k neighbours, so it sees k/(k + 1) of the inconsistency."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, 2)), rng.integers(0, 2, n)
    theirs = aif.consistency_score(x, y, n_neighbors=k + 1)
    assert 1 - theirs == pytest.approx((1 - consistency(x, y, k)) * k / (k + 1), abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(tables)
def test_intervals_of_groups_are_statsmodels_clopper_pearson(table: Table) -> None:
    truth, guess, group = rows_of(table)
    cube = Cube.from_arrays(truth, guess, {"g": group}, labels=[0, 1])
    limits = [{"metric": f"{name}_difference", "attribute": "g", "limit": 0.5} for name in ("tpr", "ppv")]
    for judged in judge(cube, limits):
        for one in judged.groups:
            if one.n == 0:
                assert (one.rate, one.low, one.high) == (None, None, None)
                continue
            low, high = proportion_confint(one.events, one.n, 0.05, "beta")
            assert (one.low, one.high) == pytest.approx((low, high), abs=1e-9)


@settings(max_examples=8, deadline=None)
@given(full, st.integers(0, 2**32 - 1))
def test_weighted_rates_are_fairlearns(table: Table, seed: int) -> None:
    truth, guess, group = rows_of(table)
    weight = np.random.default_rng(seed).uniform(0.1, 5, len(truth))
    ours = Cube.from_arrays(truth, guess, {"g": group}, weight=weight).weighted_rates(["g"])
    for name in ("selection_rate", "tpr", "fpr"):
        oracle = {"selection_rate": fl.selection_rate, "tpr": fl.true_positive_rate}
        frame = fl.MetricFrame(
            metrics=oracle.get(name, fl.false_positive_rate),
            y_true=truth,
            y_pred=guess,
            sensitive_features=group,
            sample_params={"sample_weight": weight},
        )
        np.testing.assert_allclose(ours[name].to_numpy(), frame.by_group.to_numpy(), rtol=1e-9)


def test_every_rate_has_an_oracle() -> None:
    complements: Sequence[str] = ("fpr", "fnr", "fdr", "for")
    assert set(RATES) == {*SKLEARN, *complements}
