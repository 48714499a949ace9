"""Pictures of a packet's page, as data in it: maps of what spoke for a decision, and spectrograms."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.model.audio import AudioFeatures
from tasks.review.weighed import WHOLE

Bytes = NDArray[np.uint8]
FOR, AGAINST = (230, 97, 1), (94, 60, 153)
"""Orange and purple (Brewer's PuOr): told apart by people with colour vision deficiencies."""
QUIETEST = 80.0  # decibels below the loudest cell that are drawn


def map_uri(cells: Sequence[Sequence[int]]) -> str:
    """Weights from -100 to 100, a cell a pixel: white at 0, orange for the decision, purple against it."""
    share = np.array(cells, float)[:, :, None] / WHOLE
    full = np.where(share < 0, np.array(AGAINST), np.array(FOR))
    return png_uri((255 + np.abs(share) * (full - 255)).round().astype(np.uint8))


def spectrogram_uri(features: AudioFeatures, row: pl.DataFrame) -> str:
    """A recording as the model reads it: time from left to right, high tones above, the louder the darker."""
    mels = features.encode(row)["mels"][0, 0].double().numpy()
    power = mels * np.array(features.deviations)[:, None] + np.array(features.means)[:, None]
    decibels = power * 10 / np.log(10)
    share = np.clip((decibels - decibels.max()) / QUIETEST + 1, 0, 1)
    return png_uri((255 * (1 - share[::-1])).round().astype(np.uint8))


def png_uri(pixels: Bytes) -> str:
    """A picture of bytes (height, width) or (height, width, 3)."""
    from PIL import Image  # noqa: PLC0415 - only a packet of pictures or recordings needs it

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return data_uri("image/png", file.getvalue())


def data_uri(kind: str, content: bytes) -> str:
    """Content of a media type as an address that needs no other file."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
