"""New rows, from the log or from files, as one table: typed columns, prediction, score, label if it came."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from tasks.errors import Refusal
from tasks.evaluate.kinds import kind_of
from tasks.evaluate.predict import predict_part
from tasks.evaluate.predictions import check_predictions
from tasks.evidence.digest import digest_of
from tasks.evidence.records import FileRef
from tasks.ingest.described import type_frame, typed_label
from tasks.ingest.parts import read_rows
from tasks.model.predictor import Predictor
from tasks.monitor.log import KEY, LABEL, TIME, VERSION, logged_columns, read_labels, read_log
from tasks.monitor.records import NewRows
from tasks.plan.data import Number
from tasks.plan.judgement import Judgement
from tasks.plan.monitoring import Monitoring
from tasks.privacy.deidentify import raw_columns


def read_new(
    monitoring: Monitoring,
    judgement: Judgement,
    version: str,
    model: Path,
    snapshot: Path,
    now: datetime | None = None,
) -> NewRows:
    """Read what the plan says is new, and keep it as one table for the look.

    Args:
        monitoring: where the rows come from.
        judgement: of the champion.
        version: of the champion; the log's rows of others are left out.
        model: folder of the frozen model, which predicts the files of rows.
        snapshot: gets the table: Parquet, one row a decision.
        now: the end of the window, UTC.

    Raises:
        Refusal: no file is there, one can't be read or lacks columns, no row is the champion's, a key stands
            twice, labels of unknown rows, a class or number that the plan does not have, raw values of a
            plan with de-identification.
    """
    left: dict[str, int] = {}
    if monitoring.log is not None:
        files = _files(monitoring.log, "log")
        log = read_log(files, judgement)
        own = _of_version(log, version, left)
        own = _windowed(own, monitoring.window_days, now or datetime.now(UTC), left)
        files, frame = _with_labels(files, own, log[KEY], monitoring, judgement)
        first, last = (_text(frame[TIME].min()), _text(frame[TIME].max()))
    else:
        files, first, last = _files(str(monitoring.rows), "rows"), "", ""
        frame = _predicted(files, judgement, model)
    frame = _checked(frame, judgement)
    if (privacy := judgement.privacy) is not None and (raw := raw_columns(frame, privacy)):
        raise Refusal(
            "operations.monitoring: new rows are expected as the champion's are, de-identified; "
            f"{', '.join(raw)} held what judgement.privacy replaces. Nothing was kept (docs/privacy.md)"
        )
    frame.write_parquet(snapshot)
    label = judgement.data.label.column
    known = frame.filter(pl.col(label).is_not_null())
    return NewRows(
        files=tuple(FileRef.of(path) for path in files),
        snapshot=FileRef.of(snapshot),
        rows=len(frame),
        labelled=len(known),
        left_out=left,
        first=first,
        last=last,
        digest=_digest(frame),
        digest_labelled=_digest(known, label),
        short=_short(len(frame), monitoring),
    )


def _files(pattern: str, name: str) -> list[Path]:
    found = sorted(Path(path) for path in glob.glob(pattern, recursive=True) if Path(path).is_file())  # noqa: PTH207 - an absolute pattern too
    if not found:
        raise Refusal(
            f"operations.monitoring.{name}: no file is there by {pattern!r}, seen from {Path.cwd()}"
        )
    return found


def _of_version(log: pl.DataFrame, version: str, left: dict[str, int]) -> pl.DataFrame:
    own = log.filter(pl.col(VERSION) == version)
    if own.is_empty():
        others = ", ".join(log[VERSION].drop_nulls().unique().sort().to_list()) or "none"
        raise Refusal(
            f"operations.monitoring.log: {len(log)} rows, and none of the champion, version {version}; "
            f"`{VERSION}` names: {others}. Nothing is known of it until its own predictions are logged"
        )
    if others_n := len(log) - len(own):
        left["of another version of the model"] = others_n
    return own


def _windowed(log: pl.DataFrame, days: int | None, now: datetime, left: dict[str, int]) -> pl.DataFrame:
    if days is None:
        return log
    kept = log.filter(pl.col(TIME) > now - timedelta(days=days))
    if kept.is_empty():
        raise Refusal(
            f"operations.monitoring.log: no row of the last {days} days; the last is of "
            f"{_text(log[TIME].max())}"
        )
    if before := len(log) - len(kept):
        left[f"older than {days} days"] = before
    return kept


def _with_labels(
    files: Sequence[Path],
    frame: pl.DataFrame,
    known: pl.Series,
    monitoring: Monitoring,
    judgement: Judgement,
) -> tuple[list[Path], pl.DataFrame]:
    """The rows with their labels; a pattern that finds no file yet finds no label."""
    column = judgement.data.label.column
    if monitoring.labels is None:
        return list(files), frame if column in frame.columns else frame.with_columns(
            pl.lit(None).alias(column)
        )
    more = sorted(Path(path) for path in glob.glob(monitoring.labels, recursive=True))  # noqa: PTH207 - as above
    kept = frame.drop(column, strict=False)
    if not more:
        return list(files), kept.with_columns(pl.lit(None).alias(column))
    labels = read_labels(more, known).rename({LABEL: column})
    return [*files, *more], kept.join(labels, on=KEY, how="left", maintain_order="left")


def _predicted(files: Sequence[Path], judgement: Judgement, model: Path) -> pl.DataFrame:
    """New rows of the data's own format, with what the champion says of them."""
    frame = read_rows(files, judgement.data)
    label = judgement.data.label.column
    if label not in frame.columns:
        frame = frame.with_columns(pl.lit(None, pl.String).alias(label))
    if lacking := [name for name in judgement.data.described() if name not in frame.columns]:
        raise Refusal(f"{files[0]}: columns {', '.join(lacking)} are missing, which the plan declares")
    frame = frame.with_columns(
        pl.int_range(len(frame), dtype=pl.UInt32).alias("row_id"),
        pl.int_range(len(frame)).cast(pl.String).alias(KEY),
    )
    typed = type_frame(frame, judgement)
    try:
        told = predict_part(Predictor.load(model), typed, judgement)
    except Refusal as refusal:
        reason = str(refusal).removeprefix("test part: ")
        named = ", ".join(str(path) for path in files)
        raise Refusal(f"operations.monitoring.rows: {named}: {reason}") from refusal
    return typed.with_columns(told[name] for name in told.columns if name in ("score", "prediction"))


def _checked(frame: pl.DataFrame, judgement: Judgement) -> pl.DataFrame:
    """Typed, with predictions of the right form and labels that the plan knows."""
    label = judgement.data.label
    if frame.is_empty():
        raise Refusal("operations.monitoring: the files hold no row")
    came = len(frame[label.column].drop_nulls())
    typed = type_frame(frame.with_columns(pl.col(label.column).cast(pl.String)), judgement).with_columns(
        pl.int_range(len(frame), dtype=pl.UInt32).alias("row_id"),
        pl.col("row_digest" if "row_digest" in frame.columns else KEY).cast(pl.String).alias("row_digest"),
    )
    told = check_predictions(_castable(typed, judgement), judgement, "new rows")
    typed = typed.with_columns(told.get_columns())
    values = [typed[label.column], *([] if isinstance(label, Number) else [typed["prediction"]])]
    unread = came - len(typed[label.column].drop_nulls())
    strange = unread + sum(_outside(series, judgement) for series in values)
    if strange:
        expected = f"{label.minimum:g} to {label.maximum:g}" if isinstance(label, Number) else label.values
        raise Refusal(f"new rows: {strange} labels or predictions are none that the plan has: {expected}")
    kept = [*logged_columns(judgement), label.column, KEY, *kind_of(judgement).SCHEMA]
    return typed.select(*dict.fromkeys(kept))


def _castable(frame: pl.DataFrame, judgement: Judgement) -> pl.DataFrame:
    """Predictions in their types; what can't be read as such is missing, which is refused."""
    label, schema = judgement.data.label, kind_of(judgement).SCHEMA
    told = frame.select(pl.col(name).cast(own, strict=False) for name, own in schema.items())
    if isinstance(label, Number):
        return told
    spelled = told.with_columns(pl.col("prediction").alias(label.column)).select(typed_label(label))
    return told.with_columns(spelled[label.column].alias("prediction"))


def _outside(values: pl.Series, judgement: Judgement) -> int:
    label, given = judgement.data.label, values.drop_nulls()
    if isinstance(label, Number):
        return int((~given.is_between(label.minimum, label.maximum)).sum())
    return int((~given.is_in(label.values)).sum())


def _digest(frame: pl.DataFrame, *label: str) -> str:
    """Equal decisions, and equal labels where they are asked for, have one digest, in whatever order."""
    columns = [KEY, "row_digest", "prediction", *label]
    return digest_of(frame.select(pl.col(columns).cast(pl.String)).sort(KEY).rows())


def _short(rows: int, monitoring: Monitoring) -> str:
    if rows >= monitoring.minimum_rows:
        return ""
    return f"{rows} new rows, operations.monitoring.minimum_rows {monitoring.minimum_rows}: too few to judge"


def _text(moment: object) -> str:
    return moment.isoformat(timespec="seconds") if isinstance(moment, datetime) else ""
