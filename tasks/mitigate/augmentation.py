"""Altered copies of images and recordings, until the cells of group x label are equally large."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
from scipy.ndimage import affine_transform

from tasks.ingest.audio import describe_samples
from tasks.ingest.image import describe_pixels
from tasks.mitigate.cells import cells_of, drawn, require_every_cell
from tasks.mitigate.sample import Sample
from tasks.model.decode import FULL_SCALE, Pixels, Samples
from tasks.plan.data import Audio, Image
from tasks.plan.judgement import Judgement
from tasks.plan.mitigation import Augmentation

Altered = tuple[bytes, dict[str, float]]
"""A payload, and what describes it."""


def augmented(sample: Sample, step: Augmentation, judgement: Judgement, rng: np.random.Generator) -> Sample:
    """The rows, and then altered copies: of every cell as many as bring it to the largest one's size.

    With ``copies`` every cell grows further, by that many times the largest cell's size: they stay equal.
    Each row of a cell is copied as often as they go whole, and some once more.

    Raises:
        Refusal: a group has no rows of a class.
    """
    cells = cells_of(sample.described, step.attribute)
    require_every_cell(cells, step.kind, step.attribute, judgement)
    target = round((1 + step.copies) * max(len(rows) for rows in cells.values()))
    copied = np.concatenate([drawn(rows, target - len(rows), rng) for rows in cells.values()])
    if not len(copied):
        return sample
    alter = _altering(step, judgement, rng)
    payload = judgement.data.inputs[0]
    made = [alter(content) for content in sample.frame[payload][copied]]
    frame = sample.frame[copied].with_columns(
        pl.Series(payload, [content for content, _ in made], pl.Binary),
        *(pl.Series(name, [described[name] for _, described in made], pl.Float64) for name in made[0][1]),
    )
    return sample.plus(sample.copies(copied, frame, judgement))


def _altering(
    step: Augmentation, judgement: Judgement, rng: np.random.Generator
) -> Callable[[bytes], Altered]:
    """How a payload is altered: of the same shape, and described anew."""
    data = judgement.data

    def image(content: bytes, data: Image) -> Altered:
        pixels = np.frombuffer(content, np.uint8).reshape(data.height, data.width, data.channels)
        altered = alter_pixels(pixels, step, rng)
        return altered.tobytes(), {name: float(v[0]) for name, v in describe_pixels(altered[None]).items()}

    def recording(content: bytes, data: Audio) -> Altered:
        altered = alter_samples(np.frombuffer(content, "<i2"), step, rng)
        return altered.astype("<i2").tobytes(), describe_samples(altered, data.rate)

    if isinstance(data, Image):
        return lambda content: image(content, data)
    assert isinstance(data, Audio)  # noqa: S101 - the plan sees to it: images or recordings
    return lambda content: recording(content, data)


def alter_pixels(pixels: Pixels, step: Augmentation, rng: np.random.Generator) -> Pixels:
    """Turn about the centre, shift and add noise; what comes in at an edge is like the edge.

    Args:
        pixels: shape (height, width, channels).
        step: says how far, at most; each is drawn evenly up to there.
        rng: of the step.
    """
    angle = np.deg2rad(rng.uniform(-step.rotate, step.rotate))
    shift = rng.uniform(-step.shift, step.shift, 2) * np.array(pixels.shape[:2])
    noise = rng.normal(0, 255 * step.noise, pixels.shape)
    cosine, sine = np.cos(angle), np.sin(angle)
    # Where each pixel of the outcome comes from; every channel from its own.
    turn = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    centre = (np.array(pixels.shape) - 1) / 2
    start = centre - turn @ (centre + np.array([*shift, 0]))
    moved = affine_transform(pixels.astype(np.float64), turn, start, order=1, mode="nearest")
    altered: Pixels = np.clip(np.rint(moved + noise), 0, 255).astype(np.uint8)
    return altered


def alter_samples(samples: Samples, step: Augmentation, rng: np.random.Generator) -> Samples:
    """Shift in time, change the loudness and add noise; silence comes in, and what is too loud is clipped.

    Args:
        samples: shape (n,), not all 0.
        step: says how far, at most; each is drawn evenly up to there, the gain in decibels.
        rng: of the step.

    Returns:
        Shape (n,), not all 0: a recording of which nothing would be left stays as it is.
    """
    by = round(rng.uniform(-step.shift, step.shift) * len(samples))
    gain = 10 ** (rng.uniform(-step.gain, step.gain) / 20)
    noise = rng.normal(0, FULL_SCALE * step.noise, len(samples))
    moved = np.zeros(len(samples))
    moved[max(by, 0) : len(samples) + min(by, 0)] = samples[max(-by, 0) : len(samples) - max(by, 0)]
    altered: Samples = np.clip(np.rint(gain * moved + noise), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
    return altered if altered.any() else samples
