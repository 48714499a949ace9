"""The image kind: IDX files, and archives of PNG or JPEG files."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.errors import Refusal
from tasks.ingest.archive import pieces
from tasks.ingest.files import read_files
from tasks.model.decode import Pixels, decode_image
from tasks.plan.data import FORM, SOUND, Image
from tasks.plan.source import IdxFormat

LABELS, IMAGES = 0x801, 0x803  # first four bytes of an IDX file of unsigned bytes: one axis, or three


def read(paths: Sequence[Path], data: Image) -> pl.DataFrame:
    """Read the images of a part: the payload as bytes, and what describes each.

    Raises:
        Refusal: for a file that can't be read at all, or images without as many labels.
    """
    if isinstance(data.format, IdxFormat):
        return _read_idx(paths, data)

    def decode(content: bytes) -> dict[str, Any]:
        pixels = decode_image(content, data.height, data.width, data.channels, resize=data.fit == "resize")
        described = {name: float(values[0]) for name, values in describe_pixels(pixels[None]).items()}
        return {**described, data.payload: pixels.tobytes()}

    return read_files(paths, data, decode)


def describe_pixels(pixels: Pixels) -> dict[str, NDArray[np.float64]]:
    """Brightness (mean) and contrast (standard deviation) of each image, shape [n, ...], in [0, 1]."""
    flat = pixels.reshape(len(pixels), -1).astype(np.float32) / 255
    return {
        "brightness": flat.mean(axis=1, dtype=np.float64),
        "contrast": flat.std(axis=1, dtype=np.float64),
    }


def _read_idx(paths: Sequence[Path], data: Image) -> pl.DataFrame:
    tables = dict(map(_idx, paths))
    if set(tables) != {LABELS, IMAGES} or len(paths) != 2:
        names = ", ".join(path.name for path in paths)
        raise Refusal(f"{names}: one IDX file of images and one of labels are expected for each part")
    images, labels = tables[IMAGES], tables[LABELS]
    if len(images) != len(labels):
        raise Refusal(f"{paths[0].name}: {len(images)} images and {len(labels)} labels, as many are expected")
    height, width = images.shape[1:]
    fits = (height, width, 1) == (data.height, data.width, data.channels)
    form = (
        SOUND if fits else f"{height} x {width} x 1, {data.height} x {data.width} x {data.channels} expected"
    )
    columns = {
        FORM: pl.Series([form] * len(images), dtype=pl.String),
        **{name: pl.Series(values) for name, values in describe_pixels(images).items()},
        data.label.column: pl.Series(labels).cast(pl.String),
        data.payload: pl.Series([image.tobytes() for image in images], dtype=pl.Binary),
    }
    return pl.DataFrame(columns)


def _idx(path: Path) -> tuple[int, Pixels]:
    """First four bytes and the table of an IDX file of unsigned bytes."""
    content = b"".join(pieces(path))
    magic = int.from_bytes(content[:4], "big")
    axes = content[3] if len(content) > 3 else 0
    start = 4 + 4 * axes
    shape = struct.unpack(f">{axes}I", content[4:start]) if len(content) >= start > 4 else ()
    if magic not in (LABELS, IMAGES) or len(content) - start != math.prod(shape):
        raise Refusal(f"{path.name}: not a whole IDX file of unsigned bytes")
    if len(content) == start:
        raise Refusal(f"{path.name}: an IDX file of nothing, its axes are {' x '.join(map(str, shape))}")
    return magic, np.frombuffer(content, np.uint8, offset=start).reshape(shape)
