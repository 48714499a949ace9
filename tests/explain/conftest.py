"""A small model of the first rows of UCI Adult, frozen, and the context that its parts work on."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from tasks.explain.budget import Budget
from tasks.explain.context import Context
from tasks.explain.explain import context_of
from tasks.ingest import described, tabular
from tasks.plan import Plan
from tasks.plan.explanations import Explanations
from tasks.plan.load import load_plan
from tasks.represent.proxies import find_proxies
from tasks.train.train import train

ROWS = 3000
QUICK = (
    "recipe.training.epochs=8",
    "recipe.training.batch=128",
    "recipe.training.optimizer.rate=0.01",
    "recipe.model.hidden=[16]",
    "recipe.features.bins=8",
    "recipe.features.embedding=4",
)
SMALL = Explanations(decisions=4, rows=60, background=10, immutable=("marital-status",))

Made = Callable[..., Context]


@pytest.fixture(scope="session")
def plan() -> Plan:
    return load_plan("adult", Path("data"), QUICK)


@pytest.fixture(scope="session")
def rows(plan: Plan, mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """Typed rows with ``row_id`` and ``row_digest``."""
    text = gzip.decompress((mirror / "adult" / "adult.data.gz").read_bytes())
    raw = tmp_path_factory.mktemp("explained") / "adult.data"
    raw.write_bytes(b"\n".join(text.splitlines()[:ROWS]) + b"\n")
    typed = described.type_frame(tabular.read([raw], plan.judgement.data), plan.judgement)
    digests = pl.Series("row_digest", described.row_digests(typed, plan.judgement.data))
    return typed.with_columns(digests, pl.Series("row_id", range(typed.height), pl.UInt32))


@pytest.fixture(scope="session")
def made(plan: Plan, rows: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Contexts of one trained model, each with a budget of its own."""
    folder = tmp_path_factory.mktemp("dossier")
    table = described.describe(rows, plan.judgement)
    train(rows, table, None, plan, folder / "model", folder / "checkpoints")
    proxies = find_proxies(rows, table, plan.judgement)

    def make(budget: Budget | None = None, settings: Explanations = SMALL) -> Context:
        allowed = budget if budget is not None else Budget(10**9, 1e9)
        return context_of(rows, table, plan, settings, folder, allowed, proxies)

    return make
