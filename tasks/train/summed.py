"""Features of sums, so that clients can add theirs up and none shows its own; or of the plan alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import polars as pl

from tasks.model.audio import AudioFeatures
from tasks.model.inputs import Features
from tasks.plan.data import Audio
from tasks.plan.plan import Plan
from tasks.privacy.secure import Numbers
from tasks.train.features import PUBLIC, image_features, pixel_counts, spectrogram_of


class Sums(NamedTuple):
    """One kind's way.

    Attributes:
        of: sums over a client's fit rows, (n,); n does not depend on the rows.
        features: made of the total over the clients.
    """

    of: Callable[[pl.DataFrame, Plan], Numbers]
    features: Callable[[Numbers, Plan], Features]


def _bands(frame: pl.DataFrame, plan: Plan) -> Numbers:
    """Frames, then sums and sums of squares of each band's logarithm of power."""
    data, spectrogram = plan.judgement.data, spectrogram_of(plan)
    assert isinstance(data, Audio)  # noqa: S101 - SUMS' key says so
    if frame.is_empty():
        return np.zeros(1 + 2 * spectrogram.mels)
    recordings = [np.frombuffer(samples, "<i2") for samples in frame[data.payload]]
    found = spectrogram.of(recordings).double()
    sums, squares = found.sum(dim=(0, 2)).numpy(), (found**2).sum(dim=(0, 2)).numpy()
    return np.concatenate([[found.shape[0] * found.shape[2]], sums, squares])


def _audio(total: Numbers, plan: Plan) -> Features:
    data, spectrogram = plan.judgement.data, spectrogram_of(plan)
    assert isinstance(data, Audio)  # noqa: S101 - SUMS' key says so
    means, squares = np.split(total[1:] / total[0], 2)
    deviations = np.sqrt(np.maximum(squares - means**2, 0))
    return AudioFeatures(
        data.payload,
        spectrogram,
        data.maximum_seconds,
        data.fit == "resample",
        tuple(means.tolist()),
        tuple(np.where(deviations > 0, deviations, 1.0).tolist()),
    )


def _pixels(frame: pl.DataFrame, plan: Plan) -> Numbers:
    return pixel_counts(frame, plan).astype(np.float64)


SUMS: Mapping[str, Sums] = MappingProxyType(
    {
        "audio": Sums(_bands, _audio),
        "image": Sums(_pixels, image_features),
        "tabular": Sums(lambda _frame, _plan: np.zeros(0), lambda _total, plan: PUBLIC["tabular"](plan)),
    }
)
"""Of a table nothing is summed: levels and ranges are the plan's."""
