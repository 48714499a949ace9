"""How fast the cube counts and the gate judges, beside fairlearn: `python tests/benchmarks/bench_cube.py`.

Prints medians; the goal is 10 million rows in 24 cells in at most 0.3 s on two cores.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parents[2]))

from tasks.fairness import Cube, judge
from tasks.fairness.columns import Codes
from tasks.fairness.exact import rejects

ROWS, PEER_ROWS, REPEATS = 10_000_000, 500_000, 5
GOAL = 0.3


def timed(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Median seconds of a few calls."""
    times = []
    for _ in range(repeats):
        start = perf_counter()
        work()
        times.append(perf_counter() - start)
    return median(times)


def show(what: str, seconds: float, note: str = "") -> None:
    print(f"{what:<64} {seconds * 1e3:>10.1f} ms  {note}")  # noqa: T201 - a report


def columns(rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return tuple(rng.integers(0, levels, rows, dtype=np.uint8) for levels in (2, 3, 2, 2))


def bench_counting() -> float:
    sex, race, truth, guess = columns(ROWS)
    coded = {"sex": Codes(sex, ("F", "M")), "race": Codes(race, ("A", "B", "C"))}
    codes = timed(lambda: Cube.from_arrays(truth, guess, coded))
    show(f"cube of {ROWS:,} rows, 24 cells, from dictionary codes", codes, f"goal {GOAL * 1e3:.0f} ms")
    plain = timed(lambda: Cube.from_arrays(truth, guess, {"sex": sex, "race": race}))
    show(f"cube of {ROWS:,} rows, 24 cells, from uint8", plain)
    wide = [column.astype(np.int64) for column in (sex, race, truth, guess)]
    show(
        f"cube of {ROWS:,} rows, 24 cells, from int64",
        timed(lambda: Cube.from_arrays(wide[2], wide[3], {"sex": wide[0], "race": wide[1]})),
    )
    text = {
        "sex": pl.Series(np.array(["Female", "Male"])[sex]),
        "race": pl.Series(np.array(["A", "B", "C"])[race]),
    }
    show(
        f"cube of {ROWS:,} rows, 24 cells, groups as strings",
        timed(lambda: Cube.from_arrays(truth, guess, text), 3),
    )
    return codes


def bench_beside_fairlearn() -> None:
    from fairlearn.metrics import (
        MetricFrame,
        false_positive_rate,
        selection_rate,
        true_negative_rate,
        true_positive_rate,
    )

    rng = np.random.default_rng(1)
    group, truth, guess = (rng.integers(0, levels, PEER_ROWS) for levels in (10, 2, 2))
    names = ("selection_rate", "tpr", "fpr", "tnr")
    functions = (selection_rate, true_positive_rate, false_positive_rate, true_negative_rate)
    metrics = dict(zip(names, functions, strict=True))
    theirs = timed(
        lambda: MetricFrame(metrics=metrics, y_true=truth, y_pred=guess, sensitive_features=group).by_group, 3
    )
    ours = timed(lambda: Cube.from_arrays(truth, guess, {"g": group}).rates(["g"]))
    limits = [{"metric": "equalized_odds_difference", "attribute": "g", "limit": 0.05}]
    whole = timed(lambda: judged(Cube.from_arrays(truth, guess, {"g": group}), limits))
    show(f"fairlearn MetricFrame, {PEER_ROWS:,} rows, 10 groups, 4 metrics", theirs)
    show("the same rates (and seven more) from a cube", ours, f"{theirs / ours:,.0f} times faster")
    show("with verdicts (180 pairs, exact)", whole, f"{theirs / whole:,.0f} times faster")


def judged(cube: Cube, limits: list[dict[str, object]]) -> object:
    rejects.cache_clear()
    return judge(cube, limits)


def bench_judging() -> None:
    rng = np.random.default_rng(2)
    for rows, groups in ((16_281, 7), (1_000_000, 7), (240_000, 24)):
        group, truth = rng.integers(0, groups, rows), rng.random(rows) < 0.25
        guess = rng.random(rows) < np.where(truth, 0.6, 0.1)
        cube = Cube.from_arrays(truth, guess, {"g": group})
        kinds = ("demographic_parity_difference", "equalized_odds_difference", "predictive_parity_difference")
        limits = [
            {"metric": kind, "attribute": "g", "limit": 0.2} for kind in (*kinds, "accuracy_difference")
        ]
        limits.append({"metric": "demographic_parity_ratio", "attribute": "g", "limit": 0.5})
        verdicts = {verdict.verdict.value for verdict in judge(cube, limits)}
        seconds = timed(lambda cube=cube, limits=limits: judged(cube, limits), 3)
        show(f"5 limits, {groups} groups, {rows:,} rows", seconds, ", ".join(sorted(verdicts)))


if __name__ == "__main__":
    print(f"Python {platform.python_version()}, numpy {np.__version__}, polars {pl.__version__}")  # noqa: T201
    counting = bench_counting()
    bench_beside_fairlearn()
    bench_judging()
    sys.exit(counting > GOAL)
