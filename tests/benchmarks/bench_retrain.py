"""Time `assay retrain adult` and Unchanged as a person meets them: whole commands, medians of three.

Orchestration is what is left of a command after its steps' bodies: interpreter, imports that no step owns,
Prefect, opening and closing the run in MLflow, the interpreter's end. CPU seconds, of the command and of the
server that it may start, tell a slow command from a busy machine.

Usage: python tests/benchmarks/bench_retrain.py [RUNS]; some five minutes. Data come from ASSAY_MIRROR or
the plan's own sources.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from infra.embedded import prefect_server
from infra.settings import Settings

PROJECT = Path(__file__).parents[2]
ASSAY = Path(sys.executable).with_name("assay")


@dataclass(frozen=True)
class Timed:
    """A command that ended well.

    Attributes:
        wall: seconds by the clock.
        cpu: seconds of all its processes and threads.
        steps: step -> seconds of its body by the clock, from the dossier; empty without a dossier.
    """

    wall: float
    cpu: float
    steps: dict[str, float]

    @property
    def orchestration(self) -> float:
        return self.wall - sum(self.steps.values())


def cpu_of_ended_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def timed(folder: Path, *arguments: str, **environment: str) -> Timed:
    before, cpu, begun = dossiers(folder), cpu_of_ended_children(), time.perf_counter()
    subprocess.run(
        [ASSAY, *arguments], cwd=folder, env={**os.environ, **environment}, check=True, capture_output=True
    )
    wall, cpu = time.perf_counter() - begun, cpu_of_ended_children() - cpu
    new = [json.loads(path.read_text())["seconds"] for path in dossiers(folder) - before]
    return Timed(wall, cpu, new[0] if new else {})


def dossiers(folder: Path) -> set[Path]:
    return set((folder / "var" / "dossiers" / "adult").glob("*/timings.json"))


def show(title: str, runs: list[Timed]) -> None:
    def middle(name: str) -> float:
        return statistics.median(getattr(run, name) for run in runs)

    what = f"{middle('wall'):.1f} s, CPU {middle('cpu'):.1f} s (medians of {len(runs)})"
    load = ", ".join(f"{average:.1f}" for average in os.getloadavg())
    sys.stdout.write(f"\n{title}: {what}; load averages {load}\n")
    if not runs[0].steps:
        return
    sys.stdout.write("\n| step | seconds |\n|---|---|\n")
    for name in runs[0].steps:
        sys.stdout.write(f"| {name} | {statistics.median(run.steps[name] for run in runs):.1f} |\n")
    sys.stdout.write(f"| orchestration: everything else | {middle('orchestration'):.1f} |\n")


def main(count: int) -> None:
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as scratch:
        folder = Path(scratch)
        shutil.copytree(PROJECT / "data", folder / "data", ignore=shutil.ignore_patterns("raw", "prepared"))
        show("assay --help", [timed(folder, "--help") for _ in range(count)])
        show("first retrain, cold", [timed(folder, "retrain", "adult")])
        show("Unchanged", [timed(folder, "retrain", "adult") for _ in range(count)])
        again = ("retrain", "adult", "--force")
        show("retrain, embedded server", [timed(folder, *again) for _ in range(count)])
        with prefect_server(Settings(var=folder / "var")) as server:
            sys.stdout.write(f"\nan embedded server's start, by itself: {server.ready():.1f} s\n")
            warm = {"PREFECT_API_URL": server.url}
            show("retrain, warm server", [timed(folder, *again, **warm) for _ in range(count)])


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
