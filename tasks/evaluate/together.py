"""A set of rows predicted and counted by several processes: the same predictions, and cubes that add up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import reduce
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from tasks.errors import Refusal
from tasks.evaluate.evaluate import count_predictions
from tasks.evaluate.kinds import kind_of
from tasks.evaluate.predict import predict_part
from tasks.fairness.counts import Counts
from tasks.model.predictor import Predictor
from tasks.plan.judgement import TEST, Judgement


class Crew(NamedTuple):
    """Who works.

    Attributes:
        size: how many processes.
        each: ``map``, or that of a pool.
    """

    size: int
    each: Callable[..., Iterator[Any]]


@contextmanager
def crew(size: int) -> Iterator[Crew]:
    """This process alone, or a pool of ``size``."""
    if size == 1:
        yield Crew(1, map)
        return
    with ProcessPoolExecutor(size, mp_context=get_context("spawn")) as pool:
        yield Crew(size, pool.map)


def predict_together(
    by: Crew, model: Path, frame: pl.DataFrame, judgement: Judgement, on: str
) -> pl.DataFrame:
    """What the frozen model in ``model`` says of a set of rows, the same bytes by any number of processes.

    Each takes whole batches of the rows that the model scores at a time, since a row's score may differ in
    its last bit with the batch that it is in.

    Raises:
        Refusal: for rows that the model can't take; where it decides by group, also for rows of which none
            has a group that it knows.
    """
    predictor = Predictor.load(model)
    # Noise is drawn for all rows at once: of rows that are alike each has a draw of its own.
    parts = by.size if predictor.noise is None else 1
    blocks = divide(frame, predictor.network.rows_at_once, parts)
    told: Iterator[pl.DataFrame] = by.each(_predict, repeat(model), blocks, repeat(judgement), repeat(on))
    predictions = pl.concat(told)
    by_group = predictor.rule.by
    if by_group is not None and len(frame) and (by_group.positions(frame) < 0).all():
        where = "test part" if on == TEST else f"audit set {on}"
        raise Refusal(
            f"{where}: no row has a group that the model knows, so each was taken for any other one "
            f"({by_group.sentence}); give the set's column the plan's levels, by `spellings`"
        )
    return predictions


def _predict(model: Path, frame: pl.DataFrame, judgement: Judgement, on: str) -> pl.DataFrame:
    # On torch's own number of threads, as the registered model and replay are: others change the last bit.
    return predict_part(Predictor.load(model), frame, judgement, on)


def divide(frame: pl.DataFrame, at_once: int, parts: int) -> list[pl.DataFrame]:
    """At most ``parts`` parts of the rows in their order, cut at multiples of ``at_once``; at least one."""
    rows = at_once * max(1, -(-len(frame) // (at_once * parts)))
    return [frame.slice(start, rows) for start in range(0, max(1, len(frame)), rows)]


def count_together(
    by: Crew,
    predictions: pl.DataFrame,
    described: pl.DataFrame,
    judgement: Judgement,
    score_edges: Sequence[float],
) -> Counts:
    """The audit cube, the same bytes by any number of processes.

    Each counts some of the rows, and the cubes are added; sums of numbers, that depend on the order of the
    rows in their last bit, are one process's work.

    Args:
        by: who counts.
        predictions: of the rows.
        described: the same rows in the same order. Those of a unit go to one process.
        judgement: the set's own.
        score_edges: inner edges of the score's bins.

    Raises:
        EvidenceError: as :func:`tasks.evaluate.evaluate.count_predictions`.
    """
    parts = by.size if kind_of(judgement).ADDS_EXACTLY else 1
    place = pl.int_range(pl.len()) * parts // pl.len()
    if judgement.unit is not None:
        # A row without a unit is kept, for counting to refuse.
        place = pl.col("unit").rank("dense").fill_null(0) % parts
    places = described.select(place.alias("place")).to_series()
    kept = [places == part for part in places.unique().sort()]
    cubes: Iterator[Counts] = by.each(
        count_predictions,
        [predictions.filter(rows) for rows in kept],
        [described.filter(rows) for rows in kept],
        repeat(judgement),
        repeat(score_edges),
    )
    return reduce(_merged, cubes)


def _merged(one: Counts, other: Counts) -> Counts:
    return one.merge(other)  # type: ignore[arg-type] # cubes of one plan are of one kind
