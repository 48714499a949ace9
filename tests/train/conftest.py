"""A small real training part: the first rows of UCI Adult, with the plan that the repository ships."""

import gzip
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from tasks.ingest import described, tabular
from tasks.plan.load import load_plan
from tasks.plan.operations import Compute
from tasks.plan.plan import Plan

ROWS = 1500
QUICK = (
    "recipe.training.epochs=4",
    "recipe.training.patience=4",
    "recipe.model.hidden=[16]",
    "recipe.features.bins=8",
)


@dataclass(frozen=True)
class Sample:
    """The plan, its typed rows and what an audit sees of them."""

    plan: Plan
    frame: pl.DataFrame
    described: pl.DataFrame


def one_thread(plan: Plan) -> Plan:
    """The plan on one thread: tests that run side by side do not wait for each other's."""
    operations = plan.operations.model_copy(update={"compute": Compute(threads=1)})
    return plan.model_copy(update={"operations": operations})


@pytest.fixture(scope="session")
def sample(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    plan = one_thread(load_plan("adult", Path("data"), QUICK))
    text = gzip.decompress((mirror / "adult" / "adult.data.gz").read_bytes())
    raw = tmp_path_factory.mktemp("adult") / "adult.data"
    raw.write_bytes(b"\n".join(text.splitlines()[:ROWS]) + b"\n")
    typed = described.type_frame(tabular.read([raw], plan.judgement.data), plan.judgement)
    digests = pl.Series("row_digest", described.row_digests(typed, plan.judgement.data))
    frame = typed.with_columns(digests)
    return Sample(plan, frame, described.describe(frame, plan.judgement))
