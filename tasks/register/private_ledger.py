"""The ledger of private rows, kept in MLflow: which trainings learned from which rows, under what noise.

Each training that draws on a budget leaves a line on its own run: the tag ``assay.private`` and, as a file,
the digests of its rows. A budget is the rows', so the lines of every plan count, those of deleted runs too.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType
from pydantic import ValidationError

from tasks.errors import RegistryError
from tasks.evidence.digest import write_atomically
from tasks.plan.differential import DpSgd
from tasks.privacy.budget import Line, Origin, Rows, draw
from tasks.privacy.records import Drawn, Mechanism
from tasks.register.register import Filing

TAG = "assay.private"
LONGEST = 8000
"""Characters of a tag; MLflow cuts a longer one without a word."""
FILE = "private_rows.u64"
"""Sorted digests of the rows, little-endian 64-bit integers: which rows they are, not what is in them."""


@dataclass(frozen=True)
class Training:
    """A training that is about to begin.

    Attributes:
        rows: digest of every row to learn from, hexadecimal.
        mechanism: all of its steps, whether a crash will keep it from taking them or not.
        key: digest of recipe and rows.
        goes_on: whether a crash left it begun; if its line is found, nothing more is drawn.
        origin: of the rows.
    """

    rows: Sequence[str]
    mechanism: Mechanism
    key: str
    goes_on: bool
    origin: Origin


def draw_private(training: Training, member: DpSgd, filing: Filing) -> Drawn:
    """Draw a training on the budget of its rows, before it begins.

    Args:
        training: its rows and steps.
        member: says the budget and delta.
        filing: the run that trains.

    Returns:
        What was drawn; with a problem, and nothing written, where the budget does not have it, or the line
        is longer than MLflow keeps.

    Raises:
        RegistryError: when MLflow can't be read or written, or a line or its rows are missing or altered.
    """
    rows = np.unique(np.array([int(row, 16) for row in training.rows], np.uint64))
    lock = FileLock(filing.locks / "private-rows.lock")
    with lock, filing.connection.doing("draw on the ledger of private rows") as client:
        lines = _lines(client)
        sets = {line.rows: _rows(client, line) for line in {line.rows: line for line in lines}.values()}
        if training.goes_on and any(line.key == training.key for line in lines):
            return draw(lines, sets, rows, training.origin, None, member)
        drawn = draw(lines, sets, rows, training.origin, training.mechanism, member)
        if not drawn.problem:
            line = Line(
                key=training.key,
                rows=_digest(rows),
                mechanism=training.mechanism,
                run=filing.run_id,
                origin=training.origin,
            )
            if len(written := json.dumps(line.model_dump(mode="json"), sort_keys=True)) > LONGEST:
                return drawn.model_copy(update={"problem": _too_long(line, written)})
            _write(client, line.run, written, rows)
        return drawn


def _lines(client: MlflowClient) -> list[Line]:
    """Of every run, in the order of their ids."""
    experiments = [each.experiment_id for each in client.search_experiments(view_type=ViewType.ALL)]
    found, token = list[Line](), None
    while True:
        page = client.search_runs(experiments, f"tags.`{TAG}` LIKE '%'", ViewType.ALL, page_token=token)
        found += [_line(run) for run in page]
        if not (token := page.token):
            return sorted(found, key=lambda line: line.run)


def _line(run: Run) -> Line:
    try:
        return Line.model_validate_json(run.data.tags[TAG])
    except ValidationError:
        raise RegistryError(
            f"the tag {TAG} of MLflow run {run.info.run_id} is no line of the ledger of private rows: what "
            "they have spent is unknown; restore it"
        ) from None


def _too_long(line: Line, written: str) -> str:
    sources = len(line.origin.sources) if line.origin else 0
    return (
        f"the ledger of private rows can't note this training: its line names {sources} source files in "
        f"{len(written):,} characters, and MLflow keeps {LONGEST:,} of a tag; put the rows into fewer files"
    )


def _rows(client: MlflowClient, line: Line) -> Rows:
    with tempfile.TemporaryDirectory(prefix="assay-ledger-") as scratch:
        if not any(item.path == FILE for item in client.list_artifacts(line.run)):
            raise RegistryError(
                f"{FILE} is gone from MLflow run {line.run}: what its rows have spent is unknown; restore it"
            )
        rows = np.frombuffer(Path(client.download_artifacts(line.run, FILE, scratch)).read_bytes(), "<u8")
    if _digest(rows.astype(np.uint64)) != line.rows:
        raise RegistryError(
            f"{FILE} of MLflow run {line.run} was changed: what its rows have spent is unknown; restore it"
        )
    return rows.astype(np.uint64)


def _write(client: MlflowClient, run: str, line: str, rows: Rows) -> None:
    """The rows, then the tag that makes it a line: a kill between them has drawn nothing."""
    with tempfile.TemporaryDirectory(prefix="assay-ledger-") as scratch:
        write_atomically(Path(scratch) / FILE, rows.astype("<u8").tobytes())
        client.log_artifact(run, str(Path(scratch) / FILE))
    client.set_tag(run, TAG, line)


def _digest(rows: Rows) -> str:
    return hashlib.sha256(rows.astype("<u8").tobytes()).hexdigest()
