"""Time and peak memory of `assay audit`, whole process: `python tests/benchmarks/bench_audit.py`.

The goal is 2 seconds on 100,000 rows; 10 million rows show that memory does not follow the file.
`--rows N` measures one size alone; `--limit GB` audits a CSV and a Parquet file, each more than twice as
large as the data that the process may hold (RLIMIT_DATA, which also counts what is reserved and never used).
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

ROOT = Path(__file__).parents[2]
SIZES = (100_000, 10_000_000)
GOAL = 2.0
REPEATS = {100_000: 3}
BATCH = 1_000_000
PIECE, UNITS = 250_000, 200_000
COLUMNS = ("--label", "truth", "--prediction", "guess", "--group", "race", "--group", "sex")


def table(rows: int, seed: int) -> pl.DataFrame:
    """Predictions that are right in about 85% of rows, with their score."""
    rng = np.random.default_rng(seed)
    truth = rng.random(rows) < 0.3
    score = np.clip(0.45 * truth + 0.55 * rng.random(rows), 0, 1).round(4)
    return pl.DataFrame(
        {
            "id": np.arange(rows),
            "race": pl.Series(np.array(["White", "Black", "Asian", "Other"])[rng.integers(0, 4, rows)]),
            "sex": pl.Series(np.array(["Female", "Male"])[rng.integers(0, 2, rows)]),
            "truth": truth.astype(np.int8),
            "guess": (score > 0.45).astype(np.int8),
            "score": score,
        }
    )


def write(rows: int, folder: Path) -> list[Path]:
    """The same rows as CSV and as Parquet."""
    parts = [table(min(BATCH, rows - start), start) for start in range(0, rows, BATCH)]
    whole, csv, parquet = pl.concat(parts), folder / f"{rows}.csv", folder / f"{rows}.parquet"
    whole.write_csv(csv)
    whole.write_parquet(parquet)
    return [csv, parquet]


def write_large(size: float, folder: Path) -> list[Path]:
    """Rows of some 116 bytes with weights and 200,000 units, as CSV and as Parquet of `size` GB or more."""
    csv, parquet = folder / "large.csv", folder / "large.parquet"
    letters = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz0123456789", np.uint8)
    drawn = np.random.default_rng(0).integers(0, len(letters), (PIECE, 80), np.uint8)
    note = pl.Series(letters[drawn].view("S80").ravel()).cast(pl.String)
    with csv.open("wb") as handle, tempfile.TemporaryDirectory(dir=folder) as parts:
        for i in range(int(size * 1e9 / 105 / PIECE) + 1):
            rng = np.random.default_rng(i)
            part = table(PIECE, i).with_columns(
                person=rng.integers(0, UNITS, PIECE),
                weight=rng.integers(1, 40, PIECE) / 8,
                note=note,
            )
            part.write_csv(handle, include_header=i == 0)
            part.write_parquet(Path(parts) / f"{i:05}.parquet", compression="uncompressed")
        pl.scan_parquet(Path(parts) / "*.parquet").sink_parquet(parquet, compression="uncompressed")
    return [csv, parquet]


def bench_limited(limit: float) -> None:
    """Audits under a limit; a process that asks for more data than it ends with an error."""
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as scratch:
        for path in write_large(2.1 * limit, Path(scratch)):
            for more in (("--score", "score"), ("--unit", "person", "--weight", "weight")):
                outputs = ("--html", f"{scratch}/page.html", "--json", f"{scratch}/a.json")
                audit = [str(Path(sys.executable).with_name("assay")), "audit", str(path), *COLUMNS]
                limited = ["/bin/sh", "-c", f'ulimit -d {int(limit * 1e6)}; exec "$@"', "sh"]
                wall, cpu, memory = measure([*limited, *audit, *more, *outputs])
                what = f"{path.stat().st_size / 1e9:.2f} GB of {path.suffix[1:]}, {more[0]}, limit {limit} GB"
                print(f"{what:<52} {wall:>7.1f} s  {cpu:>7.1f} s of processor  {memory:>6.0f} MB")  # noqa: T201


def measure(command: list[str]) -> tuple[float, float, float]:
    """Seconds, seconds of processor time and peak memory in MB of a process that judges something."""
    begun = time.perf_counter()
    child = os.posix_spawn(
        command[0],
        command,
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, usage = os.wait4(child, 0)
    if os.waitstatus_to_exitcode(status) not in {0, 3, 4}:
        raise SystemExit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int)
    parser.add_argument("--limit", type=float)
    rows, limit = parser.parse_args().rows, parser.parse_args().limit
    print(f"Python {platform.python_version()}, polars {pl.__version__}, load {os.getloadavg()[0]:.1f}")  # noqa: T201
    if limit:
        bench_limited(limit)
        return 0
    slowest = 0.0
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as scratch:
        for size in (rows,) if rows else SIZES:
            for path in write(size, Path(scratch)):
                for more in ((), ("--score", "score")):
                    page = (
                        "--html",
                        str(Path(scratch) / "page.html"),
                        "--json",
                        str(Path(scratch) / "a.json"),
                    )
                    script = str(Path(sys.executable).with_name("assay"))
                    command = [script, "audit", str(path), *COLUMNS, *more, *page]
                    wall, cpu, memory = min(measure(command) for _ in range(REPEATS.get(size, 1)))
                    what = f"{size:,} rows, {path.suffix[1:]}{', with a score' if more else ''}"
                    print(f"{what:<44} {wall:>7.2f} s  {cpu:>7.2f} s of processor  {memory:>6.0f} MB")  # noqa: T201
                    slowest = max(slowest, wall if size == SIZES[0] else 0.0)
                path.unlink()
    return int(slowest > GOAL)


if __name__ == "__main__":
    sys.exit(main())
