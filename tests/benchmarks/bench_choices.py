"""Optimisers and schedules side by side, for docs/choosing.md: `bench_choices.py [mnist] [adult]`.

On validation rows alone, a fifth of the training part; the test part is not read. Each optimiser is given
three rates a factor of four apart, and each schedule the best rate of Adam; the recipe is the plan's
otherwise, without steps against bias. ASSAY_MIRROR names the folder with mnist/ and adult/.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import polars as pl

sys.path.insert(0, str(Path(__file__).parents[2]))

from tasks.ingest.described import describe
from tasks.plan import Plan, load_plan, parse_plan
from tasks.train.train import train
from tests.benchmarks.bench_privacy import part_of, show

PLANS = {"mnist": "mnist", "adult": "adult-unmitigated"}
STEPS = {"mnist": {"epochs": 5, "batch": 128}, "adult": {"epochs": 12, "batch": 512}}
RATES = {
    "gradient_descent": (0.125, 0.5, 2.0),
    "sgd": (0.0125, 0.05, 0.2),
    "adam": (0.0005, 0.002, 0.008),
    "adamw": (0.0005, 0.002, 0.008),
}
SCHEDULES: tuple[dict[str, Any], ...] = (
    {"kind": "constant"},
    {"kind": "step", "epochs": 2, "factor": 0.5},
    {"kind": "exponential", "factor": 0.6},
    {"kind": "plateau", "factor": 0.5, "patience": 1},
    {"kind": "cosine", "warmup_epochs": 0.5},
)
COSINE = SCHEDULES[-1]


def plan_of(name: str, optimizer: dict[str, Any], schedule: dict[str, Any]) -> Plan:
    """The plan by another optimiser and schedule, on one thread; its name finds the sources in the mirror."""
    document = load_plan(PLANS[name], Path(__file__).parents[2] / "data").model_dump(mode="json")
    document["judgement"]["population"] = None
    document["operations"]["compute"] = {"threads": 1}
    document["recipe"]["split"] = {"validation": 0.2}
    document["recipe"]["training"] |= {
        **STEPS[name],
        "optimizer": optimizer,
        "schedule": schedule,
        "patience": None,
    }
    return parse_plan(name, document, name)


def reached(plan: Plan, frame: pl.DataFrame) -> tuple[float, float]:
    """Accuracy on the validation rows, and seconds."""
    begun = perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        found = train(
            frame, describe(frame, plan.judgement), None, plan, folder / "model", folder / "checkpoints"
        )
    return found.validation["accuracy"], perf_counter() - begun


def pairs() -> Iterator[tuple[str, float, dict[str, Any]]]:
    """Every optimiser at its rates under cosine decay."""
    for kind, rates in RATES.items():
        yield from ((kind, rate, COSINE) for rate in rates)


def compare(name: str) -> None:
    frame = part_of(plan_of(name, {"kind": "adam", "rate": 0.002}, COSINE), "train")
    show(f"## {name}: {STEPS[name]}\n\n| optimiser | rate | schedule | accuracy | s |\n|---|---|---|---|---|")
    best: tuple[float, float] = (0.0, 0.0)
    for kind, rate, schedule in pairs():
        accuracy, seconds = reached(plan_of(name, {"kind": kind, "rate": rate}, schedule), frame)
        show(f"| {kind} | {rate:g} | cosine | {accuracy:.4f} | {seconds:.0f} |")
        best = max(best, (accuracy, rate)) if kind == "adam" else best
    for schedule in SCHEDULES[:-1]:
        accuracy, seconds = reached(plan_of(name, {"kind": "adam", "rate": best[1]}, schedule), frame)
        show(f"| adam | {best[1]:g} | {schedule} | {accuracy:.4f} | {seconds:.0f} |")


if __name__ == "__main__":
    for each in sys.argv[1:] or PLANS:
        compare(each)
