"""Time `assay retrain adult` and Unchanged as a person meets them: whole commands, medians of three.

Usage: python tests/benchmarks/bench_retrain.py [RUNS]; some five minutes. Data come from ASSAY_MIRROR or
the plan's own sources.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from infra.embedded import prefect_server
from infra.settings import Settings

PROJECT = Path(__file__).parents[2]
ASSAY = Path(sys.executable).with_name("assay")


def timed(folder: Path, *arguments: str, **environment: str) -> float:
    begun = time.perf_counter()
    subprocess.run(
        [ASSAY, *arguments], cwd=folder, env={**os.environ, **environment}, check=True, capture_output=True
    )
    return time.perf_counter() - begun


def steps_of_last_run(folder: Path) -> dict[str, float]:
    files = (folder / "var" / "dossiers" / "adult").glob("*/timings.json")
    last = max(files, key=lambda path: path.stat().st_mtime)
    seconds: dict[str, float] = json.loads(last.read_text())["seconds"]
    return seconds


def measure(folder: Path, runs: int, **environment: str) -> tuple[list[float], list[dict[str, float]]]:
    wall, steps = [], []
    for _ in range(runs):
        wall.append(timed(folder, "retrain", "adult", "--force", **environment))
        steps.append(steps_of_last_run(folder))
    return wall, steps


def show(title: str, wall: list[float], steps: list[dict[str, float]]) -> None:
    whole = statistics.median(wall)
    bodies = {name: statistics.median(one[name] for one in steps) for name in steps[0]}
    rest = whole - sum(bodies.values())
    sys.stdout.write(f"\n{title}: {whole:.1f} s (median of {len(wall)})\n\n| step | seconds |\n|---|---|\n")
    for name, seconds in bodies.items():
        sys.stdout.write(f"| {name} | {seconds:.1f} |\n")
    sys.stdout.write(f"| everything else: imports, servers, filing in MLflow | {rest:.1f} |\n")


def main(runs: int) -> None:
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as scratch:
        folder = Path(scratch)
        shutil.copytree(PROJECT / "data", folder / "data", ignore=shutil.ignore_patterns("raw", "prepared"))
        first = timed(folder, "retrain", "adult")
        sys.stdout.write(f"first retrain, cold: {first:.1f} s\n")
        unchanged = [timed(folder, "retrain", "adult") for _ in range(runs)]
        sys.stdout.write(f"Unchanged: {statistics.median(unchanged):.1f} s (median of {runs})\n")
        show("retrain, embedded server", *measure(folder, runs))
        with prefect_server(Settings(var=folder / "var")) as server:
            server.ready()
            show("retrain, warm server", *measure(folder, runs, PREFECT_API_URL=server.url))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
