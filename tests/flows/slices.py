"""Every committed plan on a small slice of its own data: the plan ``tiny`` of a workspace."""

from __future__ import annotations

import io
import re
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from tasks.ingest.archive import digest_source
from tasks.ingest.sources import fetch
from tasks.plan.source import Source
from tests.flows.conftest import ROOT, Workspace
from tests.flows.tiny import RARE
from tests.pretrained import STRUCTURE, write_pretrained

ROWS = {"train": 1500, "test": 900, "all": 2000}
RECORDINGS = re.compile(r"_(\d)\.wav$")  # the first ten of each speaker and digit
SMALL: Mapping[str, dict[str, Any]] = {
    "mlp": {"hidden": [16]},
    "cnn": {"channels": [4, 8], "hidden": [16]},
    "rnn": {"width": 8},
    "transformer": {"width": 16, "heads": 2, "layers": 1, "feedforward": 16},
    "pretrained": {**STRUCTURE, "frozen_layers": 1},
}


def slice_plan(name: str, mirror: Path, top: Path) -> Workspace:
    """Write the plan's slice: the same judgement but for what only whole data can keep, a small model.

    Args:
        name: of the committed plan.
        mirror: holds its data.
        top: a folder to make.
    """
    folder = top / "data" / "tiny"
    folder.mkdir(parents=True)
    for path in (ROOT / "data" / name).glob("*.*"):
        if path.is_file() and path.name != "manifest.json":
            shutil.copy(path, folder)
    document: dict[str, Any] = yaml.safe_load((folder / "plan.yaml").read_text())
    judgement, recipe = document["judgement"], document["recipe"]
    for data in (judgement["data"], *(each["data"] for each in judgement.get("audits", {}).values())):
        data["sources"] = [_cut(source, data, mirror, top) for source in data["sources"]]
    judgement["expectations"]["minimum_rows"] = {"train": 50, "test": 50}
    judgement["drift"] = {"maximum_drifted_share": 1.0}  # few rows differ by chance
    if (judgement.get("population") or {}).get("ratio_limits"):
        judgement["population"]["ratio_limits"] = [0.01, 100.0]
    for audit in judgement.get("audits", {}).values():
        audit["minimum_rows"] = 50
    for required in judgement["performance"]:
        required["minimum"] = 0.001
    model = recipe["model"]["kind"]
    recipe["model"] |= SMALL[model]
    recipe["training"] |= {"epochs": 2, "batch": 64}
    recipe["training"].pop("workers", None)
    if "federated" in recipe:
        recipe["federated"] |= {"rounds": 2, "local_epochs": 1}
    if "embedding" in recipe.get("features", {}):
        recipe["features"]["embedding"] = 8
    if model == "pretrained":
        recipe["model"]["files"] = _pretrained(top)
    explained = {"decisions": 1, "rows": 24, "background": 6}
    document["operations"] = {"compute": {"threads": 1}, "explanations": explained}
    workspace = Workspace(top)
    workspace.write(document)
    return workspace


def _cut(source: dict[str, Any], data: dict[str, Any], mirror: Path, top: Path) -> dict[str, Any]:
    """A source's first rows beside the plan, pinned anew."""
    whole, cut = top / "whole" / source["name"], top / source["name"]
    fetch(Source.model_validate(source), whole, mirror)
    count = ROWS[source.get("part", "all")]
    CUTS[data["format"]["type"]](whole, cut, count)
    origins = [f"file:{cut.name}"]
    kept = {key: value for key, value in source.items() if key != "members"}
    return {**kept, "sha256": digest_source(cut), "origins": origins}


def _csv(whole: Path, cut: Path, count: int) -> None:
    if whole.suffix == ".csv":  # with a header
        pl.read_csv(whole, infer_schema=False).sample(fraction=1, shuffle=True, seed=1).head(count).write_csv(
            cut
        )
        return
    lines = whole.read_text().splitlines()
    usual = [line for line in lines if "United-States" in line and not any(value in line for value in RARE)]
    cut.write_text("".join(f"{line}\n" for line in usual[:count]))


def _parquet(whole: Path, cut: Path, count: int) -> None:
    pl.read_parquet(whole).sample(count, seed=1).write_parquet(cut)


def _idx(whole: Path, cut: Path, count: int) -> None:
    content = whole.read_bytes()
    start = 4 + 4 * content[3]
    shape = [int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4)]
    each = (len(content) - start) // shape[0]
    cut.write_bytes(content[:4] + count.to_bytes(4, "big") + content[8 : start + count * each])


def _files(whole: Path, cut: Path, count: int) -> None:
    with tarfile.open(whole) as archive, tarfile.open(cut, "w") as kept:
        for member in archive:
            if RECORDINGS.search(member.name):
                stream = archive.extractfile(member)
                assert stream is not None
                kept.addfile(member, io.BytesIO(stream.read()))


CUTS = {"csv": _csv, "parquet": _parquet, "idx": _idx, "files": _files}


def _pretrained(top: Path) -> list[dict[str, Any]]:
    """A pretrained encoder in miniature, for the one that is too large for a test."""
    write_pretrained(
        top / "pretrained", ["the quick brown fox", "jumps over the lazy dog", "women and men"] * 9
    )
    return [
        {
            "name": name,
            "sha256": digest_source(top / "pretrained" / name),
            "origins": [f"file:pretrained/{name}"],
        }
        for name in ("model.safetensors", "tokenizer.json")
    ]
