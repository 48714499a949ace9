"""The cube beside its peers: `python tests/benchmarks/bench_peers.py [REPLICATES]`.

fairlearn's bootstrap resamples rows, so a thousand replicates would take hours: both draw REPLICATES (10), in
one run. Point metrics of a million rows are timed by turns, since a machine's speed drifts: fairlearn and
AIF360 come with the test extra; the others, which are no part of it, each run in an environment of its own
(one for all of them leaves pip searching for versions that agree):

    for peer in oxonfair fairbench aequitas smclarify; do
        python3.11 -m venv PEERS/$peer && PEERS/$peer/bin/pip install $peer
    done
    PEERS=PEERS python tests/benchmarks/bench_peers.py

A peer that can't be run is said to be missing, with the reason.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[2]))

from tasks.fairness import Cube, judge
from tasks.fairness.metrics import RATES, tally

REPLICATES = 10
PEERS = ("oxonfair", "fairbench", "aequitas", "smclarify")
ROWS, TURNS = 1_000_000, 3
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
    """Intervals of each rate by group: resampling n rows and counting them is one multinomial draw.

    A rate that is undefined in a replicate leaves its group's interval undefined.
    """
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(cube.rows, cube.counts.ravel() / cube.rows, replicates)
    groups = cube.counts.shape[0]
    cells = tally(drawn.reshape(replicates * groups, 2, 2), cube.labels, cube.positive)
    found = {}
    with np.errstate(invalid="ignore"):
        for name in NAMES:
            rate = RATES[name].numerator(cells) / RATES[name].denominator(cells)
            found[name] = np.quantile(rate.reshape(replicates, groups), [0.025, 0.975], axis=0)
    return found


def bench_fairlearn(rows: int, replicates: int) -> None:
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
    what = f"{rows:,} rows, 10 groups, 4 metrics"
    point = timed(lambda: MetricFrame(**given).by_group, 1)
    cube = timed(lambda: Cube.from_arrays(truth, guess, {"g": group}).rates(["g"]), 5)
    show(f"fairlearn MetricFrame, {what}", point)
    show("ours, every rate from the cube", cube, f"{point / cube:,.0f} times faster")
    more = {"n_boot": replicates, "ci_quantiles": [0.025, 0.975], "random_state": 0}
    theirs = timed(lambda: MetricFrame(**given, **more).by_group_ci, 1)
    ours = timed(lambda: bootstrap(Cube.from_arrays(truth, guess, {"g": group}), replicates), 9)
    closed = timed(lambda: judge(Cube.from_arrays(truth, guess, {"g": group}), LIMITS), 3)
    show(f"fairlearn MetricFrame and {replicates:,} replicates, {what}", theirs)
    note = f"{theirs / ours:,.0f} times faster (goal 10,000)"
    show(f"ours, counting and {replicates:,} replicates of all four", ours, note)
    show("ours, closed forms: 3 limits with intervals and verdicts", closed)


def bench_points(rows: int) -> None:
    """Each peer's point metrics and our verdicts with intervals, by turns."""
    group, truth, guess = rows_of(rows, 10)
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder:
        path = Path(folder) / "rows.npz"
        np.savez(path, group=group, truth=truth, guess=guess)
        for name in PEERS:
            if "PEERS" not in os.environ:
                print(f"{name} is missing: PEERS names no folder of environments, see above")  # noqa: T201
                continue
            theirs, ours, found = [], [], {"version": "", "what": ""}
            for _ in range(TURNS):
                try:
                    found = peer(name, path)
                except FileNotFoundError as error:
                    print(f"{name} is missing: {error}")  # noqa: T201
                    break
                except subprocess.CalledProcessError as error:
                    print(f"{name} is missing: {error.stderr.strip().splitlines()[-1]}")  # noqa: T201
                    break
                theirs.append(float(found["seconds"]))
                ours.append(timed(lambda: judge(Cube.from_arrays(truth, guess, {"g": group}), LIMITS), 1))
            if theirs:
                what = f"{name} {found['version']}, {found['what']}, {rows:,} rows, 10 groups"
                compare(what, theirs, ours)


def peer(name: str, path: Path) -> dict[str, str]:
    """One run of a peer in its environment."""
    python = Path(os.environ["PEERS"]) / name / "bin" / "python"
    command = [str(python), str(Path(__file__).with_name("peer.py")), name, str(path)]
    found: dict[str, str] = json.loads(
        subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    )
    return found


def compare(what: str, theirs: list[float], ours: list[float]) -> None:
    """Medians, and the median and range of the turns' ratios."""
    ratios = sorted(peer / own for peer, own in zip(theirs, ours, strict=True))
    show(what, median(theirs))
    note = f"{median(ratios):,.1f} times faster ({ratios[0]:,.1f} to {ratios[-1]:,.1f})"
    show("ours, 3 limits with intervals and verdicts", median(ours), note)


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

    theirs, ours = [], []
    for _ in range(TURNS):
        theirs.append(timed(metrics, 1))
        ours.append(timed(lambda: judge(Cube.from_arrays(truth, guess, {"g": group}), LIMITS), 1))
    compare(f"AIF360, 3 point metrics, {rows:,} rows, 2 groups", theirs, ours)


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # the peers' own
    print(f"Python {platform.python_version()}, numpy {np.__version__}, pandas {pd.__version__}")  # noqa: T201
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")  # noqa: T201
    bench_points(ROWS)
    bench_aif360(ROWS)
    for size in (100_000, 500_000):
        bench_fairlearn(size, int(sys.argv[1]) if len(sys.argv) > 1 else REPLICATES)
