"""Every set of rows that a frozen model is judged on, opened once: the test part, then the audit sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from tasks.evaluate.evaluate import HUNDREDTHS, file_counted
from tasks.evaluate.predictions import check_predictions
from tasks.evaluate.records import PREDICTIONS, Opened, file_of
from tasks.evaluate.together import Crew, count_together
from tasks.ingest.clients import clients_of
from tasks.ingest.described import describe
from tasks.model.predictor import Predictor
from tasks.model.rule import ClassRule
from tasks.plan.federated import Federated
from tasks.plan.judgement import TEST, Judgement

Frames = Mapping[str, pl.DataFrame]


def edges_on(predictor: Predictor, on: str) -> Sequence[float]:
    """Inner edges of the bins: those fixed on validation rows, or hundredths for an audit set's scores."""
    rule = predictor.rule
    return HUNDREDTHS if on != TEST and isinstance(rule, ClassRule) else rule.score_edges


def open_sets(
    frames: Frames,
    predictions: Frames,
    judgement: Judgement,
    predictor: Predictor,
    folder: Path,
    by: Crew,
    federated: Federated | None = None,
) -> Opened:
    """File what the frozen model said of every set of rows, with its counts.

    Args:
        frames: the typed rows of each set by its name.
        predictions: of these rows, from :func:`tasks.evaluate.predict.predict_part`.
        judgement: of the plan.
        predictor: the frozen model.
        folder: the dossier's folder.
        by: who counts.
        federated: whose clients count their own rows of the test part; their cubes are added.

    Raises:
        EvidenceError: where predictions and rows do not agree.
        Refusal: for rows of one class.
    """
    found = {}
    for on, own in judgement.sets.items():
        told = check_predictions(predictions[on], own, file_of(PREDICTIONS, on))
        described = describe(frames[on], own)
        # An audit set comes from elsewhere: no client holds it.
        apart = clients_of(frames[on], own, federated) if federated is not None and on == TEST else None
        cube = count_together(by, told, described, own, edges_on(predictor, on), apart)
        found[on] = file_counted(told, cube, described["label"], own, folder, on)
    test = found.pop(TEST)
    return Opened(**dict(test), audits=found)
