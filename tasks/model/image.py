"""Images as a model takes them in: pixels, standardised on the device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

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
    """

    column: str
    height: int
    width: int
    channels: int
    mean: float
    deviation: float

    def encode(self, frame: Table) -> Inputs:
        """``pixels``, uint8 (n, channels, height, width); an image is bytes row by row, or an array.

        Raises:
            ValueError: naming the rows that hold no image of this size.
        """
        if self.column not in frame.columns:
            refuse([f"column {self.column!r} is missing"])
        shape, problems = (self.height, self.width, self.channels), list[str]()
        found = np.zeros((len(frame), *shape), np.uint8)
        for row, value in enumerate(column_of(frame, self.column)):
            pixels = _pixels(value)
            if pixels.size == found[row].size:
                found[row] = pixels.reshape(shape)
            else:
                problems.append(
                    f"column {self.column!r}, row {row}: {found[row].size} bytes are expected "
                    f"({' x '.join(map(str, shape))}), found {pixels.size}"
                )
        refuse(problems)
        return Inputs({"pixels": torch.from_numpy(found.transpose(0, 3, 1, 2).copy())})

    def unknown_rows(self, frame: Table) -> Flags:
        """None: any image of this size can be taken in."""
        return np.zeros(len(frame), bool)

    def front(self) -> Front:
        """Standardised pixels, a grid."""
        return Pixels((self.channels, self.height, self.width), self.mean, self.deviation)

    def to_json(self) -> dict[str, Any]:
        """As model.json keeps it."""
        return {"kind": "image", **asdict(self)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> ImageFeatures:
        """The opposite of ``to_json``."""
        return cls(**{name: value for name, value in stored.items() if name != "kind"})


class Pixels(Front):
    """Pixels to standardised floats; it learns nothing."""

    def __init__(self, shape: tuple[int, int, int], mean: float, deviation: float) -> None:
        """Take the shape of an image, channels first, and the figures of the fit rows."""
        super().__init__()
        self.shape = shape
        self.scale, self.shift = 1 / (255 * deviation), -mean / deviation

    def forward(self, inputs: Inputs) -> Steps:
        """A grid (n, channels, height, width)."""
        return Steps(inputs["pixels"].float() * self.scale + self.shift)


def _pixels(value: Any) -> npt.NDArray[np.uint8]:
    if isinstance(value, bytes | bytearray | memoryview):
        return np.frombuffer(value, np.uint8)
    return np.asarray(value, np.uint8)
