"""What the evaluation on the test part hands on."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from tasks.evidence.records import FileRef, Record
from tasks.plan.judgement import TEST

PREDICTIONS = "predictions.csv"
CUBE = "cube.json"
TRAINING_CUBE = "training_cube.json"


def file_of(file: str, on: str) -> str:
    """What a file of the test part is called for a set of rows: ``cube.json``, ``cube-NAME.json``."""
    stem, _, ending = file.partition(".")
    return file if on == TEST else f"{stem}-{on}.{ending}"


class Estimate(Record):
    """A performance metric on the test part with its two-sided 95% interval."""

    name: str
    value: float
    low: float
    high: float
    n: int


class Evaluated(Record):
    """A set of rows, opened once.

    Attributes:
        rows: how many there are.
        predictions: predictions.csv (row_id,row_digest,score,prediction; of numbers no score).
        cube: cube.json, in the dossier.
        performance: accuracy, macro_f1, and auc where there are two classes; of numbers r2 and mae.
    """

    rows: int
    predictions: FileRef
    cube: FileRef
    performance: tuple[Estimate, ...]


class Opened(Evaluated):
    """The test part, opened once, and the audit sets with it.

    Attributes:
        audits: by name.
        clients: of federated training, those whose counts of their own test rows, added up under masks, are
            the test part's cube: all that hold test rows.
    """

    audits: dict[str, Evaluated] = Field(default_factory=dict)
    # Other dossiers are as they were before there was such a key.
    clients: tuple[str, ...] | None = Field(None, exclude_if=lambda clients: clients is None)

    def cubes(self, folder: Path) -> dict[str, Path]:
        """Where the cube of each set of rows stands in a dossier."""
        sets: dict[str, Evaluated] = {TEST: self, **self.audits}
        return {on: folder / found.cube.path for on, found in sets.items()}


class Paired(Record):
    """Two models on the same rows; "not worse" is what promotion asks for.

    Attributes:
        metric: what is compared: "accuracy", or of numbers "r2".
        n: rows.
        better: rows that only the new model gets right; of numbers, those that it is nearer to.
        worse: likewise of the old model.
        difference: the metric of the new minus that of the old.
        low: one-sided lower limit of the difference at ``alpha``; above -margin is "not worse".
        high: one-sided upper limit likewise; below -margin is "worse".
        margin: the plan's.
        alpha: level of either limit.
        verdict: "not worse", "worse" or "not shown".
    """

    metric: Literal["accuracy", "r2"] = "accuracy"
    n: int
    better: int
    worse: int
    difference: float
    low: float
    high: float
    margin: float
    alpha: float
    verdict: Literal["not worse", "worse", "not shown"]
