"""predictions.csv: what the frozen model said of every test row, in a form that has one spelling.

Columns: ``row_id`` (position in the part), ``row_digest`` (16 hex digits of the raw row), ``score``
(probability of the positive class; of the predicted class where there are more than two), as the
shortest decimal that reads back as the same 32-bit float, and ``prediction`` (the class).
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import polars as pl

from tasks.errors import EvidenceError
from tasks.evidence.digest import write_atomically

SCHEMA = {"row_id": pl.UInt32, "row_digest": pl.String, "score": pl.Float32, "prediction": pl.String}


def check_predictions(predictions: pl.DataFrame, where: str) -> pl.DataFrame:
    """The predictions with exactly the columns and types of `SCHEMA`.

    Raises:
        EvidenceError: for missing columns, missing values, repeated rows, or scores outside [0, 1].
    """
    if lacking := [name for name in SCHEMA if name not in predictions.columns]:
        raise EvidenceError(
            f"{where}: columns {', '.join(SCHEMA)} are expected, missing: {', '.join(lacking)}"
        )
    typed = predictions.select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
    problems = [
        f"{name} has {count} missing values"
        for name, count in typed.null_count().row(0, named=True).items()
        if count
    ]
    score = typed["score"]
    if outside := int((~score.is_between(0, 1)).sum()):
        problems.append(f"{outside} scores lie outside [0, 1] or are no number")
    if repeated := len(typed) - typed["row_id"].n_unique():
        problems.append(f"{repeated} rows occur twice")
    if problems:
        raise EvidenceError(f"{where}: " + "; ".join(problems))
    return typed


def write_predictions(predictions: pl.DataFrame, path: Path) -> None:
    """Write predictions.csv atomically; the same predictions give the same bytes.

    Raises:
        EvidenceError: as `check_predictions`.
    """
    typed = check_predictions(predictions, path.name)
    shortest = typed["score"].to_numpy().astype(np.float32).astype(np.str_)
    content = typed.with_columns(score=pl.Series(shortest, dtype=pl.String)).write_csv()
    write_atomically(path, content.encode())


def read_predictions(path: Path) -> pl.DataFrame:
    """Read what `write_predictions` wrote, with the columns of `SCHEMA`.

    Raises:
        EvidenceError: for a file that can't be read as predictions.
    """
    text = dict.fromkeys(SCHEMA, pl.String)
    try:
        raw = pl.read_csv(io.BytesIO(path.read_bytes()), schema_overrides=text)
        return check_predictions(raw, path.name)
    except pl.exceptions.PolarsError as error:
        raise EvidenceError(f"{path.name}: predictions are expected, found: {error}") from error
