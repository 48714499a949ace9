"""Three reviewers with keys of their own, and a review that asks two of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tasks.evidence.keys import SigningKey
from tasks.plan.review import Review
from tasks.review.answers import Asked
from tasks.review.records import Packet

NAMES = ("ada", "berta", "cleo")
CASES = 20
CLASSES = ("no", "yes")


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
            model="credit", version=version, digest="a" * 64, cases=CASES, drawn={}, deadline=deadline
        )
        reviewers = {name: keys[name].public for name in NAMES}
        return Asked(packet, "b" * 64, reviewers, CLASSES, "Ada", answered)

    return asked
