"""The predictions log as the served model keeps it: a line of JSON for each answer, in one file.

Whoever serves the model names the file (`ASSAY_PREDICTION_LOG`) before it is loaded; without it nothing is
kept. The monitor reads it: docs/monitoring.md says what its columns are. Which columns of a row go in is
decided at registration, from the plan; no others do, and never the sample of a text, image or recording.

Several processes may append to one file: each call's lines are written under a lock, all or none. It is
opened anew for each call, so it may be moved away while the model serves.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .columns import Spellings
from .described import Terms, made_of_samples
from .inputs import Features

if TYPE_CHECKING:
    from .predictor import Predictor

SETTING = "ASSAY_PREDICTION_LOG"
SCHEMA = "assay.prediction_log/1"
ENDING = ".jsonl"
BLOCK = 65536


class NotLoggedError(ValueError):
    """The log can't be written: the model is not loaded, or gives no answer."""


@dataclass(frozen=True)
class PredictionLog:
    """Where answers are kept, and what of a row goes with them.

    Attributes:
        path: of the file.
        version: of the registered model.
        columns: name -> integer, number or category.
        nulls: spellings of a missing value.
        terms: of texts: column -> level -> the words that name it.
        features: of the model; None where nothing follows from a sample.
        classes: that are predicted; none where a number is.
        positive: the class whose probability is the score; None where the predicted one's is.
    """

    path: Path
    version: str
    columns: Mapping[str, str]
    nulls: tuple[str, ...] = ()
    terms: Terms = field(default_factory=dict)
    features: Features | None = None
    classes: tuple[str, ...] = ()
    positive: str | None = None

    def write(self, rows: pd.DataFrame, answer: pd.DataFrame) -> list[str]:
        """Append a line for each answer, and return their keys: labels that come later name rows by these.

        Args:
            rows: as the model was given them.
            answer: what it says of them, in the same order.

        Raises:
            NotLoggedError: a column is missing, or the file can't be written; then nothing of it was.
        """
        made = {} if self.features is None else made_of_samples(self.features, rows, self.terms)
        if lacking := [name for name in self.columns if name not in made and name not in rows.columns]:
            raise NotLoggedError(
                f"{SETTING}: the predictions log keeps the columns {', '.join(self.columns)}, and the rows "
                f"have no {', '.join(lacking)}: nothing is answered"
            )
        keys = [secrets.token_hex(16) for _ in range(len(rows))]
        moment = datetime.now(UTC).isoformat(timespec="seconds")
        table = {
            "row_key": keys,
            "time": [moment] * len(rows),
            "model_version": [self.version] * len(rows),
            "prediction": answer["prediction"].tolist(),
            **self._scores(answer),
            **{
                name: made[name] if name in made else self._values(kind, rows[name])
                for name, kind in self.columns.items()
            },
        }
        lines = (dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True))
        self._append("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode())
        return keys

    def _scores(self, answer: pd.DataFrame) -> dict[str, list[Any]]:
        """The probability of the positive class; of the predicted one where the plan names none."""
        if not self.classes:
            return {}
        told = [name for name in answer.columns if str(name).startswith("probability")]
        if told:
            own = f"probability_{self.positive}"
            kept = [own] if self.positive is not None and own in told else told
            return {"score": answer[kept].max(axis=1).astype(float).tolist()}
        # Answers with noise come without any: they are taken as certain, as where they were judged.
        return {"score": [float(self.positive in (None, said)) for said in answer["prediction"]]}

    def _values(self, kind: str, given: pd.Series) -> list[Any]:
        """A column's values as the plan types them; None for what is missing or can't be read as such."""
        if kind == "category":
            spelled = Spellings.of(given, self.nulls)
            texts = (*spelled.texts, None)
            return [texts[code] for code in spelled.codes]
        read = pd.to_numeric(given.where(~given.isin(self.nulls)), errors="coerce").to_numpy(np.float64)
        if kind == "number":
            return [value if np.isfinite(value) else None for value in read.tolist()]
        return [int(value) if np.isfinite(value) and value == np.floor(value) else None for value in read]

    def _append(self, content: bytes) -> None:
        try:
            with self.opened() as file:
                end = _whole(file)
                written = os.write(file, content)
                if written != len(content):  # the disk is full, or a limit is reached: none rather than some
                    os.ftruncate(file, end)
                    raise NotLoggedError(
                        f"{SETTING}: {self.path} took {written} of {len(content)} bytes; nothing is answered"
                    )
        except OSError as error:
            raise NotLoggedError(
                f"{SETTING}: {self.path} can't be written, so nothing is answered: {error}"
            ) from error

    @contextmanager
    def opened(self) -> Iterator[int]:
        """The file, made if it is not there, readable by its owner alone, and held by nobody else.

        Raises:
            OSError: it can't be opened for appending, or not locked.
        """
        file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)  # and with it the lock


def prediction_log(
    environment: Mapping[str, str], described: Path, version: str, predictor: Predictor
) -> PredictionLog | None:
    """The log that the environment names, found writable; None where it names none.

    Args:
        environment: of the process that serves the model.
        described: what registration wrote of it.
        version: of the registered model; "" where it is not known.
        predictor: the model.

    Raises:
        NotLoggedError: a log is named and can't be kept.
    """
    if not (named := environment.get(SETTING)):
        return None
    path = Path(named)
    if path.suffix != ENDING:
        raise NotLoggedError(f"{SETTING}: a file ending in {ENDING} is expected, found {named!r}")
    if not described.is_file():
        raise NotLoggedError(
            f"{SETTING}: this model was registered without a predictions log: retrain, or leave it unset"
        )
    if not version:
        raise NotLoggedError(
            f"{SETTING}: a model that is loaded by its files does not know which version it is: load it as "
            "models:/NAME/VERSION or models:/NAME@ALIAS"
        )
    stored = json.loads(described.read_bytes())
    if stored.get("schema") != SCHEMA:
        raise NotLoggedError(f"{described}: schema {SCHEMA!r} expected, found {stored.get('schema')!r}")
    log = PredictionLog(
        path,
        version,
        stored["columns"],
        tuple(stored["nulls"]),
        stored["terms"],
        predictor.features,
        getattr(predictor.rule, "classes", ()),
        getattr(predictor.rule, "positive", None),
    )
    try:
        with log.opened() as file:
            _whole(file)
            return log
    except OSError as error:
        told = f"{SETTING}: {path} can't be written, and the model is not loaded: {error}"
        raise NotLoggedError(told) from error


def _whole(file: int) -> int:
    """Length of the file without a line that a killed writer began; its answer was never given."""
    end = whole = os.fstat(file).st_size
    while whole > 0:
        begin = max(0, whole - BLOCK)
        found = os.pread(file, whole - begin, begin).rfind(b"\n")
        if found >= 0:
            whole = begin + found + 1
            break
        whole = begin
    if whole != end:
        os.ftruncate(file, whole)
    return whole
