"""The tabular kind: rows and columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from tasks.ingest.tables import joined, read_table
from tasks.plan.data import Tabular


def read(paths: Sequence[Path], data: Tabular) -> pl.DataFrame:
    """Read the files of a part, one below the other; see :func:`tasks.ingest.tables.read_table`."""
    expected = [*data.columns, data.label.column]
    return joined([read_table(path, data.format, expected) for path in paths])
