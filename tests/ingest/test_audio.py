"""Recordings: what a file really holds becomes samples, and what can't be used says why."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tasks.ingest.audio import describe_samples, read
from tasks.plan.data import Audio

from .archives import tar

RATE = 8000
TONE = np.rint(np.sin(2 * np.pi * 440 * np.arange(4000) / RATE) * 16384).astype(np.int16)


def audio(**more: Any) -> Audio:
    return Audio.model_validate(
        {
            "kind": "audio",
            "sources": [{"name": "a.tar", "sha256": "0" * 64, "origins": ["file:/a.tar"]}],
            "label": {"column": "digit", "values": ["0", "1"], "positive": "1"},
            "format": {"type": "files", "pattern": r"(?P<digit>\d)_(?P<speaker>[a-z]+)\.\w+$"},
            "rate": RATE,
            "columns": {"speaker": {"type": "category"}},
            **more,
        }
    )


def encoded(samples: Any, rate: int = RATE, kind: str = "WAV", subtype: str | None = None) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, subtype, format=kind)
    return file.getvalue()


def row(folder: Path, content: bytes, **more: Any) -> dict[str, Any]:
    path = tar(folder / "a.tar", {"1_ann.wav": content})
    found = read([path], audio(**more)).row(0, named=True)
    assert (found["audio"] is None) == (found["seconds"] is None) == (found["form"] != "sound")
    return found


def test_samples_come_through_unchanged_and_are_described(tmp_path: Path) -> None:
    for kind in ("WAV", "FLAC"):
        found = row(tmp_path, encoded(TONE, kind=kind))
        assert found["audio"] == TONE.tobytes()
        assert (found["digit"], found["speaker"], found["seconds"]) == ("1", "ann", 0.5)
        # A sine of half of full scale: 20 log10(.5 / sqrt 2).
        assert found["loudness"] == pytest.approx(-9.0309, abs=1e-3)


def test_other_widths_are_rounded_to_16_bits(tmp_path: Path) -> None:
    for subtype in ("PCM_24", "FLOAT", "PCM_32"):
        samples = TONE / 32768
        assert row(tmp_path, encoded(samples, subtype=subtype))["audio"] == TONE.tobytes()
    lossy = np.frombuffer(row(tmp_path, encoded(TONE, kind="OGG"))["audio"], np.int16)
    assert np.abs(lossy[500:3500].astype(int) - TONE[500:3500]).max() < 2000


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (encoded(TONE, rate=16000), "16000 samples a second, 8000 expected"),
        (encoded(np.stack([TONE, TONE], axis=1)), "2 channels, 1 expected"),
        (encoded(TONE[:0]), "no samples"),
        (encoded(np.zeros(800, np.int16)), "silence: every sample is 0"),
        (encoded(np.tile(TONE, 9)), "4.5 s, at most 3 s expected"),
        (encoded(TONE)[:-1000], "cut short: 8044 bytes expected, found 7044"),
        (b"", "0 bytes of another kind: WAV, FLAC or OGG is expected"),
        (b"RIFF, he said", "cut short"),
        (b"no recording at all" * 99, "1881 bytes of another kind: WAV, FLAC or OGG is expected"),
        (b"fLaC" * 99, "not a whole recording that libsndfile can read"),
        (encoded(np.full(800, np.nan), subtype="FLOAT"), "samples that are no finite numbers"),
        (encoded(TONE.astype(np.float32), subtype="FLOAT"), "samples up to 16384, where full scale is 1"),
    ],
)
def test_what_can_not_be_used_says_why(tmp_path: Path, content: bytes, reason: str) -> None:
    assert row(tmp_path, content, maximum_seconds=3)["form"].startswith(reason)


def test_another_rate_is_resampled_where_the_plan_says_so(tmp_path: Path) -> None:
    fast = np.rint(np.sin(2 * np.pi * 440 * np.arange(8000) / 16000) * 16384).astype(np.int16)
    found = row(tmp_path, encoded(fast, rate=16000), fit="resample")
    samples = np.frombuffer(found["audio"], np.int16)
    assert len(samples) == len(TONE)
    assert np.abs(samples[200:-200].astype(int) - TONE[200:-200]).max() < 20


def test_spoken_digits_are_read_as_published(mirror: Path) -> None:
    frame = read(
        [mirror / "fsdd" / "fsdd_recordings.tar.xz"],
        audio(
            format={"type": "files", "pattern": r"(?P<digit>\d)_(?P<speaker>[a-z]+)_[0-4]\.wav$"},
            label={"column": "digit", "values": list("0123456789")},
        ),
    )
    assert frame.height == 300  # the authors' test part: five recordings of each digit by six speakers
    assert frame["form"].unique().to_list() == ["sound"]
    assert frame["speaker"].n_unique() == 6
    assert len(frame["audio"][0]) == round(frame["seconds"][0] * RATE) * 2


def test_full_scale_is_zero_decibels() -> None:
    assert describe_samples(np.full(8, -32768, np.int16), RATE) == {"seconds": 0.001, "loudness": 0.0}
