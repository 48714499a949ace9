"""The kinds of data: one module each, that reads files into samples and says what describes them.

From there on all kinds are alike (`tasks.ingest.described`); what a model makes of a sample stands with
the model, in `tasks.model.features`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import polars as pl

from tasks.ingest import audio, image, tabular, text
from tasks.plan.data import Dataset


class Kind(Protocol):
    """What a kind of data can do."""

    def read(self, paths: Sequence[Path], data: Any) -> pl.DataFrame:
        """Read the files of one part as they are: a row for each sample, nothing judged.

        The frame has the described columns, the label's, and the payload's if the kind has one.
        """


KINDS: Mapping[str, Kind] = MappingProxyType(
    {"audio": audio, "image": image, "tabular": tabular, "text": text}
)


def kind_of(data: Dataset) -> Kind:
    """The module for a plan's data."""
    return KINDS[data.kind]  # type: ignore[attr-defined] # every member has its kind
