"""Small judgements and samples by hand, one of each kind of data."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import polars as pl

from tasks.ingest.described import describe
from tasks.mitigate.sample import Sample
from tasks.plan.judgement import Judgement
from tests.ingest.conftest import DOCUMENT

LABEL = {"column": "label", "values": ["low", "high"], "positive": "high"}
SOURCES = [
    {"name": name, "sha256": "0" * 64, "part": part, "origins": ["file:/nowhere"]}
    for name, part in (("a", "train"), ("b", "test"))
]


def judgement_of(data: dict[str, Any], protected: dict[str, Any], **more: Any) -> Judgement:
    """A judgement of some data; its limits are of the first attribute."""
    document = copy.deepcopy(DOCUMENT["judgement"])
    document |= {"data": {"sources": SOURCES, "label": LABEL, **data}, "protected": protected, **more}
    document["limits"][0]["attribute"] = next(iter(protected))
    return Judgement.model_validate(document)


def table_of(columns: dict[str, Any], protected: dict[str, Any], **more: Any) -> Judgement:
    """A judgement of a table."""
    data = {"kind": "tabular", "format": {"type": "csv"}, "columns": columns}
    return judgement_of(data, protected, **more)


def sample_of(frame: pl.DataFrame, judgement: Judgement) -> Sample:
    """Fit rows that no step has touched, of different weights."""
    return Sample.of(frame, describe(frame, judgement), np.linspace(1, 2, frame.height))


def sizes(sample: Sample, *names: str) -> dict[tuple[str, ...], int]:
    """Rows of each cell."""
    return {tuple(cell): count for *cell, count in sample.described.group_by(*names).len().iter_rows()}


def same(one: Sample, other: Sample) -> bool:
    """Whether two samples have the same rows in the same order, bit for bit."""
    frames = one.frame.equals(other.frame) and one.described.equals(other.described)
    return frames and one.weights.tobytes() == other.weights.tobytes() and (one.made == other.made).all()
