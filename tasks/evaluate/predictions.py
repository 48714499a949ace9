"""predictions.csv: what the frozen model said of every test row, in a form that has one spelling.

Columns: ``row_id`` (position in the part), ``row_digest`` (16 hex digits of the raw row), ``score``
(probability of the positive class; of the predicted class where the plan names none), as the
shortest decimal that reads back as the same 32-bit float, and ``prediction`` (the class). Of a predicted
number there is no score, and ``prediction`` is the number, spelled likewise.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import polars as pl

from tasks.errors import EvidenceError
from tasks.evaluate.kinds import kind_of
from tasks.evidence.digest import write_atomically
from tasks.plan.judgement import Judgement


def check_predictions(predictions: pl.DataFrame, judgement: Judgement, where: str) -> pl.DataFrame:
    """The predictions with exactly the columns and types that the label's kind has.

    Raises:
        EvidenceError: for missing columns, missing values, repeated rows, scores outside [0, 1], or numbers
            that are not finite.
    """
    kind = kind_of(judgement)
    if lacking := [name for name in kind.SCHEMA if name not in predictions.columns]:
        raise EvidenceError(
            f"{where}: columns {', '.join(kind.SCHEMA)} are expected, missing: {', '.join(lacking)}"
        )
    typed = predictions.select(pl.col(name).cast(own) for name, own in kind.SCHEMA.items())
    problems = [
        f"{name} has {count} missing values"
        for name, count in typed.null_count().row(0, named=True).items()
        if count
    ]
    problems += kind.problems(typed)
    if repeated := len(typed) - typed["row_id"].n_unique():
        problems.append(f"{repeated} rows occur twice")
    if problems:
        raise EvidenceError(f"{where}: " + "; ".join(problems))
    return typed


def write_predictions(predictions: pl.DataFrame, judgement: Judgement, path: Path) -> None:
    """Write predictions.csv atomically; the same predictions give the same bytes.

    Raises:
        EvidenceError: as `check_predictions`.
    """
    typed = check_predictions(predictions, judgement, path.name)
    name = kind_of(judgement).FLOAT
    shortest = typed[name].to_numpy().astype(np.float32).astype(np.str_)
    content = typed.with_columns(pl.Series(name, shortest, dtype=pl.String)).write_csv()
    write_atomically(path, content.encode())


def read_predictions(path: Path, judgement: Judgement) -> pl.DataFrame:
    """Read what `write_predictions` wrote, with its columns and types.

    Raises:
        EvidenceError: for a file that can't be read as predictions.
    """
    text = dict.fromkeys(kind_of(judgement).SCHEMA, pl.String)
    try:
        raw = pl.read_csv(io.BytesIO(path.read_bytes()), schema_overrides=text)
        return check_predictions(raw, judgement, path.name)
    except pl.exceptions.PolarsError as error:
        raise EvidenceError(f"{path.name}: predictions are expected, found: {error}") from error
