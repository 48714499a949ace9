"""The audit cube by several processes: each predicts and counts some of the rows; their cubes are added."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import reduce
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path

import polars as pl

from tasks.evaluate.evaluate import count_predictions
from tasks.evaluate.predict import predict_part
from tasks.fairness.counts import Counts
from tasks.ingest.described import describe
from tasks.model.predictor import Predictor
from tasks.plan.judgement import Judgement
from tasks.train.device import deterministic


def count_together(model: Path, frame: pl.DataFrame, judgement: Judgement, workers: int) -> Counts:
    """The cube of a frozen model's predictions, the same as one process counts.

    Args:
        model: folder of the frozen model.
        frame: typed rows with ``row_id`` and ``row_digest``; at least one.
        judgement: names the attributes, the label and the unit. Rows of a unit go to one process.
        workers: processes, at least 1; no more are started than there are parts.

    Raises:
        Refusal: for rows that the model can't take.
    """
    parts = divide(frame, judgement, workers)
    with ProcessPoolExecutor(len(parts), mp_context=get_context("spawn")) as pool:
        cubes = list(pool.map(count, repeat(model), parts, repeat(judgement)))
    return reduce(_merged, cubes)


def divide(frame: pl.DataFrame, judgement: Judgement, parts: int) -> list[pl.DataFrame]:
    """At most ``parts`` parts of the rows, none of them empty; no two share a unit."""
    place = pl.int_range(pl.len()) * parts // pl.len()
    if judgement.unit is not None:
        # A row without a unit is kept, for counting to refuse.
        place = pl.col(judgement.unit).cast(pl.String).rank("dense").fill_null(0) % parts
    places = frame.select(place.alias("place")).to_series()
    return [frame.filter(places == part) for part in places.unique().sort()]


def count(model: Path, frame: pl.DataFrame, judgement: Judgement) -> Counts:
    """The cube of one part, on one thread."""
    predictor = Predictor.load(model)
    with deterministic(1):
        predictions = predict_part(predictor, frame, judgement)
    return count_predictions(predictions, describe(frame, judgement), judgement, predictor.rule.score_edges)


def _merged(one: Counts, other: Counts) -> Counts:
    return one.merge(other)  # type: ignore[arg-type] # cubes of one plan are of one kind
