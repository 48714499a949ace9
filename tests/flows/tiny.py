"""The plan ``tiny``: Adult's, with a small model, on some thousand of its rows."""

from __future__ import annotations

import gzip
import hashlib
import shutil
from pathlib import Path
from typing import Any

import yaml

ADULT = Path(__file__).parents[2] / "data" / "adult"
ROWS = {"train": 4000, "test": 2500}
# Values that 4,000 training rows may hold too seldom for a test row with one to be predicted.
RARE = ("Never-worked", "Without-pay", "Armed-Forces", "Priv-house-serv", "Preschool", "Married-AF-spouse")


def write_tiny(mirror: Path, top: Path) -> dict[str, Any]:
    """Write card, population and sources, and return the plan's values.

    Args:
        mirror: holds Adult.
        top: a folder to make.
    """
    (top / "data" / "tiny").mkdir(parents=True)
    for name in ("card.md", "population.csv"):
        shutil.copy(ADULT / name, top / "data" / "tiny" / name)
    document: dict[str, Any] = yaml.safe_load((ADULT / "plan.yaml").read_text())
    sources = []
    for part, count in ROWS.items():
        content = "".join(f"{line}\n" for line in _adult(mirror, part)[:count]).encode()
        (top / f"{part}.csv").write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        source = {"name": f"{part}.csv", "sha256": digest, "part": part, "origins": [f"file:{part}.csv"]}
        sources.append(source)
    document["judgement"]["data"]["sources"] = sources
    document["judgement"] |= {
        "expectations": {"minimum_rows": {"train": 3000, "test": 2000}},
        "limits": [{"metric": "demographic_parity_difference", "attribute": "sex", "limit": 0.5}],
        "performance": [{"metric": "accuracy", "minimum": 0.7}],
        "too_small": {"policy": "inconclusive"},
    }
    document["recipe"] = {
        "seed": 1,
        "features": {"embedding": 4, "bins": 16},
        "model": {"kind": "mlp", "hidden": [16]},
        "training": {"epochs": 3, "batch": 256, "optimizer": {"rate": 0.01}},
    }
    explained = {"decisions": 2, "rows": 40, "background": 10}
    document["operations"] = {"compute": {"threads": 1}, "explanations": explained}
    return document


def _adult(mirror: Path, part: str) -> list[str]:
    name = {"train": "adult.data", "test": "adult.test"}[part]
    with gzip.open(next(mirror.rglob(f"{name}.gz")), "rt") as file:
        lines = file.read().splitlines()
    return [line for line in lines if "United-States" in line and not any(value in line for value in RARE)]
