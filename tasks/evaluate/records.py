"""What the evaluation on the test part hands on."""

from __future__ import annotations

from typing import Literal

from tasks.evidence.records import FileRef, Record

PREDICTIONS = "predictions.csv"
CUBE = "cube.json"
TRAINING_CUBE = "training_cube.json"


class Estimate(Record):
    """A performance metric on the test part with its two-sided 95% interval."""

    name: str
    value: float
    low: float
    high: float
    n: int


class Evaluated(Record):
    """The test part, opened once.

    Attributes:
        rows: rows of the test part.
        predictions: predictions.csv (row_id,row_digest,score,prediction), in the dossier.
        cube: cube.json, in the dossier.
        performance: accuracy and auc.
    """

    rows: int
    predictions: FileRef
    cube: FileRef
    performance: tuple[Estimate, ...]


class Paired(Record):
    """Two models on the same rows; "not worse" is what promotion asks for.

    Attributes:
        n: rows.
        better: rows that only the new model gets right.
        worse: rows that only the old model gets right.
        difference: accuracy of the new minus accuracy of the old.
        low: one-sided lower limit of the difference at ``alpha``; above -margin is "not worse".
        high: one-sided upper limit likewise; below -margin is "worse".
        margin: the plan's.
        alpha: level of either limit.
        verdict: "not worse", "worse" or "not shown".
    """

    n: int
    better: int
    worse: int
    difference: float
    low: float
    high: float
    margin: float
    alpha: float
    verdict: Literal["not worse", "worse", "not shown"]
