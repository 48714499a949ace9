"""The audio kind: archives of WAV, FLAC or OGG files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tasks.ingest.files import read_files
from tasks.model.decode import FULL_SCALE, Samples, decode_audio
from tasks.plan.data import Audio


def read(paths: Sequence[Path], data: Audio) -> pl.DataFrame:
    """Read the recordings of a part: the payload as 16-bit samples, and what describes each.

    Raises:
        Refusal: for an archive that can't be read.
    """

    def decode(content: bytes) -> dict[str, Any]:
        samples = decode_audio(content, data.rate, data.maximum_seconds, resample=data.fit == "resample")
        described = describe_samples(samples, data.rate)
        return {**described, data.payload: samples.astype("<i2").tobytes()}

    return read_files(paths, data, decode)


def describe_samples(samples: Samples, rate: int) -> dict[str, float]:
    """Seconds, and loudness: the root mean square, in decibels of a full-scale square wave (at most 0).

    Args:
        samples: shape [n], not all 0.
        rate: samples a second.
    """
    power = float(np.mean(np.square(samples.astype(np.float64) / FULL_SCALE)))
    return {"seconds": len(samples) / rate, "loudness": 10 * math.log10(power)}
