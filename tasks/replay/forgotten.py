"""Replay of a dossier some of whose rows were forgotten since: what can still be rebuilt, and what can't."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from tasks.errors import SourceError
from tasks.evaluate.differences import changed_rows
from tasks.evaluate.evaluate import count_predictions
from tasks.evaluate.opening import edges_on
from tasks.evaluate.predict import predict_part
from tasks.evaluate.predictions import read_predictions
from tasks.evaluate.records import CUBE, PREDICTIONS, TRAINING_CUBE, file_of
from tasks.evidence.digest import digest_file
from tasks.evidence.records import Dataset
from tasks.fairness.counts import Counts, read_counts
from tasks.fairness.cube import Cube
from tasks.fairness.verdict import Judged
from tasks.fairness.words import on_set
from tasks.ingest.described import ROW_DIGEST, ROW_ID, describe
from tasks.ingest.parts import read_part
from tasks.model.predictor import Predictor
from tasks.plan import Plan
from tasks.plan.deidentification import FORGOTTEN
from tasks.privacy.tombstones import read_tombstones
from tasks.replay.records import Replayed
from tasks.replay.replay import SCORE_TOLERANCE, UNUSABLE, Replay


def forgotten_since(plan: Plan, beside: Path) -> str | None:
    """Say that persons were forgotten since a plan was locked, naming the tombstones; None if none were.

    Args:
        plan: as locked.
        beside: the plan's folder in the workspace.
    """
    privacy, stones = plan.judgement.privacy, read_tombstones(beside)
    if privacy is None or stones is None or not stones.gone:
        return None
    path = beside / FORGOTTEN
    found = digest_file(path)
    if found == privacy.forgotten:
        return None
    last = max(stone.on for stone in stones.gone)
    return (
        f"rows were forgotten since this model was judged: tombstone {path.as_posix()} (SHA-256 "
        f"{found[:12]}…, {len(stones.gone)} in all, the last on {last})"
    )


def run_without_rows(replay: Replay, rebuild: Callable[[], Dataset], told: str) -> Replayed:
    """Predict the rows that are left, check that their counts lie within those on record, and judge those.

    Args:
        replay: the dossier.
        rebuild: fetches and divides what is left of the data; needs the key of its de-identification.
        told: what happened to the rows.

    Returns:
        A replay that lacks something: the numbers on record lead to the verdicts on record, while the part
        of the forgotten rows in them can't be shown again.
    """
    notes = [told]
    try:
        notes += _predict_the_rest(replay, rebuild())
    except SourceError as error:
        notes.append(f"not predicted again: {error}")
    except UNUSABLE as error:
        replay.note("rebuilding", [f"not possible from these files: {error}"], "")
    judged: tuple[Judged, ...] = ()
    try:
        counts = {on: _filed(replay, on) for on in replay.plan.judgement.sets}
        judged = replay.judge(counts, Cube.from_json((replay.folder / TRAINING_CUBE).read_bytes()))
    except UNUSABLE as error:
        replay.note("judging", [f"not possible from these files: {error}"], "")
    return Replayed(
        checked=tuple(replay.checked),
        mismatches=tuple(replay.mismatches),
        judged=judged,
        notes=tuple(notes),
        lacking=True,
    )


def _filed(replay: Replay, on: str) -> Counts:
    return read_counts((replay.folder / file_of(CUBE, on)).read_bytes())


def _predict_the_rest(replay: Replay, dataset: Dataset) -> list[str]:
    """Compare the rows that are left with their predictions on record; say how many are gone."""
    predictor, notes = Predictor.load(replay.folder / "model"), []
    for on, own in replay.plan.judgement.sets.items():
        frame = read_part(dataset, on, own)
        again = predict_part(predictor, frame, replay.plan.judgement, on)
        recorded = read_predictions(replay.folder / file_of(PREDICTIONS, on), own)
        kept = recorded.filter(pl.col(ROW_DIGEST).is_in(frame[ROW_DIGEST].to_list()))
        # Positions have moved up where rows before them are gone.
        kept = kept.with_columns(pl.Series(ROW_ID, range(len(kept)), recorded.schema[ROW_ID]))
        replay.note(
            f"predictions{on_set(on)}",
            changed_rows(kept, again, SCORE_TOLERANCE),
            f"{len(again)} of {len(recorded)} rows predicted again, each the same",
        )
        cube = count_predictions(again, describe(frame, own), own, edges_on(predictor, on))
        _compare_counts(replay, on, cube)
        notes.append(f"{len(recorded) - len(again)} of {len(recorded)} rows{on_set(on)} are gone")
    return notes


def _compare_counts(replay: Replay, on: str, rest: Counts) -> None:
    """Counts of the rows that are left are part of those on record."""
    filed = _filed(replay, on)
    if not isinstance(filed, Cube) or not isinstance(rest, Cube):
        return
    if dict(filed.axes) != dict(rest.axes) or filed.labels != rest.labels:
        problems = ["other attributes, levels or classes than the rows have"]
    else:
        beyond = int(np.sum(rest.counts > filed.counts))
        problems = [f"{beyond} cells have more rows than on record"] if beyond else []
    replay.note(f"cube{on_set(on)}", problems, f"{rest.rows} of {filed.rows} rows recounted within it")
