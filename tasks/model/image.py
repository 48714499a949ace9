"""Images as a model takes them in: pixels, standardised on the device."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from .decode import Pixels, decode_image, whole_numbers
from .inputs import Flags, Front, Inputs, Steps, Table, column_of, refuse


@dataclass(frozen=True)
class ImageFeatures:
    """Images of one size.

    Attributes:
        column: that holds the images.
        height: pixels.
        width: pixels.
        channels: 1 (grey) or 3 (red, green, blue).
        mean: of the fit rows' pixels, in [0, 1].
        deviation: their standard deviation.
        resize: whether an encoded image of another size is resized rather than refused.
    """

    column: str
    height: int
    width: int
    channels: int
    mean: float
    deviation: float
    resize: bool = False

    def encode(self, frame: Table) -> Inputs:
        """``pixels``, uint8 (n, channels, height, width).

        An image is the bytes of its pixels, row by row; an array (height, width, channels), or without the
        last axis where there is one channel; or the bytes of a PNG, JPEG or other file.

        Raises:
            ValueError: naming the rows that hold no image of this size.
        """
        if self.column not in frame.columns:
            refuse([f"column {self.column!r} is missing"])
        problems = list[str]()
        found = np.zeros((len(frame), self.height, self.width, self.channels), np.uint8)
        for row, value in enumerate(column_of(frame, self.column)):
            try:
                found[row] = self._pixels(value)
            except ValueError as error:
                problems.append(f"column {self.column!r}, row {row}: {error}")
        refuse(problems)
        return Inputs({"pixels": torch.from_numpy(found.transpose(0, 3, 1, 2).copy())})

    def unknown_rows(self, frame: Table) -> Flags:
        """None: any image of this size can be taken in."""
        return np.zeros(len(frame), bool)

    def front(self) -> Front:
        """Standardised pixels, a grid."""
        return Standardised((self.channels, self.height, self.width), self.mean, self.deviation)

    def to_json(self) -> dict[str, Any]:
        """As model.json keeps it."""
        return {"kind": "image", **asdict(self)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> ImageFeatures:
        """The opposite of ``to_json``."""
        return cls(**{name: value for name, value in stored.items() if name != "kind"})

    def _pixels(self, value: Any) -> Pixels:
        shape = (self.height, self.width, self.channels)
        if isinstance(value, bytes | bytearray | memoryview):
            content = bytes(value)
            if len(content) == math.prod(shape):
                return np.frombuffer(content, np.uint8).reshape(shape)
            return decode_image(content, *shape, resize=self.resize)
        found = whole_numbers(value, np.uint8)
        if found.shape != shape and (self.channels != 1 or found.shape != shape[:2]):
            raise ValueError(
                f"an array of {' x '.join(map(str, shape))} is expected, found one of "
                f"{' x '.join(map(str, found.shape)) or 'no shape'}"
            )
        return found.reshape(shape)


class Standardised(Front):
    """Pixels to standardised floats; it learns nothing."""

    def __init__(self, shape: tuple[int, int, int], mean: float, deviation: float) -> None:
        """Take the shape of an image, channels first, and the figures of the fit rows."""
        super().__init__()
        self.shape = shape
        self.scale, self.shift = 1 / (255 * deviation), -mean / deviation

    def forward(self, inputs: Inputs) -> Steps:
        """A grid (n, channels, height, width)."""
        return Steps(inputs["pixels"].float() * self.scale + self.shift)
