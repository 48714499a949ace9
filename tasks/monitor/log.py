"""The predictions log: a row for each decision, written where the model serves, read by the monitor.

Columns, in Parquet, CSV or JSON lines (told by the file's name):

- ``row_key``: names the decision, once in the log; labels that come later find it by this;
- ``time``: ISO 8601, UTC; ``model_version``: of the registered model;
- ``prediction``: the class or number; ``score``: of classes, the probability of the positive one, of the
  predicted one where the plan names none;
- ``row_digest``: names the row by its values (`tasks.ingest.described.row_digests`);
- every described column of the plan, but those marked `personal` that nothing in the judgement asks for; of
  a text, an image or a recording what describes it, never the sample itself, nor a frame of it;
- the label, under its own name, where it is known already.

Labels come later in files of ``row_key`` and ``label``.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from tasks.errors import Refusal
from tasks.evaluate.kinds import kind_of
from tasks.evidence.digest import write_atomically
from tasks.ingest.described import row_digests
from tasks.model.prediction_log import SCHEMA
from tasks.plan.data import Text
from tasks.plan.judgement import Judgement
from tasks.plan.source import Column, CsvFormat

KEY, TIME, VERSION, LABEL = "row_key", "time", "model_version", "label"
ENDINGS = (".parquet", ".csv", ".jsonl")


def logged_columns(judgement: Judgement) -> Mapping[str, Column]:
    """The described columns that a log holds: all but personal ones and texts' frames that nothing asks for.

    A frame is the text itself but for a word: where the plan asks for one, the log holds its digest.
    """
    asked = {protected.column for protected in judgement.protected.values()} | {judgement.unit}
    hidden = frames_of(judgement)
    return {
        name: column
        for name, column in judgement.data.described().items()
        if name in asked or not (column.personal or name in hidden)
    }


def description_of(judgement: Judgement) -> dict[str, Any]:
    """What a model that is served with a log keeps of a row; `tasks.model.prediction_log` reads it."""
    data = judgement.data
    form = data.format
    return {
        "schema": SCHEMA,
        "columns": {name: column.type for name, column in logged_columns(judgement).items()},
        "nulls": form.null_values if isinstance(form, CsvFormat) else [],
        "terms": data.identities if isinstance(data, Text) else {},
    }


def frames_of(judgement: Judgement) -> frozenset[str]:
    """Columns that are a text without some of its words."""
    return frozenset(judgement.data.frames) if isinstance(judgement.data, Text) else frozenset()


def write_log(
    rows: pl.DataFrame,
    answers: pl.DataFrame,
    judgement: Judgement,
    version: str,
    path: Path,
    at: datetime | None = None,
) -> list[str]:
    """Write predictions as one file of the log; nothing of a row goes in but what the log is said to hold.

    Args:
        rows: as the plan's kind of data reads them, with the described columns.
        answers: ``prediction`` and, of classes, ``score`` of the same rows in the same order.
        judgement: of the plan; says which columns are described, and which are personal.
        version: of the registered model that answered.
        path: a new file, ending in .parquet, .csv or .jsonl.
        at: when, UTC; now when absent.

    Returns:
        Each row's key, for whoever brings its label later.

    Raises:
        ValueError: for a file that is there already, has another ending, or of other rows than the answers.
    """
    if path.exists() or path.suffix not in ENDINGS or len(rows) != len(answers):
        raise ValueError(
            f"{path}: a new file ending in {', '.join(ENDINGS)} and an answer a row are expected"
        )
    moment = (at or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="seconds")
    digests = row_digests(rows, judgement.data)
    named = (f"{digest} {moment} {version} {path.name} {i}" for i, digest in enumerate(digests))
    keys = [hashlib.sha256(name.encode()).hexdigest()[:16] for name in named]
    told = [name for name in kind_of(judgement).SCHEMA if name in ("score", "prediction")]
    hidden = frames_of(judgement)
    log = rows.select(
        _digested(name) if name in hidden else pl.col(name) for name in logged_columns(judgement)
    ).with_columns(
        pl.Series(KEY, keys, pl.String),
        pl.lit(moment).alias(TIME),
        pl.lit(version).alias(VERSION),
        pl.Series("row_digest", digests, pl.String),
        *(answers[name] for name in told),
    )
    content = io.BytesIO()
    if path.suffix == ".parquet":
        log.write_parquet(content)
    elif path.suffix == ".csv":
        log.write_csv(content)
    else:
        log.write_ndjson(content)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content.getvalue())
    return keys


def read_log(paths: Sequence[Path], judgement: Judgement) -> pl.DataFrame:
    """The log, every version's rows: columns as found, ``time`` as UTC; see `tasks.monitor.rows`.

    Raises:
        Refusal: for a file that can't be read, columns that are missing, a time that is none, a row without
            key, or a key that stands twice.
    """
    told = [name for name in kind_of(judgement).SCHEMA if name in ("score", "prediction")]
    wanted = [KEY, TIME, VERSION, *told, *logged_columns(judgement)]
    log = _joined(paths, wanted).with_columns(pl.col(KEY, VERSION).cast(pl.String))
    log = log.with_columns(_moment(log[TIME]))
    if unread := log[TIME].null_count():
        raise Refusal(f"{_named(paths)}: {unread} rows have no `{TIME}` in ISO 8601; write it as UTC")
    _require_keys(log, paths)
    return log


def read_labels(paths: Sequence[Path], known: pl.Series) -> pl.DataFrame:
    """Labels that came later: ``row_key`` and ``label``, as found.

    Args:
        paths: their files.
        known: every key of the log.

    Raises:
        Refusal: for a file that can't be read, a key that stands twice, or one that the log does not have.
    """
    labels = _joined(paths, [KEY, LABEL]).select(pl.col(KEY).cast(pl.String), LABEL)
    _require_keys(labels, paths)
    unknown = (~labels[KEY].is_in(known.implode())).arg_true()
    if len(unknown):
        raise Refusal(
            f"{_named(paths)}: {len(unknown)} of {len(labels)} labels are of rows that the log does not "
            f"have, the first in row {unknown[0] + 1}; give the log's own `{KEY}`, and all of its files"
        )
    return labels


def _digested(name: str) -> pl.Expr:
    """A text as 16 hex digits of its SHA-256: the same for the same text."""
    return pl.col(name).map_elements(
        lambda text: hashlib.sha256(text.encode()).hexdigest()[:16], return_dtype=pl.String
    )


def _joined(paths: Sequence[Path], wanted: Sequence[str]) -> pl.DataFrame:
    frames = []
    for path in paths:
        frame = _read(path)
        if lacking := [name for name in wanted if name not in frame.columns]:
            raise Refusal(
                f"{path}: columns {', '.join(lacking)} are missing; a log has {', '.join(wanted)} "
                "(docs/monitoring.md)"
            )
        frames.append(frame)
    return pl.concat(frames, how="diagonal_relaxed")


def _read(path: Path) -> pl.DataFrame:
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        if path.suffix == ".jsonl":
            return pl.read_ndjson(_held(path), infer_schema_length=None)
        if path.suffix == ".csv":
            return pl.read_csv(path, infer_schema=False)
    except pl.exceptions.PolarsError:
        # Polars quotes what it stumbled on, which may be personal: its message stays out.
        raise Refusal(f"{path}: not readable as {path.suffix[1:]}; is the file whole?") from None
    raise Refusal(f"{path}: a file ending in {', '.join(ENDINGS)} is expected")


def _held(path: Path) -> bytes:
    """A file's bytes, while no served model appends to it."""
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        return file.read()


def _moment(times: pl.Series) -> pl.Series:
    if times.dtype == pl.String:
        return times.str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
    zone = getattr(times.dtype, "time_zone", None)
    if times.dtype != pl.Datetime:
        return pl.Series(TIME, [None] * len(times), pl.Datetime("us", "UTC"))
    utc = times.dt.convert_time_zone("UTC") if zone else times.dt.replace_time_zone("UTC")
    return utc.dt.cast_time_unit("us")


def _require_keys(frame: pl.DataFrame, paths: Sequence[Path]) -> None:
    keys = frame[KEY]
    if empty := keys.null_count():
        raise Refusal(f"{_named(paths)}: {empty} rows have no `{KEY}`; every decision needs one")
    twice = keys.is_duplicated().arg_true()
    if len(twice):
        raise Refusal(
            f"{_named(paths)}: {len(twice)} rows share their `{KEY}` with another, the first is row "
            f"{twice[0] + 1}; each names one decision: is a file there twice?"
        )


def _named(paths: Sequence[Path]) -> str:
    return ", ".join(str(path) for path in paths[:3]) + (" and others" if len(paths) > 3 else "")
