"""The kinds of data: each is one module with the same verbs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import polars as pl

from tasks.ingest import tabular
from tasks.plan.judgement import Judgement


class Kind(Protocol):
    """What a kind of data can do; its third verb, tensors, stands with the model."""

    def read(self, path: Path, judgement: Judgement) -> pl.DataFrame:
        """Read one raw file as it is: a row for each sample, nothing judged."""

    def type_frame(self, frame: pl.DataFrame, judgement: Judgement) -> pl.DataFrame:
        """Give the columns the plan's types; a value that has none becomes null."""

    def describe(self, frame: pl.DataFrame, judgement: Judgement) -> pl.DataFrame:
        """One row for each sample: protected attributes, label and unit, as text."""


KINDS: Mapping[str, Kind] = MappingProxyType({"tabular": tabular})


def kind_of(judgement: Judgement) -> Kind:
    """The module for the plan's data."""
    return KINDS[judgement.data.kind]
