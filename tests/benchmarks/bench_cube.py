"""How fast rows and files are counted and judged: `python tests/benchmarks/bench_cube.py [FILE_ROWS]`.

Prints medians. Goals: 10 million rows in 24 cells in at most 0.3 s; FILE_ROWS (100 million, some 400 MB in a
temporary folder) from Parquet in under 2 GB of memory and at most twice the time of reading the file alone
with polars, three times with a score. Each file measurement is a process of its own, reader and counter by
turns.
"""

from __future__ import annotations

import json
import platform
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parents[2]))

from tasks.fairness import Cube, judge
from tasks.fairness.columns import Codes
from tasks.fairness.exact import rejects

ROWS, FILE_ROWS, PIECE, REPEATS = 10_000_000, 100_000_000, 5_000_000, 5
GOAL, MEMORY_GOAL = 0.3, 2.0


def timed(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Median seconds of a few calls."""
    times = []
    for _ in range(repeats):
        start = perf_counter()
        work()
        times.append(perf_counter() - start)
    return median(times)


def show(what: str, seconds: float, note: str = "") -> None:
    print(f"{what:<72} {seconds * 1e3:>10.1f} ms  {note}", flush=True)  # noqa: T201 - a report


def columns(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return tuple(rng.integers(0, levels, rows, dtype=np.uint8) for levels in (2, 3, 2, 2))


def bench_counting() -> float:
    sex, race, truth, guess = columns(ROWS)
    plain = {"sex": sex, "race": race}
    coded = {"sex": Codes(sex, ("F", "M")), "race": Codes(race, ("A", "B", "C"))}
    rng = np.random.default_rng(1)
    score, weight, unit = rng.random(ROWS), rng.random(ROWS) + 0.5, rng.integers(0, ROWS // 10, ROWS)
    wide = [column.astype(np.int64) for column in (sex, race, truth, guess)]
    text = {
        "sex": pl.Series(np.array(["Female", "Male"])[sex]),
        "race": pl.Series(np.array(["A", "B", "C"])[race]),
    }
    ways: dict[str, Callable[[], Cube]] = {
        "dictionary codes": lambda: Cube.from_arrays(truth, guess, coded),
        "uint8": lambda: Cube.from_arrays(truth, guess, plain),
        "int64": lambda: Cube.from_arrays(wide[2], wide[3], {"sex": wide[0], "race": wide[1]}),
        "groups as strings": lambda: Cube.from_arrays(truth, guess, text),
        "uint8, and a score": lambda: Cube.from_arrays(truth, guess, plain, score=score),
        "uint8, and weights": lambda: Cube.from_arrays(truth, guess, plain, weight=weight),
        "uint8, and a million units": lambda: Cube.from_arrays(truth, guess, plain, unit=unit),
    }
    seconds = {}
    for what, way in ways.items():
        seconds[what] = timed(way, 1 if "units" in what else 3)
        goal = f"goal {GOAL * 1e3:.0f} ms" if what == "dictionary codes" else ""
        show(f"cube of {ROWS:,} rows, 24 cells, {what}", seconds[what], goal)
    return seconds["dictionary codes"]


def write_file(path: Path, rows: int) -> None:
    """Two dictionary columns, two int8 and a float32 score, written in pieces."""
    names = pl.Enum(["Female", "Male"]), pl.Enum(["A", "B", "C"])
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        for i, start in enumerate(range(0, rows, PIECE)):
            sex, race, truth, guess = columns(min(PIECE, rows - start), i)
            score = np.random.default_rng(i).random(len(sex), dtype=np.float32)
            codes = {"sex": pl.Series(sex).cat.to(names[0]), "race": pl.Series(race).cat.to(names[1])}
            numbers = {"y": truth.astype(np.int8), "k": guess.astype(np.int8), "s": score}
            frame = pl.DataFrame({**codes, **numbers}).with_columns(
                pl.col("sex", "race").cast(pl.Categorical)
            )
            frame.write_parquet(Path(folder) / f"{i:04}.parquet")
        pl.scan_parquet(Path(folder) / "*.parquet").sink_parquet(path)


def measure_file(path: Path, what: str, score: str | None) -> None:
    """In a process of its own: print seconds, CPU seconds and the most memory, in GB."""
    names = ["sex", "race", "y", "k", *([score] if score else [])]
    start, cpu = perf_counter(), process_time()
    if what == "read":
        rows = len(pl.read_parquet(path, columns=names))
    else:
        rows = Cube.from_file(path, y_true="y", y_pred="k", groups=["sex", "race"], score=score).rows
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps([perf_counter() - start, process_time() - cpu, memory, rows]))  # noqa: T201


def bench_file(rows: int) -> None:
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder:
        path = Path(folder) / "rows.parquet"
        write_file(path, rows)
        for score, goal in (("", 2), ("s", 3)):
            found: dict[str, list[list[float]]] = {"read": [], "cube": []}
            for _ in range(3):
                for what, times in found.items():
                    command = [sys.executable, __file__, "--file", str(path), what, score]
                    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                    times.append(json.loads(output))
            (read, read_cpu, *_), (seconds, cpu, memory, counted) = (
                [median(column) for column in zip(*times, strict=True)] for times in found.values()
            )
            assert counted == rows
            columns_ = f"{rows:,} rows of Parquet, {5 if score else 4} columns"
            show(f"{columns_}: reading alone", read, f"CPU {read_cpu:.1f} s")
            note = (
                f"CPU {cpu:.1f} s; {seconds / read:.2f} x reading (goal {goal}), CPU {cpu / read_cpu:.2f} x"
            )
            show(f"{columns_}: the cube", seconds, f"{note}; {memory:.2f} GB (goal {MEMORY_GOAL:.0f})")


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

        def again(cube: Cube = cube, limits: list[dict[str, object]] = limits) -> None:
            rejects.cache_clear()
            judge(cube, limits)

        show(f"5 limits, {groups} groups, {rows:,} rows", timed(again, 3), ", ".join(sorted(verdicts)))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--file"]:
        measure_file(Path(sys.argv[2]), sys.argv[3], sys.argv[4] or None)
        sys.exit()
    print(f"Python {platform.python_version()}, numpy {np.__version__}, polars {pl.__version__}")  # noqa: T201
    counting = bench_counting()
    bench_judging()
    bench_file(int(sys.argv[1]) if len(sys.argv) > 1 else FILE_ROWS)
    if counting > GOAL:
        print(f"the goal of {GOAL} s was missed")  # noqa: T201
