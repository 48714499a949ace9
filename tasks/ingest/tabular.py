"""The tabular kind: rows and columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from tasks.ingest.tables import as_text, each, joined, read_table
from tasks.plan.data import Tabular
from tasks.plan.source import CsvFormat


def read(paths: Sequence[Path], data: Tabular) -> pl.DataFrame:
    """Read the files of a part, one below the other; see :func:`tasks.ingest.tables.read_table`.

    Categories that the source spells otherwise (codes, say) get the plan's spelling.
    """
    named = data.format.names if isinstance(data.format, CsvFormat) else None
    expected = named or [*data.columns, data.label.column]
    tables = each(paths, lambda path: read_table(path, data.format, expected))
    frame = joined([as_text(table, table.columns) for table in tables])
    return frame.with_columns(
        pl.col(name).cast(pl.String).replace(column.spellings)
        for name, column in data.columns.items()
        if column.spellings and name in frame.columns
    )
