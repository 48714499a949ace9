"""Tiny networks on pictures, recordings and texts, trained for some steps, and contexts to explain them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from tasks.explain.budget import Budget
from tasks.explain.context import Context
from tasks.ingest.described import describe
from tasks.model.audio import AudioFeatures, Spectrogram
from tasks.model.image import ImageFeatures
from tasks.model.inputs import Features
from tasks.model.network import Network
from tasks.model.predictor import Predictor
from tasks.model.rule import ClassRule
from tasks.model.text import TextFeatures
from tasks.plan.explanations import Explanations
from tasks.plan.load import load_plan

SETTINGS = Explanations(decisions=2, rows=24)
CNN = {"kind": "cnn", "channels": [6], "hidden": [12], "dropout": 0.0, "norm": "none"}
TRANSFORMER = {
    "kind": "transformer",
    "width": 16,
    "heads": 2,
    "layers": 2,
    "feedforward": 16,
    "dropout": 0.0,
}
LSTM = {
    "kind": "rnn",
    "cell": "lstm",
    "width": 8,
    "layers": 1,
    "directions": 2,
    "pool": "max",
    "dropout": 0.0,
}
GOOD, BAD = ["kind"], ["vile"]
FILLERS = ["the", "a", "woman", "man", "said", "that", "day", "they", "walked", "home", "again", "we"]


def trained(
    features: Features,
    settings: Mapping[str, Any],
    frame: pl.DataFrame,
    labels: Sequence[str],
    classes: tuple[str, ...],
    steps: int = 60,
    rate: float = 0.02,
) -> Predictor:
    """A network after some steps of Adam over all rows."""
    torch.manual_seed(1)
    network = Network(features, settings, len(classes))
    wanted, inputs = torch.tensor([classes.index(label) for label in labels]), features.encode(frame)
    optimizer = torch.optim.Adam(network.parameters(), rate)
    for _ in range(steps):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(inputs).mean(dim=0), wanted).backward()
        optimizer.step()
    return Predictor(features, settings, network.eval(), ClassRule(classes, None, 0.5, (), len(classes)))


def context(
    plan: str, predictor: Predictor, frame: pl.DataFrame, folder: Path, allowed: int = 10**9
) -> Context:
    """The context of a plan's judgement; the model's files stand in the folder."""
    read = load_plan(plan, Path("data"), [])
    (folder / "model").mkdir(parents=True, exist_ok=True)
    for name, content in predictor.contents().items():
        (folder / "model" / name).write_bytes(content)
    described, budget = describe(frame, read.judgement), Budget(allowed, 1e9)
    return Context(read, SETTINGS, predictor, frame, described, frame, (), folder, budget)


def pictures(rows: int = 160) -> pl.DataFrame:
    """Of 8 x 8 pixels: noise, with a bright square above on the left ("0") or below on the right ("1")."""
    rng = np.random.default_rng(1)
    digit = rng.integers(0, 2, rows)
    pixels = rng.integers(0, 60, (rows, 8, 8)).astype(np.uint8)
    for row, own in enumerate(digit):
        pixels[row, own * 4 + 1 : own * 4 + 3, own * 4 + 1 : own * 4 + 3] = 220
    return pl.DataFrame(
        {
            "row_id": np.arange(rows, dtype=np.uint32),
            "image": [picture.tobytes() for picture in pixels],
            "digit": digit.astype(str),
        }
    )


def of_pictures(frame: pl.DataFrame, settings: Mapping[str, Any] = CNN) -> Predictor:
    features = ImageFeatures("image", 8, 8, 1, 0.15, 0.2)
    return trained(features, settings, frame, frame["digit"].to_list(), ("0", "1"))


def recordings(rows: int = 60) -> pl.DataFrame:
    """Half a second of a low ("0") or a high ("1") tone in noise."""
    rng = np.random.default_rng(2)
    digit, time = rng.integers(0, 2, rows), np.arange(4000) / 8000
    tones = np.sin(2 * np.pi * np.where(digit == 0, 300, 1800)[:, None] * time) * 8000
    samples = (tones + rng.normal(0, 300, tones.shape)).astype("<i2")
    names = np.array(["theo", "lucas", "george"])[rng.integers(0, 3, rows)]
    return pl.DataFrame(
        {
            "row_id": np.arange(rows, dtype=np.uint32),
            "recording": [sample.tobytes() for sample in samples],
            "digit": digit.astype(str),
            "index": np.zeros(rows, np.int64),
            "speaker": names,
            "accent": np.where(names == "theo", "US", np.where(names == "lucas", "German", "Greek")),
        }
    )


def of_recordings(frame: pl.DataFrame) -> Predictor:
    spectrogram = Spectrogram(rate=8000, samples=4000, window=256, hop=256, mels=12)
    features = AudioFeatures.fit("recording", frame["recording"].to_list(), spectrogram, 3, resample=False)
    return trained(features, CNN, frame, frame["digit"].to_list(), ("0", "1"), steps=20)


def texts(rows: int = 160) -> pl.DataFrame:
    """Of 4 to 9 words: one of them decides whether it is hate or neither."""
    rng = np.random.default_rng(3)
    labels, found = rng.integers(0, 2, rows), list[str]()
    for label in labels:
        words = list(rng.choice(FILLERS, rng.integers(3, 9)))
        words.insert(int(rng.integers(0, len(words) + 1)), str(rng.choice([GOOD, BAD][label])))
        found.append(" ".join(words))
    groups = ["women" if "woman" in text else "men" if "man" in text else "none" for text in found]
    return pl.DataFrame(
        {
            "row_id": np.arange(rows, dtype=np.uint32),
            "tweet": found,
            "class": np.where(labels == 1, "hate", "neither"),
            "gender": groups,
        }
    )


def of_texts(frame: pl.DataFrame, settings: Mapping[str, Any] = TRANSFORMER, embedding: int = 8) -> Predictor:
    features = TextFeatures.fit("tweet", frame["tweet"].to_list(), "word", 60, 12, embedding)
    return trained(features, settings, frame, frame["class"].to_list(), ("hate", "neither"), 20, 0.005)
