"""Rates against fairlearn and against published figures."""

from pathlib import Path

import fairlearn.metrics as fl
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.fairness import Cube, judge
from tasks.fairness.metrics import RATES, tally

ORACLES = {
    "selection_rate": fl.selection_rate,
    "tpr": fl.true_positive_rate,
    "fpr": fl.false_positive_rate,
    "tnr": fl.true_negative_rate,
    "fnr": fl.false_negative_rate,
}


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(40, 400))
def test_rates_and_gaps_are_fairlearns_where_all_are_defined(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    group = rng.choice(["a", "b", "c"], n)
    truth, guess = rng.integers(0, 2, n), rng.integers(0, 2, n)
    for i, name in enumerate("abc"):  # each group has every confusion cell, so that nothing is undefined
        group[4 * i : 4 * i + 4], truth[4 * i : 4 * i + 4] = name, (0, 0, 1, 1)
        guess[4 * i : 4 * i + 4] = (0, 1, 0, 1)
    cube = Cube.from_arrays(truth, guess, {"g": group})
    frame = fl.MetricFrame(metrics=ORACLES, y_true=truth, y_pred=guess, sensitive_features=group).by_group
    ours = cube.rates(["g"])
    for name in ORACLES:
        np.testing.assert_allclose(ours[name].to_numpy(), frame[name].to_numpy(), rtol=1e-12)
    given_ = {"y_true": truth, "y_pred": guess, "sensitive_features": group}
    oracle = {
        "demographic_parity_difference": fl.demographic_parity_difference(**given_),
        "demographic_parity_ratio": fl.demographic_parity_ratio(**given_),
        "equalized_odds_difference": fl.equalized_odds_difference(**given_),
        "equalized_odds_ratio": fl.equalized_odds_ratio(**given_),
        "equal_opportunity_difference": fl.equal_opportunity_difference(**given_),
        "equal_opportunity_ratio": fl.equal_opportunity_ratio(**given_),
    }
    limits = [{"metric": metric, "attribute": "g", "limit": 0.5} for metric in oracle]
    for judged in judge(cube, limits):
        assert judged.measurement == pytest.approx(oracle[judged.metric], rel=1e-12)


def test_a_group_without_positives_is_undefined_where_fairlearn_invents_zero() -> None:
    truth, guess, group = [1, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 1], ["a"] * 3 + ["b"] * 3
    cube = Cube.from_arrays(truth, guess, {"g": group})
    assert cube.rates(["g"])["tpr"].to_list() == [1.0, None]
    assert fl.equal_opportunity_difference(truth, guess, sensitive_features=group) == 1.0
    (judged,) = judge(cube, [{"metric": "equal_opportunity_difference", "attribute": "g", "limit": 0.9}])
    assert judged.measurement is None


# ProPublica, "Compas Analysis.ipynb" @bafff5da (Larson, Mattu, Kirchner, Angwin 2016): all 7,214 rows,
# prediction = score_text != "Low". n, TN, FP, FN, TP, FPR %, FNR %, PPV.
COMPAS = {
    "African-American": (3696, 990, 805, 532, 1369, 44.85, 27.99, 0.63),
    "Caucasian": (2454, 1139, 349, 461, 505, 23.45, 47.72, 0.59),
}


def test_propublicas_compas_counts_and_rates(mirror: Path) -> None:
    rows = pl.read_csv(mirror / "compas" / "compas_for_aequitas.csv")
    cube = Cube.from_arrays(rows["label_value"], rows["score"], {"race": rows["race"], "sex": rows["sex"]})
    levels, counts = cube.cells(["race"])
    cells = tally(counts, cube.labels, cube.positive)
    table = {row["race"]: row for row in cube.rates(["race"]).to_dicts()}
    for race, (n, tn, fp, fn, tp, fpr, fnr, ppv) in COMPAS.items():
        i = levels.index((race,))
        assert [int(cells[cell][i]) for cell in ("tn", "fp", "fn", "tp")] == [tn, fp, fn, tp]
        row = table[race]
        assert row["n"] == n
        assert (round(100 * row["fpr"], 2), round(100 * row["fnr"], 2), round(row["ppv"], 2)) == (
            fpr,
            fnr,
            ppv,
        )
    everyone = cube.rates().row(0, named=True)
    assert everyone["n"] == 7214
    assert (round(100 * everyone["fpr"], 2), round(100 * everyone["fnr"], 2)) == (32.35, 37.40)


# 6 RCNY 5-301, the worked example of New York City's Local Law 144 (counts inferred from its rates).
LOCAL_LAW_144 = [
    ("Hispanic", 28, 18, 1.00),
    ("White", 40, 15, 0.58),
    ("Black", 32, 16, 0.78),
    ("NHPI", 8, 5, 0.97),
    ("Asian", 24, 10, 0.65),
]


def test_impact_ratios_of_local_law_144() -> None:
    group = [name for name, n, _, _ in LOCAL_LAW_144 for _ in range(n)]
    selected = [int(i < k) for _, n, k, _ in LOCAL_LAW_144 for i in range(n)]
    cube = Cube.from_arrays(selected, selected, {"race": group})
    rates = dict(cube.rates(["race"]).select("race", "selection_rate").iter_rows())
    ratios = {name: round(rate / max(rates.values()), 2) for name, rate in rates.items()}
    assert ratios == {name: ratio for name, _, _, ratio in LOCAL_LAW_144}
    (judged,) = judge(cube, [{"metric": "demographic_parity_ratio", "attribute": "race", "limit": 0.8}])
    assert judged.measurement is not None
    assert round(judged.measurement, 2) == 0.58


def test_rates_of_several_classes_are_undefined_without_a_positive_one_but_for_accuracy() -> None:
    truth, guess = ["a", "b", "c", "a"], ["a", "b", "b", "c"]
    cube = Cube.from_arrays(truth, guess, {"g": ["x", "x", "y", "y"]})
    assert cube.positive is None
    assert cube.rates(["g"])["accuracy"].to_list() == [1.0, 0.0]
    assert cube.rates(["g"])["tpr"].to_list() == [None, None]
    one = Cube.from_arrays(truth, guess, {"g": ["x", "x", "y", "y"]}, positive="b")
    assert one.rates(["g"])["fpr"].to_list() == [0.0, 0.5]
    assert one.rates(["g"])["accuracy"].to_list() == [1.0, 0.0]


def test_rates_of_a_table_by_hand() -> None:
    assert not RATES["f1"].is_proportion
    assert all(rate.source for rate in RATES.values())
    counts = np.array([[[40, 10], [20, 30]]])  # TN FP / FN TP
    cells = tally(counts, ["0", "1"], "1")
    known = {"selection_rate": 0.4, "tpr": 0.6, "tnr": 0.8, "fpr": 0.2, "fnr": 0.4, "ppv": 0.75, "npv": 2 / 3}
    known |= {"fdr": 0.25, "for": 1 / 3, "accuracy": 0.7, "f1": 2 / 3}
    assert {name: rate.values(cells)[0] for name, rate in RATES.items()} == pytest.approx(known)
