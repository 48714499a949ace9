"""Every set of rows that a frozen model is judged on, opened once: the test part, then the audit sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from tasks.evaluate.evaluate import HUNDREDTHS, file_counted
from tasks.evaluate.predictions import check_predictions
from tasks.evaluate.records import PREDICTIONS, Opened, file_of
from tasks.evaluate.together import Crew, count_together
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
        federated: whose clients count their own rows of the test part: the cube that is filed is the sum of
            theirs. The predictions are made here nonetheless, and must give the same.

    Raises:
        EvidenceError: where predictions and rows do not agree, or the clients' sum with the predictions.
        Refusal: for rows of one class, or where a client did not count its own.
    """
    found, clients = {}, None
    for on, own in judgement.sets.items():
        told = check_predictions(predictions[on], own, file_of(PREDICTIONS, on))
        described = describe(frames[on], own)
        cube = count_together(by, told, described, own, edges_on(predictor, on))
        if federated is not None and on == TEST:  # an audit set comes from elsewhere: no client holds it
            # Flower takes a second to import.
            from tasks.evaluate.clients import cube_of_clients  # noqa: PLC0415

            cube, clients = cube_of_clients(frames[on], own, federated, folder / "model", cube)
        found[on] = file_counted(told, cube, described["label"], own, folder, on)
    test = found.pop(TEST)
    return Opened(**dict(test), audits=found, clients=clients)
