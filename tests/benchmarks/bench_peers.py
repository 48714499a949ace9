"""The cube beside fairlearn's bootstrap, OxonFair and AIF360: `python tests/benchmarks/bench_peers.py`.

fairlearn resamples rows, so a thousand replicates would take hours: two are measured beside none, and the
difference is scaled to a thousand (they cost the same each). Ours are all drawn. Peers that are not
installed are said to be missing; OxonFair is looked for in PEERS (a folder for `pip install --no-deps
--target PEERS oxonfair`), since it is no part of the environment.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import platform
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.append(os.environ.get("PEERS", ""))

from tasks.fairness import Cube, judge
from tasks.fairness.metrics import RATES, tally

REPLICATES, MEASURED = 1_000, 2
NAMES = ("selection_rate", "tpr", "fpr", "accuracy")
LIMITS = [
    {"metric": metric, "attribute": "g", "limit": 0.05}
    for metric in ("demographic_parity_difference", "equalized_odds_difference", "accuracy_difference")
]


def timed(work: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = perf_counter()
        work()
        times.append(perf_counter() - start)
    return median(times)


def show(what: str, seconds: float, note: str = "") -> None:
    print(f"{what:<72} {seconds * 1e3:>12,.1f} ms  {note}", flush=True)  # noqa: T201 - a report


def rows_of(rows: int, groups: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(rows)
    truth = rng.integers(0, 2, rows)
    return rng.integers(0, groups, rows), truth, np.where(rng.random(rows) < 0.8, truth, 1 - truth)


def bootstrap(cube: Cube, replicates: int) -> dict[str, np.ndarray]:
    """Intervals of each rate by group: resampling n rows and counting them is one multinomial draw."""
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(cube.rows, cube.counts.ravel() / cube.rows, replicates)
    groups = cube.counts.shape[0]
    cells = tally(drawn.reshape(replicates * groups, 2, 2), cube.labels, cube.positive)
    found = {}
    with np.errstate(invalid="ignore"):
        for name in NAMES:
            rate = RATES[name].numerator(cells) / RATES[name].denominator(cells)
            found[name] = np.nanquantile(rate.reshape(replicates, groups), [0.025, 0.975], axis=0)
    return found


def bench_fairlearn(rows: int) -> None:
    from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate
    from sklearn.metrics import accuracy_score

    group, truth, guess = rows_of(rows, 10)
    functions = (selection_rate, true_positive_rate, false_positive_rate, accuracy_score)
    given = {
        "metrics": dict(zip(NAMES, functions, strict=True)),
        "y_true": truth,
        "y_pred": guess,
        "sensitive_features": group,
    }
    point = timed(lambda: MetricFrame(**given).by_group, 1)
    more = {"n_boot": MEASURED, "ci_quantiles": [0.025, 0.975], "random_state": 0}
    some = timed(lambda: MetricFrame(**given, **more), 1)
    whole = point + (some - point) / MEASURED * REPLICATES
    ours = timed(lambda: bootstrap(Cube.from_arrays(truth, guess, {"g": group}), REPLICATES), 5)
    cube = timed(lambda: Cube.from_arrays(truth, guess, {"g": group}).rates(["g"]), 5)
    closed = timed(lambda: judge(Cube.from_arrays(truth, guess, {"g": group}), LIMITS), 3)
    what = f"{rows:,} rows, 10 groups, 4 metrics"
    show(f"fairlearn MetricFrame, {what}", point)
    show(f"fairlearn, {MEASURED} bootstrap replicates more", some - point)
    show(f"fairlearn, {REPLICATES:,} replicates, scaled from {MEASURED}", whole)
    show(
        f"ours, counting and all {REPLICATES:,} replicates",
        ours,
        f"{whole / ours:,.0f} times faster (goal 10,000)",
    )
    show("ours, every rate from the cube", cube, f"{point / cube:,.0f} times faster than the point estimate")
    show(
        "ours, closed forms: 3 limits with intervals and verdicts",
        closed,
        f"{whole / closed:,.0f} times faster",
    )


def bench_oxonfair(rows: int) -> None:
    if importlib.util.find_spec("oxonfair") is None:
        print("OxonFair is not installed: see PEERS above")  # noqa: T201
        return
    from oxonfair import performance

    group, truth, guess = rows_of(rows, 10)
    theirs = timed(lambda: performance.evaluate_fairness(truth, guess, group), 3)
    show(f"OxonFair, its 8 point metrics, {rows:,} rows, 10 groups", theirs)
    ours = timed(lambda: judge(Cube.from_arrays(truth, guess, {"g": group}), LIMITS), 3)
    show("ours, 3 limits with intervals and verdicts", ours, f"{theirs / ours:,.1f} times faster")


def bench_aif360(rows: int) -> None:
    logging.disable(logging.WARNING)  # it names the extras that it lacks
    from aif360.datasets import BinaryLabelDataset
    from aif360.metrics import ClassificationMetric

    group, truth, guess = rows_of(rows, 2)
    frame = pd.DataFrame({"g": group, "y": truth}, dtype=float)

    def metrics() -> list[float]:
        known = BinaryLabelDataset(df=frame, label_names=["y"], protected_attribute_names=["g"])
        predicted = known.copy()
        predicted.labels = guess[:, None].astype(float)
        one, other = [{"g": 0.0}], [{"g": 1.0}]
        found = ClassificationMetric(known, predicted, unprivileged_groups=one, privileged_groups=other)
        return [
            found.statistical_parity_difference(),
            found.average_abs_odds_difference(),
            found.accuracy(privileged=True) - found.accuracy(privileged=False),
        ]

    theirs = timed(metrics, 3)
    show(f"AIF360, 3 point metrics, {rows:,} rows, 2 groups", theirs)
    ours = timed(lambda: judge(Cube.from_arrays(truth, guess, {"g": group}), LIMITS), 3)
    show("ours, 3 limits with intervals and verdicts", ours, f"{theirs / ours:,.1f} times faster")


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # the peers' own
    print(f"Python {platform.python_version()}, numpy {np.__version__}, pandas {pd.__version__}")  # noqa: T201
    bench_oxonfair(1_000_000)
    bench_aif360(1_000_000)
    for size in (100_000, 500_000):
        bench_fairlearn(size)
