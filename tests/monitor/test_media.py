"""A look at a champion of texts, images or recordings: what describes them is logged, compared, counted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from tasks.errors import Refusal
from tasks.evaluate.predict import predict_part
from tasks.evaluate.predictions import write_predictions
from tasks.fairness.cube import Cube
from tasks.ingest.audio import describe_samples
from tasks.ingest.described import row_digests, type_frame
from tasks.ingest.image import describe_pixels
from tasks.ingest.parts import read_rows
from tasks.ingest.text import made_of_text
from tasks.model.audio import AudioFeatures, Spectrogram
from tasks.model.image import ImageFeatures
from tasks.model.inputs import Features
from tasks.model.prediction_log import SETTING, prediction_log
from tasks.model.predictor import Predictor
from tasks.model.text import TextFeatures
from tasks.monitor.log import description_of, write_log
from tasks.monitor.looking import compare_rows, count_labelled
from tasks.monitor.records import Compared, NewRows
from tasks.monitor.rows import read_new
from tasks.plan.data import SOUND, Classes
from tasks.plan.judgement import Judgement
from tasks.plan.load import load_plan
from tasks.plan.monitoring import Monitoring
from tests.explain.media import CNN, TRANSFORMER, recordings, trained
from tests.flows.slices import slice_plan

RATE = 8000
AT = datetime(2026, 11, 1, 8, tzinfo=UTC)
Change = Callable[[pl.DataFrame], pl.DataFrame]


@dataclass(frozen=True)
class Service:
    """A champion of a slice of a committed plan, asked the rows that it learned from: a world that stays.

    Attributes:
        judgement: of the slice.
        top: holds the slice's sources, and the champion's dossier.
        rows: typed, with labels.
        predictor: the champion.
    """

    judgement: Judgement
    top: Path
    rows: pl.DataFrame
    predictor: Predictor

    @property
    def dossier(self) -> Path:
        return self.top / "dossier"

    def look(self, folder: Path, asked: Change = pl.DataFrame.clone) -> tuple[NewRows, Compared, Path]:
        """Serve and log rows, bring their labels later, and look; the log's file too."""
        rows, label = asked(self.rows), self.judgement.data.label.column
        answers = predict_part(self.predictor, rows, self.judgement)
        log = folder / "log.parquet"
        keys = write_log(rows.drop(label), answers, self.judgement, "1", log, AT)
        pl.DataFrame({"row_key": keys, "label": rows[label]}).write_csv(folder / "labels.csv")
        watched = Monitoring(log=str(log), labels=str(folder / "labels.csv"))
        found = self.read(watched, folder)
        new = pl.read_parquet(folder / "snapshot.parquet")
        compared = compare_rows(new, self.rows, self.judgement, self.dossier, folder, 0.05)
        cube = Cube.from_json(count_labelled(new, self.judgement, self.dossier, folder).read_bytes())
        assert cube.rows == len(rows)
        return found, compared, log

    def read(self, watched: Monitoring, folder: Path) -> NewRows:
        return read_new(watched, self.judgement, "1", self.dossier / "model", folder / "snapshot.parquet", AT)


def served(
    top: Path, rows: pl.DataFrame, features: Features, settings: Mapping[str, Any], judgement: Judgement
) -> Service:
    rows = type_frame(rows, judgement).with_row_index("row_id")
    label = judgement.data.label
    assert isinstance(label, Classes)
    predictor = trained(features, settings, rows, rows[label.column].to_list(), tuple(label.values), 3)
    (top / "dossier" / "model").mkdir(parents=True)
    for name, content in predictor.contents().items():
        (top / "dossier" / "model" / name).write_bytes(content)
    told = predict_part(predictor, rows, judgement)
    write_predictions(told, judgement, top / "dossier" / "predictions.csv")
    return Service(judgement, top, rows, predictor)


@pytest.fixture(scope="module")
def texts(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Service:
    top = slice_plan("hate-speech", mirror, tmp_path_factory.mktemp("texts") / "workspace").top
    judgement = load_plan("tiny", top / "data", []).judgement
    rows = read_rows([top / "labeled_data.csv"], judgement.data)
    features = TextFeatures.fit("tweet", rows["tweet"].to_list(), "word", 200, 12, 8)
    return served(top, rows, features, TRANSFORMER, judgement)


@pytest.fixture(scope="module")
def images(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Service:
    top = slice_plan("mnist", mirror, tmp_path_factory.mktemp("images") / "workspace").top
    judgement = load_plan("tiny", top / "data", []).judgement
    files = [top / f"t10k-{part}-ubyte" for part in ("images-idx3", "labels-idx1")]
    rows = read_rows(files, judgement.data)
    return served(top, rows, ImageFeatures("image", 28, 28, 1, 0.13, 0.31), CNN, judgement)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Service:
    """Tones of 0.3 to 0.5 s, judged as spoken digits are."""
    rows, ends = recordings(), np.random.default_rng(4).integers(2400, 4001, 60)
    samples = [
        np.frombuffer(tone, "<i2")[:end] for tone, end in zip(rows["recording"], ends.tolist(), strict=True)
    ]
    rows = heard(rows.drop("row_id", "recording"), samples).with_columns(form=pl.lit(SOUND))
    spectrogram = Spectrogram(rate=RATE, samples=4000, window=256, hop=256, mels=12)
    features = AudioFeatures.fit("audio", rows["audio"].to_list(), spectrogram, 3, resample=False)
    judgement = load_plan("spoken-digits", Path("data"), []).judgement
    rows = rows.with_columns(pl.Series("row_digest", row_digests(rows, judgement.data)))
    return served(tmp_path_factory.mktemp("sounds"), rows, features, CNN, judgement)


def heard(rows: pl.DataFrame, samples: Sequence[npt.NDArray[np.int16]]) -> pl.DataFrame:
    """The rows with these recordings, described as ingest describes them."""
    told = pl.DataFrame([describe_samples(one, RATE) for one in samples])
    audio = pl.Series("audio", [one.astype("<i2").tobytes() for one in samples])
    return rows.with_columns(audio, *told.get_columns())


def drifted(compared: Compared) -> set[str]:
    return {one.column for one in compared.drift if one.drifted}


def test_texts_are_watched_by_what_describes_them(texts: Service, tmp_path: Path) -> None:
    found, compared, log = texts.look(tmp_path)
    assert (found.rows, found.labelled, found.left_out) == (2000, 2000, {})
    assert [one.column for one in compared.drift] == [
        *("form", "characters", "words", "distinct_share", "capital_share", "gender"),
    ]
    assert {one.value for one in (*compared.drift, *compared.predictions)} == {0.0}
    assert compared.crossed == ()
    logged = pl.read_parquet(log)
    assert "tweet" not in logged.columns
    spoken = [text for text in texts.rows["tweet"] if len(text) > 40]
    assert not any(text in str(value) for text in spoken for value in logged.row(0))

    def shouted(rows: pl.DataFrame) -> pl.DataFrame:
        """Everyone writes in capitals, twice as long, and of women."""
        loud = rows.with_columns((pl.col("tweet") + " WOMEN " + pl.col("tweet")).str.to_uppercase())
        return loud.with_columns(**made_of_text(texts.judgement.data))  # type: ignore[arg-type]

    _, compared, _ = texts.look(tmp_path / "shouted", shouted)
    assert drifted(compared) >= {"characters", "words", "capital_share", "gender"}


def test_images_are_watched_by_what_describes_them(images: Service, tmp_path: Path) -> None:
    found, compared, log = images.look(tmp_path)
    assert (found.rows, found.labelled, found.left_out) == (900, 900, {})
    assert [one.column for one in compared.drift] == ["form", "brightness", "contrast"]
    assert {one.value for one in (*compared.drift, *compared.predictions)} == {0.0}
    assert compared.crossed == ()
    assert "image" not in pl.read_parquet(log).columns

    def dimmed(rows: pl.DataFrame) -> pl.DataFrame:
        """Half as bright, and so with half the contrast."""
        dark = [np.frombuffer(image, np.uint8) // 2 for image in rows["image"]]
        told = {name: pl.Series(values) for name, values in describe_pixels(np.stack(dark)).items()}
        return rows.with_columns(pl.Series("image", [image.tobytes() for image in dark]), **told)

    _, compared, _ = images.look(tmp_path / "dimmed", dimmed)
    assert drifted(compared) == {"brightness", "contrast"}


def test_recordings_are_watched_by_what_describes_them(sounds: Service, tmp_path: Path) -> None:
    found, compared, log = sounds.look(tmp_path)
    assert (found.rows, found.labelled, found.left_out) == (60, 60, {})
    columns = ["form", "seconds", "loudness", "speaker", "accent"]  # `index` divides the data
    assert [one.column for one in compared.drift] == columns
    assert {one.value for one in (*compared.drift, *compared.predictions)} == {0.0}
    assert compared.crossed == ()
    assert "audio" not in pl.read_parquet(log).columns

    def whispered(rows: pl.DataFrame) -> pl.DataFrame:
        """A quarter as loud, and cut off after 0.3 seconds."""
        return heard(rows, [np.frombuffer(audio, "<i2")[:2400] // 4 for audio in rows["audio"]])

    _, compared, _ = sounds.look(tmp_path / "whispered", whispered)
    assert drifted(compared) == {"seconds", "loudness"}


def test_a_served_model_describes_what_it_is_asked_as_its_training_part_is(
    texts: Service, images: Service, tmp_path: Path
) -> None:
    for number, service in enumerate((texts, images)):
        kept = tmp_path / f"{number}.json"
        kept.write_text(json.dumps(description_of(service.judgement)))
        path, asked = (
            tmp_path / f"{number}.jsonl",
            service.rows.select(service.judgement.data.inputs).to_pandas(),
        )
        log = prediction_log({SETTING: str(path)}, kept, "1", service.predictor)
        assert log is not None
        log.write(asked, service.predictor.predict(asked))
        found = service.read(Monitoring(log=str(path)), tmp_path)
        assert (found.rows, found.labelled) == (len(asked), 0)
        new = pl.read_parquet(tmp_path / "snapshot.parquet")
        for name in description_of(service.judgement)["columns"]:
            own, before = new[name], service.rows[name]
            assert (own.cast(before.dtype) == before).all() or (own - before).abs().max() < 1e-6, name
        assert not set(service.judgement.data.inputs) & set(new.columns)


def test_new_files_of_texts_and_images_are_predicted_or_refused(
    texts: Service, images: Service, tmp_path: Path
) -> None:
    for service, pattern in ((texts, "labeled_data.csv"), (images, "t10k-*")):
        found = service.read(Monitoring(rows=str(service.top / pattern)), tmp_path)
        assert (found.rows, found.labelled) == (len(service.rows),) * 2
        told = pl.read_parquet(tmp_path / "snapshot.parquet")
        again = predict_part(service.predictor, service.rows, service.judgement)
        assert told["prediction"].to_list() == again["prediction"].to_list()
    (tmp_path / "new.csv").write_text('tweet\nhow are you\n"  "\n')
    with pytest.raises(Refusal, match=r"(?s)operations.monitoring.rows: .*new.csv: .* row 1: a text is exp"):
        texts.read(Monitoring(rows=str(tmp_path / "new.csv")), tmp_path)
