"""The served model keeps a log, which the monitor reads; what can't be kept is not answered."""

from __future__ import annotations

import json
import os
import traceback
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import polars as pl
import pytest

from tasks.ingest.audio import describe_samples
from tasks.ingest.image import describe_pixels
from tasks.ingest.text import made_of_text
from tasks.model import prediction_log
from tasks.model.audio import AudioFeatures, Spectrogram
from tasks.model.described import made_of_samples
from tasks.model.image import ImageFeatures
from tasks.model.prediction_log import SETTING, NotLoggedError, PredictionLog
from tasks.model.predictor import Predictor
from tasks.model.text import TextFeatures
from tasks.monitor.log import description_of
from tasks.monitor.records import NewRows
from tasks.monitor.rows import read_new
from tasks.plan.data import Text
from tasks.plan.judgement import Judgement
from tasks.plan.monitoring import Monitoring
from tasks.plan.source import Column
from tasks.register.client import Connection
from tasks.register.model import log_model
from tasks.register.registry import create_version
from tasks.register.runs import start
from tasks.register.verify import predict
from tests.explain.media import pictures, recordings
from tests.register.conftest import COLUMNS
from tests.represent.judgements import tiny

SECRETS = {"name": Column(type="category", personal=True), "sex": Column(type="category", personal=True)}


@pytest.fixture(scope="module")
def judgement() -> Judgement:
    """Nothing asks for a person's name; the limit asks for the sex."""
    columns = {name: column.model_dump() for name, column in {**COLUMNS, **SECRETS}.items()}
    data = tiny(columns, "sex", protected={"sex": {"column": "sex"}}).model_dump(mode="json")["data"]
    data |= {"format": {"type": "csv", "null_values": ["?"]}}
    data |= {"label": {"column": "y", "values": ["<=50K", ">50K"], "positive": ">50K"}}
    return tiny(columns, "sex", protected={"sex": {"column": "sex"}}, data=data)


@pytest.fixture(scope="module")
def people(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(sex=["Female", "Male"] * 20, name=[f"person {n}" for n in range(40)])


@pytest.fixture
def registered(
    connection: Connection, tmp_path: Path, model_folder: Path, people: pd.DataFrame, judgement: Judgement
) -> str:
    """Version 1 of ``adult``; the address of its files."""
    columns: dict[str, Column | None] = {**COLUMNS, **SECRETS}
    run_id = start(connection, "adult", tmp_path, {})
    kept = description_of(judgement)
    uri = log_model(connection, run_id, model_folder, people, columns, {}, kept=kept).uri
    create_version(connection, "adult", "a" * 32, uri, {}, "")
    return uri


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "log" / "answers.jsonl"
    path.parent.mkdir()
    monkeypatch.setenv(SETTING, str(path))
    return path


def look(judgement: Judgement, log: Path, model: Path) -> tuple[NewRows, pl.DataFrame]:
    watched = Monitoring(log=str(log), labels=str(log.parent / "labels.csv"), minimum_rows=2)
    found = read_new(watched, judgement, "1", model, log.parent / "snapshot.parquet")
    return found, pl.read_parquet(log.parent / "snapshot.parquet")


def test_what_is_served_is_what_the_monitor_reads(
    registered: str,
    log: Path,
    connection: Connection,
    judgement: Judgement,
    people: pd.DataFrame,
    predictor: Predictor,
    model_folder: Path,
) -> None:
    assert connection.client.get_registered_model("adult").name == "adult"
    model = mlflow.pyfunc.load_model("models:/adult/1")
    told = pd.concat([model.predict(people[:30]), model.predict(people[30:])])
    assert told["row_key"].is_unique
    pd.DataFrame({"row_key": told["row_key"][:25], "label": [">50K", "<=50K"] * 12 + [">50K"]}).to_csv(
        log.parent / "labels.csv", index=False
    )
    found, read = look(judgement, log, model_folder)
    assert (found.rows, found.labelled, found.left_out) == (40, 25, {})
    expected = predictor.predict(people)
    assert read["row_key"].to_list() == told["row_key"].tolist()
    assert read["prediction"].to_list() == expected["prediction"].tolist()
    assert read["score"].to_list() == pytest.approx(expected["probability"].tolist())
    assert read["y"].to_list()[:2] == [">50K", "<=50K"]
    assert read["age"].to_list() == people["age"].tolist()
    assert read["gain"].to_list() == [None if pd.isna(value) else value for value in people["gain"]]
    assert read["work"].to_list() == [None if value == "?" else value for value in people["work"]]
    assert read["code"].to_list() == [str(value) for value in people["code"]]
    assert read["sex"].to_list() == people["sex"].tolist()
    assert "person" not in log.read_text()
    assert oct(log.stat().st_mode)[-3:] == "600"

    predict(connection, "models:/adult/1", people)  # a check of what was registered decides on nobody
    assert len(log.read_text().splitlines()) == 40


def test_a_log_that_cannot_be_kept_is_refused_at_load(
    registered: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for named, uri, problem in (
        ("absent/a.jsonl", "models:/adult/1", "can't be written, and the model is not loaded: .*No such"),
        ("answers.csv", "models:/adult/1", "a file ending in .jsonl is expected, found '.*answers.csv'"),
        ("a.jsonl", registered, "does not know which version it is: load it as models:/NAME/VERSION"),
    ):
        monkeypatch.setenv(SETTING, str(tmp_path / named))
        with pytest.raises(ValueError, match=problem):
            mlflow.pyfunc.load_model(uri)
    assert not list(tmp_path.glob("*.jsonl"))


def kept(path: Path) -> PredictionLog:
    return PredictionLog(path, "1", {"age": "integer"}, classes=("0", "1"), positive="1")


ANSWER = pd.DataFrame({"prediction": ["1", "0"], "probability": [0.75, 0.25]})
ASKED = pd.DataFrame({"age": [20, 30]})


def test_what_cannot_be_written_whole_is_not_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = kept(tmp_path / "answers.jsonl")
    first = log.write(ASKED, ANSWER)
    with pytest.raises(NotLoggedError, match="the rows have no age: nothing is answered"):
        log.write(ASKED.drop(columns="age"), ANSWER)
    (tmp_path / "full.jsonl").symlink_to("/dev/full")
    with pytest.raises(NotLoggedError, match=r"so nothing is answered: .*No space left"):
        kept(tmp_path / "full.jsonl").write(ASKED, ANSWER)

    whole = log.path.read_bytes()
    write = prediction_log.os.write
    with monkeypatch.context() as patched:  # a disk that takes some of it
        patched.setattr(prediction_log.os, "write", lambda file, content: write(file, content[:30]))
        with pytest.raises(NotLoggedError, match=r"took 30 of \d+ bytes; nothing is answered"):
            log.write(ASKED, ANSWER)
    assert log.path.read_bytes() == whole
    log.path.write_bytes(whole + b'{"row_key": "of a writer that was kil')
    second = log.write(ASKED, ANSWER)
    lines = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert [line["row_key"] for line in lines] == [*first, *second]
    assert [line["score"] for line in lines] == [0.75, 0.25] * 2


def serve(path: Path, calls: int) -> int:
    """Serve in a child process, whose id it returns.

    The child leaves without Python's own end: what other tests have left for that fails in a child.
    """
    if child := os.fork():
        return child
    try:
        for _ in range(calls):
            kept(path).write(ASKED, ANSWER)
        os._exit(0)
    finally:
        traceback.print_exc()
        os._exit(1)


def test_processes_that_serve_together_lose_and_mix_no_line(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    together = [serve(path, 50) for _ in range(4)]
    assert [os.waitpid(child, 0)[1] for child in together] == [0] * 4
    lines: list[dict[str, Any]] = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == len({line["row_key"] for line in lines}) == 4 * 50 * 2


def test_scores_are_those_that_were_judged(tmp_path: Path) -> None:
    """Of a positive class, else of the predicted one; certain where an answer has noise."""
    three = pd.DataFrame({"prediction": ["b", "c"], "probability_a": [0.1, 0.2], "probability_b": [0.6, 0.3]})
    three["probability_c"] = [0.3, 0.5]
    for classes, positive, answer, score in (
        (("a", "b", "c"), None, three, [0.6, 0.5]),
        (("a", "b", "c"), "a", three, [0.1, 0.2]),
        (("0", "1"), "1", ANSWER[["prediction"]], [1.0, 0.0]),
        (("a", "b", "c"), None, three[["prediction"]], [1.0, 1.0]),
        (("a", "b", "c"), "c", three[["prediction"]], [0.0, 1.0]),
        ((), None, pd.DataFrame({"prediction": [3.5, 4.0]}), [None, None]),
    ):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.jsonl"
        PredictionLog(path, "1", {"age": "integer"}, classes=classes, positive=positive).write(ASKED, answer)
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert [line.get("score") for line in lines] == score


def test_texts_images_and_recordings_are_described_as_ingest_describes_them() -> None:
    said = [
        "That WOMAN sang, and sang!",
        "two  men and a lady 12\u00b2",
        "\uff37\uff4f\uff4d\uff45\uff4e of the \u0e01\u0e33\u0e25\u0e31\u0e07",
        "\U0001f469\u200d\U0001f680 na\u0308ive don't",
        "\u00c9COLE \u01c5 womanly 3.14 snake_case",
        "...",
    ]
    terms = {"who": {"women": ["woman", "women", "lady"], "men": ["man", "two men", "men"]}}
    data = Text.model_validate(
        {
            "kind": "text",
            "format": {"type": "csv"},
            "text": "said",
            "identities": terms,
            "sources": [{"name": "x.csv", "sha256": "0" * 64, "origins": ["file:x.csv"]}],
            "label": {"column": "y", "values": ["0", "1"], "positive": "1"},
        }
    )
    own = made_of_samples(
        TextFeatures.fit("said", said, "byte", 2, 9, 4), pd.DataFrame({"said": said}), terms
    )
    assert own["who"] == ["women", "several", "women", "none", "none", "none"]
    assert own.pop("form") == ["sound"] * 6
    assert own == pl.DataFrame({"said": said}).select(**made_of_text(data)).to_dict(as_series=False)

    seen = pictures(20)
    own = made_of_samples(ImageFeatures("image", 8, 8, 1, 0.1, 0.2), seen.to_pandas(), {})
    pixels = np.stack([np.frombuffer(image, np.uint8) for image in seen["image"]])
    for name, values in describe_pixels(pixels).items():
        assert own[name] == pytest.approx(values.tolist())

    heard = recordings(5)
    spectrogram = Spectrogram(rate=8000, samples=4000, window=256, hop=256, mels=12)
    features = AudioFeatures(
        "recording", spectrogram, 3, resample=False, means=(0,) * 12, deviations=(1,) * 12
    )
    silent = pd.DataFrame({"recording": [*heard["recording"], bytes(160)]})
    own = made_of_samples(features, silent, {})
    told = [describe_samples(np.frombuffer(one, "<i2"), 8000) for one in heard["recording"]]
    assert own["seconds"] == [*(one["seconds"] for one in told), 0.01]
    assert own["loudness"] == [*(pytest.approx(one["loudness"]) for one in told), None]
