"""How fast drift is measured on every row, beside Evidently: `python tests/benchmarks/bench_drift.py`.

The same two parts in one run: 1 million rows x 15 columns, the same pinned distances by Evidently's drift
preset and by `tasks.represent.distances`. The goal is 40 times faster; the values must agree.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import warnings
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parents[2]))

from tasks.represent.distances import category_distance, number_distance

ROWS, NUMBERS, CATEGORIES, REPEATS = 1_000_000, 9, 6, 5
GOAL = 40


def part(seed: int, shift: float) -> pl.DataFrame:
    """Nine numbers (some whole, some mostly 0, one heavy-tailed) and six categories of 2 to 40 values."""
    rng = np.random.default_rng(seed)
    numbers = {
        **{f"normal {i}": rng.normal(shift * i, 1, ROWS) for i in range(4)},
        **{f"whole {i}": rng.integers(i, 90 + i, ROWS).astype(float) for i in range(3)},
        "mostly zero": np.where(rng.random(ROWS) < 0.95, 0.0, rng.pareto(2, ROWS) * 1000),
        "heavy": rng.pareto(1.5, ROWS) * 1e4,
    }
    sizes = (2, 5, 7, 16, 25, 40)
    words = {
        f"category {n}": np.array([f"value {i}" for i in range(n)])[rng.integers(0, n, ROWS)] for n in sizes
    }
    return pl.DataFrame({**numbers, **words})


def distances(before: pl.DataFrame, now: pl.DataFrame) -> dict[str, float]:
    return {
        name: (category_distance if name.startswith("category") else number_distance)(before[name], now[name])
        for name in before.columns
    }


def by_evidently(before: pl.DataFrame, now: pl.DataFrame) -> tuple[dict[str, float], float]:
    """Values, and seconds from data frames in memory to values; the import is not counted."""
    os.environ["DO_NOT_TRACK"] = "1"
    warnings.simplefilter("ignore")
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    words = [name for name in before.columns if name.startswith("category")]
    definition = DataDefinition(
        numerical_columns=[name for name in before.columns if name not in words], categorical_columns=words
    )
    frames = now.to_pandas(), before.to_pandas()
    start = perf_counter()
    parts = [Dataset.from_pandas(frame, data_definition=definition) for frame in frames]
    preset = DataDriftPreset(cat_method="jensenshannon", num_method="wasserstein")
    metrics = json.loads(Report([preset]).run(*parts).json())["metrics"]
    seconds = perf_counter() - start
    each = [metric for metric in metrics if metric["config"]["type"].endswith(":ValueDrift")]
    return {metric["config"]["column"]: float(metric["value"]) for metric in each}, seconds


def main() -> int:
    before, now = part(1, 0.0), part(2, 0.05)
    times = []
    for _ in range(REPEATS):
        start = perf_counter()
        ours = distances(before, now)
        times.append(perf_counter() - start)
    theirs, slow = by_evidently(before, now)
    worst = max(abs(ours[name] - theirs[name]) / max(theirs[name], 1e-12) for name in ours)
    fast = median(times)
    what = f"{ROWS:,} rows x {NUMBERS + CATEGORIES} columns"
    for line in (
        f"Python {platform.python_version()}, numpy {np.__version__}, polars {pl.__version__}",
        f"{'Evidently drift preset, ' + what:<60} {slow:>8.2f} s",
        f"{'the same distances':<60} {fast:>8.2f} s  {slow / fast:,.0f} times faster, goal {GOAL}",
        f"{'largest relative difference of a value':<60} {worst:>8.1e}",
    ):
        print(line)  # noqa: T201 - a report
    return int(slow / fast < GOAL or worst > 1e-9 or set(ours) != set(theirs))


if __name__ == "__main__":
    sys.exit(main())
