"""Log-mel spectrograms, by the mel scale of Slaney's Auditory Toolbox (Technical Report 1998-010).

Linear to 1000 Hz, logarithmic above; triangles of equal area. It is what librosa has by default.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch

Floats = npt.NDArray[np.float64]

HERTZ_PER_MEL = 200 / 3
BREAK_HERTZ, BREAK_MEL = 1000.0, 15.0
STEP = math.log(6.4) / 27
FLOOR = 1e-6
"""Power below which a band counts as silent: about the rounding noise of 16-bit samples."""
AT_ONCE = 256  # recordings transformed at a time, so that memory stays bounded


def mel_of(hertz: float) -> float:
    """Mels of a frequency."""
    if hertz < BREAK_HERTZ:
        return hertz / HERTZ_PER_MEL
    return BREAK_MEL + math.log(hertz / BREAK_HERTZ) / STEP


def hertz_of(mels: Floats) -> Floats:
    """The opposite of :func:`mel_of`, for each of ``mels``."""
    above = BREAK_HERTZ * np.exp(STEP * (mels - BREAK_MEL))
    return np.where(mels < BREAK_MEL, mels * HERTZ_PER_MEL, above)


def filters(rate: int, window: int, mels: int) -> Floats:
    """Weights (mels, window // 2 + 1) of the spectrum's frequencies in each band, from 0 Hz to rate / 2.

    Args:
        rate: samples a second.
        window: samples that are transformed at a time.
        mels: number of bands.
    """
    edges = hertz_of(np.linspace(0, mel_of(rate / 2), mels + 2))
    frequencies = np.arange(window // 2 + 1) * rate / window
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (frequencies - low) / (middle - low), (high - frequencies) / (high - middle)
    return np.clip(np.minimum(rising, falling), 0, None) * 2 / (high - low)


def loudest(rate: int, window: int, mels: int) -> Floats:
    """What no value of :func:`log_mels` exceeds in each band, (mels,), whatever is recorded.

    By Parseval the power of all frequencies together is ``window`` times that of the weighed samples, each
    of which is in [-1, 1]; at most all of it lies where a band weighs most.
    """
    power = window * float(torch.hann_window(window, dtype=torch.float64).square().sum())
    highest: Floats = np.log(np.maximum(filters(rate, window, mels).max(axis=1) * power, FLOOR))
    return highest


def log_mels(samples: torch.Tensor, rate: int, window: int, hop: int, mels: int) -> torch.Tensor:
    """Natural logarithm of the power in each band, (n, mels, frames), frames = samples // hop + 1.

    Args:
        samples: float32 (n, samples), in [-1, 1].
        rate: samples a second.
        window: samples transformed at a time, weighed by a Hann window.
        hop: samples from one frame to the next.
        mels: number of bands.
    """
    weights = torch.from_numpy(filters(rate, window, mels).astype(np.float32))
    hann = torch.hann_window(window)
    parts = torch.split(samples, AT_ONCE) if len(samples) else ()
    powers = (
        torch.stft(part, window, hop, window=hann, pad_mode="constant", return_complex=True).abs().square()
        for part in parts
    )
    none = torch.zeros(0, mels, samples.shape[1] // hop + 1)
    return torch.cat([none, *((weights @ power).clamp_min(FLOOR).log() for power in powers)])
