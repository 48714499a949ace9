"""Three reviewers with keys of their own, and a review that asks two of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tasks.evidence.keys import SigningKey
from tasks.model.device import deterministic
from tasks.plan.review import Review
from tasks.review.answers import Asked
from tasks.review.changed import Opened
from tasks.review.records import Flips, Packet
from tests.explain import media

from .packets import opened

NAMES = ("ada", "berta", "cleo")
CASES = 20
CLASSES = ("no", "yes")
NO_FLIPS = Flips(by="nothing", asked=0, turned=0, told="nothing was changed")


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    with deterministic(1):
        yield


@pytest.fixture(scope="session")
def keys() -> dict[str, SigningKey]:
    """Of the reviewers, and of a stranger."""
    seeds = enumerate((*NAMES, "stranger"))
    return {
        name: SigningKey(Ed25519PrivateKey.from_private_bytes(bytes([i] * 32)), enrolled=True)
        for i, name in seeds
    }


@pytest.fixture
def review(keys: Mapping[str, SigningKey]) -> Review:
    """What a plan asks."""
    reviewers = {name: keys[name].public.raw.hex() for name in NAMES}
    return Review(reviewers=reviewers, decisions=CASES, wrong_share=0.25)


@pytest.fixture
def asking(keys: Mapping[str, SigningKey]) -> Callable[..., Asked]:
    """A review of version 3, whose run ada started."""

    def asked(hours: float = 1.0, version: str = "3", answered: tuple[str, ...] = ()) -> Asked:
        deadline = (datetime.now(UTC) + timedelta(hours=hours)).isoformat(timespec="seconds")
        packet = Packet(
            model="credit",
            version=version,
            digest="a" * 64,
            cases=CASES,
            drawn={},
            flips=NO_FLIPS,
            deadline=deadline,
        )
        reviewers = {name: keys[name].public for name in NAMES}
        return Asked(packet, "b" * 64, reviewers, CLASSES, "Ada", answered)

    return asked


@pytest.fixture(scope="session")
def texts() -> Opened:
    """A model that calls a text hate for the word "woman"."""
    frame = media.texts()
    of_women = frame["tweet"].str.contains(r"\bwoman\b")
    frame = frame.with_columns(pl.Series("class", np.where(of_women, "hate", "neither")))
    with deterministic(1):
        return opened("hate-speech-transformer", media.of_texts(frame), frame)


@pytest.fixture(scope="session")
def pictures() -> Opened:
    """A model of pictures that reads where a bright square lies."""
    frame = media.pictures()
    with deterministic(1):
        return opened("mnist-cnn", media.of_pictures(frame), frame, height=8, width=8)


@pytest.fixture(scope="session")
def recordings() -> Opened:
    """A model of recordings that tells a low tone from a high one."""
    frame = media.recordings().with_columns(audio="recording")
    with deterministic(1):
        return opened("spoken-digits", media.of_recordings(frame), frame)
