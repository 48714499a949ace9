"""What the evaluation on the test part hands on."""

from __future__ import annotations

from tasks.evidence.records import FileRef, Record


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
