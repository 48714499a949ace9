"""Broken images and recordings reach validation as rows, and are refused there with their reasons."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from tasks.ingest.archive import digest_archive
from tasks.ingest.rebuild import fetch_parts
from tasks.plan.load import parse_plan
from tasks.validate.records import Validated
from tasks.validate.validate import validate
from tests.ingest.archives import tar

ROWS = {"train": 20, "test": 10}


def png(seed: int) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8), np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def wav(seed: int, rate: int = 8000) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(seed).integers(-9000, 9000, 800, np.int16)
    soundfile.write(file, noise, rate, format="WAV")
    return file.getvalue()


def judged(folder: Path, kind: dict[str, Any], samples: dict[str, dict[str, bytes]]) -> Validated:
    sources = []
    for part, files in samples.items():
        path = tar(folder / f"{part}.tar", files)
        origin = {"name": path.name, "part": part, "origins": [path.as_uri()]}
        sources.append({**origin, "sha256": digest_archive(path)})
    document = {
        "judgement": {
            "data": {
                **kind,
                "sources": sources,
                "label": {"column": "what", "values": ["cat", "dog"], "positive": "dog"},
                "format": {"type": "files", "pattern": r"(?P<what>[a-z]+)/\d+\.\w+$"},
            },
            "expectations": {"minimum_rows": ROWS},
            "limits": [{"metric": "accuracy_difference", "attribute": "label", "limit": 0.1}],
            "performance": [{"metric": "accuracy", "minimum": 0.6}],
        },
        "recipe": {"model": {"kind": "cnn"}},
    }
    plan = parse_plan("small", document, where="test")
    return validate(fetch_parts(plan, folder / "data" / "small", None), plan, folder / "run")


def good(make: Any) -> dict[str, dict[str, bytes]]:
    starts = {"train": 0, "test": 100}
    return {
        part: {f"{('cat', 'dog')[i % 2]}/{i}.bin": make(starts[part] + i) for i in range(rows)}
        for part, rows in ROWS.items()
    }


IMAGES = {"kind": "image", "height": 8, "width": 8}
SOUNDS = {"kind": "audio", "rate": 8000}


@pytest.mark.parametrize(("kind", "make"), [(IMAGES, png), (SOUNDS, wav)])
def test_sound_samples_keep_every_rule(tmp_path: Path, kind: dict[str, Any], make: Any) -> None:
    assert judged(tmp_path, kind, good(make)).problems == ()


@pytest.mark.parametrize(
    ("kind", "make", "broken", "reason"),
    [
        (IMAGES, png, png(0)[:40], "not a whole image that Pillow can read"),
        (SOUNDS, wav, wav(0, rate=16000), "16000 samples a second, 8000 expected"),
    ],
)
def test_a_broken_sample_is_refused_with_row_and_reason(
    tmp_path: Path, kind: dict[str, Any], make: Any, broken: bytes, reason: str
) -> None:
    samples = good(make)
    samples["test"]["dog/3.bin"] = broken
    problems = [each for each in judged(tmp_path, kind, samples).problems if "column form" in each]
    assert len(problems) == 1
    assert f"{reason!r} (rows 6)" in problems[0] or f"{reason!r} (row 6)" in problems[0]
    assert "1 of 10 rows" in problems[0]
