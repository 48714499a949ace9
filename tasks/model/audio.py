"""Recordings as a model takes them in: log-mel spectrograms, standardised band by band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from .decode import FULL_SCALE, Samples, decode_audio, is_encoded_audio, whole_numbers
from .inputs import Flags, Front, Inputs, Steps, Table, column_of, refuse
from .mel import log_mels


@dataclass(frozen=True)
class Spectrogram:
    """How samples become a spectrogram.

    Attributes:
        rate: samples a second.
        samples: kept of a recording, from its start; a shorter one is filled up with silence.
        window: samples that are transformed at a time.
        hop: samples from one frame to the next.
        mels: bands.
    """

    rate: int
    samples: int
    window: int
    hop: int
    mels: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """One channel, mels, frames."""
        return 1, self.mels, self.samples // self.hop + 1

    def of(self, recordings: Sequence[Samples]) -> torch.Tensor:
        """Natural logarithms of power, float32 (n, mels, frames)."""
        kept = np.zeros((len(recordings), self.samples), np.float32)
        for row, recording in enumerate(recordings):
            start = recording[: self.samples]
            kept[row, : len(start)] = start
        kept /= FULL_SCALE
        return log_mels(torch.from_numpy(kept), self.rate, self.window, self.hop, self.mels)


@dataclass(frozen=True)
class AudioFeatures:
    """Recordings of one rate and one channel.

    Attributes:
        column: that holds the recordings.
        spectrogram: how they become tensors.
        maximum_seconds: of a recording that is taken.
        resample: whether an encoded recording of another rate is resampled rather than refused.
        means: of each band over the fit rows' frames.
        deviations: likewise, standard deviations.
    """

    column: str
    spectrogram: Spectrogram
    maximum_seconds: float
    resample: bool
    means: tuple[float, ...]
    deviations: tuple[float, ...]

    @classmethod
    def fit(
        cls,
        column: str,
        recordings: Sequence[bytes],
        spectrogram: Spectrogram,
        maximum_seconds: float,
        *,
        resample: bool,
    ) -> AudioFeatures:
        """Learn mean and deviation of each band from 16-bit samples: give it fit rows alone."""
        found = spectrogram.of([np.frombuffer(samples, "<i2") for samples in recordings]).double()
        means, deviations = found.mean(dim=(0, 2)), found.std(dim=(0, 2), correction=0)
        deviations = torch.where(deviations > 0, deviations, 1.0)
        return cls(
            column, spectrogram, maximum_seconds, resample, tuple(means.tolist()), tuple(deviations.tolist())
        )

    def encode(self, frame: Table) -> Inputs:
        """``mels``, float32 (n, 1, mels, frames).

        A recording is the bytes of 16-bit samples (lower byte first), an array of them, or the bytes of
        a WAV, FLAC or OGG file.

        Raises:
            ValueError: naming the rows that hold no such recording.
        """
        if self.column not in frame.columns:
            refuse([f"column {self.column!r} is missing"])
        recordings, problems = [], list[str]()
        for row, value in enumerate(column_of(frame, self.column)):
            try:
                recordings.append(self.samples(value))
            except ValueError as error:
                problems.append(f"column {self.column!r}, row {row}: {error}")
        refuse(problems)
        means = torch.tensor(self.means)[:, None]
        deviations = torch.tensor(self.deviations)[:, None]
        return Inputs({"mels": ((self.spectrogram.of(recordings) - means) / deviations)[:, None]})

    def unknown_rows(self, frame: Table) -> Flags:
        """None: any recording can be taken in."""
        return np.zeros(len(frame), bool)

    def front(self) -> Front:
        """The spectrogram, a grid."""
        return Mels(self.spectrogram.shape)

    def to_json(self) -> dict[str, Any]:
        """As model.json keeps it."""
        return {"kind": "audio", **asdict(self)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> AudioFeatures:
        """The opposite of ``to_json``."""
        return cls(
            stored["column"],
            Spectrogram(**stored["spectrogram"]),
            stored["maximum_seconds"],
            stored["resample"],
            tuple(stored["means"]),
            tuple(stored["deviations"]),
        )

    def samples(self, value: Any) -> Samples:
        """The samples (n,) of one recording, in any of the forms that `encode` takes.

        Raises:
            ValueError: saying what is wrong with it.
        """
        rate = self.spectrogram.rate
        if isinstance(value, bytes | bytearray | memoryview):
            content = bytes(value)
            if is_encoded_audio(content):
                return decode_audio(content, rate, self.maximum_seconds, resample=self.resample)
            if len(content) % 2:
                raise ValueError(f"16-bit samples are expected, found {len(content)} bytes, an odd number")
            value = np.frombuffer(content, "<i2")
        found = whole_numbers(value, np.int16)
        if found.ndim != 1 or not len(found):
            shape = " x ".join(map(str, found.shape)) or "no shape"
            raise ValueError(f"the samples of one channel are expected, found an array of {shape}")
        if len(found) > self.maximum_seconds * rate:
            raise ValueError(f"{len(found) / rate:.1f} s, at most {self.maximum_seconds:g} s expected")
        return found


class Mels(Front):
    """Spectrograms as they were encoded; it learns nothing."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        """Take the shape of a spectrogram, channels first."""
        super().__init__()
        self.shape = shape

    def forward(self, inputs: Inputs) -> Steps:
        """A grid (n, 1, mels, frames)."""
        return Steps(inputs["mels"])
