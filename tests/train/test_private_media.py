"""Differential privacy of texts and recordings: features of the plan alone, gradients of single rows."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import safetensors.torch
import torch

from tasks.evidence.digest import digest_file
from tasks.ingest.described import describe, looked_up, row_digests, type_frame
from tasks.ingest.kinds import kind_of
from tasks.model.mel import FLOOR, log_mels, loudest
from tasks.model.network import Network
from tasks.model.predictor import Predictor
from tasks.plan.load import load_plan, parse_plan
from tasks.privacy.dpsgd import row_gradients
from tasks.train.features import fit_features
from tasks.train.single import Whole
from tasks.train.train import train
from tests.pretrained import STRUCTURE, write_pretrained

from .conftest import Sample

DP = {"kind": "dp_sgd", "epsilon": 8, "delta": 1e-3, "at_once": 32}
TRAINING = {"epochs": 1, "batch": 32, "patience": None, "clip_norm": None}
BYTES = {"tokenizer": "byte", "length": 40, "embedding": 6}
MELS = {"kind": "audio", "mels": 10, "hop_seconds": 0.03}
RNN = {"kind": "rnn", "width": 5, "layers": 2, "dropout": 0.0}
BODIES: Mapping[str, dict[str, Any]] = {
    "lstm": {**RNN, "cell": "lstm", "pool": "max"},
    "gru": {**RNN, "cell": "gru", "pool": "last"},
    "rnn": {**RNN, "cell": "rnn", "pool": "mean", "directions": 1},
    "transformer": {
        "kind": "transformer", "width": 8, "heads": 2, "layers": 1, "feedforward": 8, "dropout": 0.0,
    },
    "cnn": {"kind": "cnn", "channels": [4, 4], "hidden": [8], "norm": "group", "dropout": 0.0},
}  # fmt: skip


def sample_of(name: str, raw: Path, own: Mapping[str, Any], recipe: Mapping[str, Any]) -> Sample:
    """The rows of a file, and a shipped plan for them under differential privacy."""
    document = load_plan(name, Path("data")).model_dump(mode="json")
    document["judgement"]["data"] |= own
    document["operations"]["compute"] = {"threads": 1}
    document["recipe"] = {"seed": 1, "privacy": DP, "training": TRAINING, **recipe}
    plan = parse_plan(name, document, "test")
    data = plan.judgement.data
    typed = type_frame(kind_of(data).read([raw], data), plan.judgement)
    frame = typed.with_columns(pl.Series("row_digest", row_digests(typed, data)), **looked_up(typed, data))
    return Sample(plan, frame, describe(frame, plan.judgement))


@pytest.fixture(scope="module")
def tweets(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    raw = tmp_path_factory.mktemp("tweets") / "labeled_data.csv"
    with gzip.open(mirror / "davidson_hate_speech" / "labeled_data.csv.gz", "rt", newline="") as file:
        rows = csv.reader(file)
        written = io.StringIO()
        csv.writer(written).writerows(row for row, _ in zip(rows, range(241), strict=False))
    raw.write_text(written.getvalue(), encoding="utf-8")
    return sample_of("hate-speech", raw, {}, {"features": BYTES, "model": BODIES["gru"]})


@pytest.fixture(scope="module")
def digits(mirror: Path) -> Sample:
    """Two recordings of each digit by each speaker."""
    pattern = r"(?P<digit>\d)_(?P<speaker>[a-z]+)_(?P<index>[01])\.wav$"
    return sample_of(
        "spoken-digits",
        mirror / "fsdd" / "fsdd_recordings.tar.xz",
        {"format": {"type": "files", "pattern": pattern}},
        {"features": MELS, "model": BODIES["cnn"]},
    )


@pytest.mark.parametrize("kind", ["tweets", "digits"])
def test_it_is_trained_and_served_by_features_that_no_row_decides(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    sample: Sample = request.getfixturevalue(kind)
    found = train(sample.frame, sample.described, None, sample.plan, tmp_path / "model", tmp_path / "saved")
    assert found.privacy is not None
    assert 0 < found.privacy.epsilon <= 8
    served = Predictor.load(tmp_path / "model")
    scores = np.asarray(served.scores(sample.frame.head(20)))
    assert scores.sum(axis=1) == pytest.approx(1, abs=1e-5)
    other = sample.frame.tail(7)
    again = fit_features(other, other["row_digest"] != "", sample.plan)
    assert again.to_json() == served.features.to_json()


@pytest.mark.parametrize(
    ("kind", "body"),
    [*(("tweets", body) for body in BODIES if body != "cnn"), ("digits", "cnn"), ("digits", "gru")],
)
def test_gradients_of_rows_are_those_of_each_row_alone(
    kind: str, body: str, request: pytest.FixtureRequest
) -> None:
    """Texts of other lengths beside a row, and what fills it up, change nothing of its gradient."""
    sample: Sample = request.getfixturevalue(kind)
    features = fit_features(sample.frame, sample.frame["row_digest"] != "", sample.plan)
    settings = load_settings(sample, body)
    torch.manual_seed(3)
    network = Network(features, settings, 3).train()
    rows = features.encode(sample.frame.head(6))
    found = row_gradients(
        Whole(network),
        dict(network.named_parameters()),
        rows.tensors,
        lambda call, row: call(type(rows)(row)).square().sum(),
    )
    for i in range(6):
        network.zero_grad()
        network(rows.rows(slice(i, i + 1))).square().sum().backward()
        for name, parameter in network.named_parameters():
            torch.testing.assert_close(found[name][i], parameter.grad, rtol=1e-3, atol=1e-5)


def test_a_pretrained_encoder_stays_as_it_was_and_its_head_learns(
    tweets: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSAY_VAR", str(tmp_path / "var"))
    write_pretrained(tmp_path, ["the quick brown fox", "jumps over the lazy dog"] * 9)
    files = [
        {"name": name, "sha256": digest_file(tmp_path / name), "origins": [(tmp_path / name).as_uri()]}
        for name in ("model.safetensors", "tokenizer.json")
    ]
    model = {"kind": "pretrained", "files": files, **STRUCTURE, "frozen_layers": STRUCTURE["layers"]}
    plan = tweets.plan.changed({"model": model, "features": {"kind": "text", "length": 12}})
    weights = []
    for again in ("first", "second"):
        folder = tmp_path / again
        train(tweets.frame, tweets.described, None, plan, folder / "model", folder / "saved")
        weights.append(safetensors.torch.load_file(folder / "model" / "weights.safetensors"))
    first, second = weights
    # The noise is another each time, so whatever learned differs.
    differing = {name for name in first if not torch.equal(first[name], second[name])}
    assert differing == {"body.output.weight", "body.output.bias"}
    given = safetensors.torch.load_file(tmp_path / "model.safetensors")
    assert torch.equal(first["front.vectors.weight"], given["embeddings.word_embeddings.weight"])


def load_settings(sample: Sample, body: str) -> dict[str, Any]:
    """A body's settings with the plan's defaults."""
    plan = sample.plan.changed({"model": BODIES[body]})
    return plan.recipe.model.model_dump(mode="json", exclude={"initial"})


@pytest.mark.parametrize(("window", "mels"), [(256, 40), (128, 10)])
def test_no_recording_is_louder_than_the_bound_and_a_full_tone_comes_near(window: int, mels: int) -> None:
    rate, bound = 8000, torch.from_numpy(loudest(8000, window, mels))
    time = torch.arange(rate) / rate
    tones = torch.stack([torch.sin(2 * torch.pi * hertz * time) for hertz in range(100, 4000, 100)])
    square = torch.sign(tones[3:4])
    noise = torch.rand(3, rate, generator=torch.Generator().manual_seed(1)) * 2 - 1
    values = log_mels(torch.cat([tones, square, noise]), rate, window, window // 2, mels)
    reached = values.amax(dim=(0, 2))
    assert bool((reached <= bound + 1e-4).all())
    assert bool((reached[bound > np.log(FLOOR)] > bound[bound > np.log(FLOOR)] - 3).all())
