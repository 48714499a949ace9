"""Memory of training on millions of rows: `bench_memory.py [ROWS]`, 10,000,000 by default.

ACSIncome's rows repeated, prepared as the pipeline leaves them; then one epoch of the plan income-acs in a
process of its own, from the prepared file to the frozen model. Needs ASSAY_MIRROR with acs_income_2018.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

ROWS, GOAL_GB = 10_000_000, 4
PROJECT = Path(__file__).parents[2]


def show(what: str, figure: str, note: str = "") -> None:
    print(f"{what:<50} {figure:>12}  {note}", flush=True)  # noqa: T201 - a report


def write_part(rows: int, path: Path) -> int:
    """Prepare the rows as the pipeline would; how many there are."""
    import polars as pl

    from tasks.ingest.parts import read_sources
    from tasks.plan import load_plan

    plan = load_plan("income-acs", PROJECT / "data")
    frame = read_sources(Path(os.environ["ASSAY_MIRROR"]) / "acs_income_2018", plan.judgement.data)["all"]
    copies = -(-rows // len(frame))
    # Each copy is named apart, or all of them would fall on one side of the division.
    named = [
        frame.with_columns(row_digest=pl.lit(f"{i:02x}") + pl.col("row_digest").str.slice(2))
        for i in range(copies)
    ]
    whole = pl.concat(named).head(rows)
    whole.with_columns(pl.Series("row_id", range(len(whole)), pl.UInt32)).write_parquet(path)
    return len(whole)


def train_on(rows: int, path: Path) -> None:
    """In a process of its own: read, describe, train one epoch; prints what it took."""
    from tasks.evidence.records import Dataset, FileRef, Part
    from tasks.plan import load_plan
    from tasks.train.part import train_part

    plan = load_plan("income-acs", PROJECT / "data", ["recipe.training.epochs=1"])
    part = Part(file=FileRef.of(path), rows=rows)
    dataset = Dataset(name=plan.name, sources=(), train=part, test=part, digest="0" * 64)
    begun = time.perf_counter()
    trained = train_part(dataset, None, plan, path.parent, path.parent / "checkpoints")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    told = {"seconds": time.perf_counter() - begun, "peak": peak, "fit_rows": trained.fit_rows}
    print(json.dumps(told))  # noqa: T201 - read by the process that measures


def main(rows: int) -> None:
    show(
        f"Python {platform.python_version()}",
        "",
        f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors",
    )
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as name:
        path = Path(name) / "train.parquet"
        prepared = [sys.executable, __file__, "write", str(rows), str(path)]
        subprocess.run(prepared, check=True)
        done = subprocess.run(
            [sys.executable, __file__, "train", str(rows), str(path)],
            check=True,
            capture_output=True,
            text=True,
        )
    told = json.loads(done.stdout.splitlines()[-1])
    show(f"{told['fit_rows']:,} rows learned from, one epoch", f"{told['seconds']:.0f} s")
    show("peak of resident memory", f"{told['peak'] / 1e9:.2f} GB", f"goal {GOAL_GB} GB")


STEPS = {"write": write_part, "train": train_on}

if __name__ == "__main__":
    if len(sys.argv) == 4:
        STEPS[sys.argv[1]](int(sys.argv[2]), Path(sys.argv[3]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS)
