"""Adult as its plan prepares it, and a tiny judgement, for the tests of this room."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import TypeAdapter

from tasks.evidence.digest import digest_file
from tasks.ingest import described as described_table
from tasks.ingest import tabular
from tasks.plan.judgement import Judgement
from tasks.plan.load import parse_plan, read_document
from tasks.plan.plan import Plan

ADULT = Path(__file__).parents[2] / "data" / "adult"
RAKING = {"margins": ["sex", "race", "age_band", "sex x race"]}


@pytest.fixture(scope="session")
def adult_plan() -> Callable[..., Plan]:
    """Adult's plan, with the given keys of `judgement.population` instead of its own."""

    def make(**population: Any) -> Plan:
        document = read_document(ADULT / "plan.yaml")
        document["judgement"]["population"] = {
            "file": "population.csv",
            "sha256": digest_file(ADULT / "population.csv"),
            "source": "CPS 1994",
            "attributes": ["sex", "race", "age_band", "sex x race"],
            **population,
        }
        return parse_plan("adult", document, where="a test")

    return make


@pytest.fixture(scope="session")
def adult(
    mirror: Path, adult_plan: Callable[..., Plan], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], pl.DataFrame]:
    """A part of Adult, typed: ``adult("train")``, ``adult("test")``."""
    judgement, folder = adult_plan(raking=RAKING).judgement, tmp_path_factory.mktemp("adult")
    frames = {}
    for part, name in (("train", "adult.data"), ("test", "adult.test")):
        raw = folder / name
        raw.write_bytes(gzip.decompress((mirror / "adult" / f"{name}.gz").read_bytes()))
        frames[part] = described_table.type_frame(tabular.read([raw], judgement.data), judgement)
    return frames.__getitem__


@pytest.fixture(scope="session")
def described(adult: Callable[[str], pl.DataFrame], adult_plan: Callable[..., Plan]) -> pl.DataFrame:
    """Adult's training part as an audit sees it."""
    return described_table.describe(adult("train"), adult_plan(raking=RAKING).judgement)


@pytest.fixture
def town(tmp_path: Path) -> Callable[..., Judgement]:
    """A judgement on a small town: attributes `sex` and `area`, 60% F, half north, in tmp_path."""
    (tmp_path / "town.csv").write_text("sex,area,count\nF,north,30\nF,south,30\nM,north,20\nM,south,20\n")

    def make(reference: str | None = None, **changes: Any) -> Judgement:
        if reference is not None:
            (tmp_path / "town.csv").write_text(reference)
        population = {
            "file": "town.csv",
            "sha256": digest_file(tmp_path / "town.csv"),
            "source": "made up",
            "attributes": ["sex", "area"],
            **({"raking": {"margins": ["sex", "area"]}} if "ratio_limits" not in changes else {}),
            **changes,
        }
        document = {
            "data": {
                "kind": "tabular",
                "sources": [{"name": "town.data", "sha256": "0" * 64, "origins": ["file:town.data"]}],
                "format": {"type": "csv"},
                "columns": {"sex": {"type": "category"}, "area": {"type": "category"}},
                "label": {"column": "y", "values": ["0", "1"], "positive": "1"},
            },
            "protected": {"sex": {"column": "sex"}, "area": {"column": "area"}},
            "expectations": {"minimum_rows": {"train": 1, "test": 1}},
            "population": population,
            "limits": [{"metric": "demographic_parity_difference", "attribute": "sex", "limit": 0.1}],
            "performance": [{"metric": "accuracy", "minimum": 0.5}],
        }
        return TypeAdapter(Judgement).validate_python(document)

    return make


@pytest.fixture(scope="session")
def rows() -> Callable[..., pl.DataFrame]:
    """Described rows from counts: ``rows({("F", "north"): 3})``."""

    def make(counts: dict[tuple[str, str], int]) -> pl.DataFrame:
        every = [cell for cell, n in counts.items() for _ in range(n)]
        return pl.DataFrame(every, schema={"sex": pl.String, "area": pl.String}, orient="row")

    return make
