"""Altered copies of images and recordings: how many, of what, and what describes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from tasks.errors import Refusal
from tasks.ingest.audio import describe_samples
from tasks.ingest.image import describe_pixels
from tasks.mitigate.augmentation import alter_pixels, alter_samples, augmented
from tasks.mitigate.sample import Sample
from tasks.plan.mitigation import Augmentation
from tests.mitigate.samples import judgement_of, same, sample_of, sizes

FORMAT = {"type": "files", "pattern": r"(?P<label>\w+)_(?P<voice>\w+)\.\w+$"}
WHO = {"voice": {"type": "category"}}
IMAGES = judgement_of(
    {"kind": "image", "format": FORMAT, "height": 8, "width": 6, "channels": 3, "columns": WHO},
    {"voice": {"column": "voice"}, "light": {"column": "brightness", "bins": [0, 0.5]}},
)
RECORDINGS = judgement_of(
    {"kind": "audio", "format": FORMAT, "rate": 1000, "columns": WHO}, {"voice": {"column": "voice"}}
)
CELLS = [("ann", "high")] * 2 + [("ann", "low")] * 5 + [("bob", "high")] * 4 + [("bob", "low")] * 3


class Largest:
    """Draws the largest of what may be drawn, and no noise."""

    def uniform(self, _: float, high: float, size: int | None = None) -> Any:
        return high if size is None else np.full(size, high)

    def normal(self, _: float, __: float, size: Any) -> Any:
        return np.zeros(size)


def step(**wanted: Any) -> Augmentation:
    return Augmentation(kind="augmentation", **wanted)


def images() -> Sample:
    pixels = np.random.default_rng(5).integers(0, 256, (len(CELLS), 8, 6, 3), np.uint8)
    frame = pl.DataFrame(CELLS, schema=["voice", "label"], orient="row").with_columns(
        pl.Series("image", [one.tobytes() for one in pixels], pl.Binary),
        **{name: pl.Series(values) for name, values in describe_pixels(pixels).items()},
        form=pl.lit("sound"),
    )
    return sample_of(frame, IMAGES)


def recordings() -> Sample:
    rng = np.random.default_rng(6)
    samples = [rng.integers(-9000, 9000, 200 + 10 * i).astype("<i2") for i in range(len(CELLS))]
    told = [describe_samples(one, 1000) for one in samples]
    frame = pl.DataFrame(CELLS, schema=["voice", "label"], orient="row").with_columns(
        pl.Series("audio", [one.tobytes() for one in samples], pl.Binary),
        **{name: pl.Series([one[name] for one in told]) for name in ("seconds", "loudness")},
        form=pl.lit("sound"),
    )
    return sample_of(frame, RECORDINGS)


def grown(sample: Sample, judgement: Any, wanted: Augmentation, seed: int = 1) -> Sample:
    return augmented(sample, wanted, judgement, np.random.default_rng(seed))


# Cells of 2, 5, 4 and 3 rows; classes of 6 and 8.
@pytest.mark.parametrize(
    ("wanted", "names", "each"),
    [
        (step(attribute="voice"), ("voice", "label"), 5),
        (step(), ("label",), 8),
        (step(attribute="voice", copies=1), ("voice", "label"), 10),
        (step(copies=0.5), ("label",), 12),
    ],
)
def test_cells_become_equally_large(wanted: Augmentation, names: tuple[str, ...], each: int) -> None:
    for before, judgement in ((images(), IMAGES), (recordings(), RECORDINGS)):
        after = grown(before, judgement, wanted)
        assert set(sizes(after, *names).values()) == {each}
        assert same(after.at(np.arange(len(CELLS))), before)
        assert after.made.tolist() == [False] * len(CELLS) + [True] * (len(after.made) - len(CELLS))


def test_copies_are_described_by_what_they_are() -> None:
    after = grown(images(), IMAGES, step(attribute="voice", noise=0.2))
    pixels = np.stack([np.frombuffer(one, np.uint8).reshape(8, 6, 3) for one in after.frame["image"]])
    told = describe_pixels(pixels)
    assert after.frame["brightness"].to_list() == pytest.approx(told["brightness"])
    assert after.frame["contrast"].to_list() == pytest.approx(told["contrast"])
    light = np.where(told["brightness"] >= 0.5, "0.5+", "0 to 0.5")
    assert after.described["light"].to_list() == light.tolist()  # a protected attribute follows
    heard = grown(recordings(), RECORDINGS, step(attribute="voice"))
    for content, seconds, loudness in heard.frame.select("audio", "seconds", "loudness").iter_rows():
        found = describe_samples(np.frombuffer(content, "<i2"), 1000)
        assert (seconds, loudness) == (found["seconds"], pytest.approx(found["loudness"]))


def test_each_copy_is_altered_in_its_own_way_and_the_seed_decides() -> None:
    for before, judgement, payload in ((images(), IMAGES, "image"), (recordings(), RECORDINGS, "audio")):
        after = grown(before, judgement, step(copies=2))
        assert after.frame[payload].is_unique().all()
        assert same(after, grown(before, judgement, step(copies=2)))
        assert not same(after, grown(before, judgement, step(copies=2), seed=2))


def test_nothing_to_alter_leaves_what_was() -> None:
    still = step(shift=0, rotate=0, noise=0, gain=0)
    for before, judgement, payload in ((images(), IMAGES, "image"), (recordings(), RECORDINGS, "audio")):
        after = grown(before, judgement, still)
        assert set(after.frame[payload]) == set(before.frame[payload])


def test_an_image_is_shifted_and_its_edge_goes_on() -> None:
    pixels = np.arange(32, dtype=np.uint8).reshape(4, 4, 2)
    moved = alter_pixels(pixels, step(shift=0.25, rotate=0), Largest())  # type: ignore[arg-type]
    rows = [0, 0, 1, 2]  # a quarter of four pixels down and to the right
    assert (moved == pixels[rows][:, rows]).all()


def test_an_image_is_turned_about_its_centre_and_all_its_channels_alike() -> None:
    pixels = np.zeros((21, 21, 3), np.uint8)
    pixels[10, 16] = (240, 120, 60)  # six pixels to the right of the centre
    moved = alter_pixels(pixels, step(shift=0, rotate=45), Largest()).astype(float)  # type: ignore[arg-type]
    for channel in range(3):
        of_channel = moved[..., channel]
        down, right = (np.arange(21) @ of_channel.sum(axis=1 - axis) / of_channel.sum() for axis in (0, 1))
        assert abs(down - 10) == pytest.approx(6 * np.sin(np.pi / 4), abs=0.2)
        assert right - 10 == pytest.approx(6 * np.cos(np.pi / 4), abs=0.2)


def test_noise_is_a_share_of_the_full_range() -> None:
    grey = np.full((100, 100, 1), 128, np.uint8)
    rng = np.random.default_rng(3)
    noisy = alter_pixels(grey, step(shift=0, rotate=0, noise=0.05), rng)
    assert noisy.astype(float).std() == pytest.approx(0.05 * 255, rel=0.05)
    heard = alter_samples(np.ones(10_000, np.int16), step(shift=0, gain=0, noise=0.05), rng)
    assert heard.astype(float).std() == pytest.approx(0.05 * 32768, rel=0.05)


def test_a_recording_is_shifted_and_louder_and_clipped() -> None:
    twice = 20 * np.log10(2)
    samples = np.array([100, -200, 20_000, -20_000], np.int16)
    louder = alter_samples(samples, step(shift=0, gain=twice), Largest())  # type: ignore[arg-type]
    assert louder.tolist() == [200, -400, 32767, -32768]
    later = alter_samples(samples, step(shift=0.5, gain=0), Largest())  # type: ignore[arg-type]
    assert later.tolist() == [0, 0, 100, -200]


def test_a_recording_of_which_nothing_would_be_left_stays_as_it_is() -> None:
    samples = np.array([0, 0, 0, 500], np.int16)
    kept = alter_samples(samples, step(shift=0.5, gain=0), Largest())  # type: ignore[arg-type]
    assert kept.tolist() == samples.tolist()


def test_a_cell_with_no_rows_is_refused_by_name() -> None:
    one_class = images().at(np.arange(2, 14))  # ann without "high"
    with pytest.raises(Refusal, match=r"augmentation by voice: .* found none of ann, label 'high'"):
        grown(one_class, IMAGES, step(attribute="voice"))
    assert set(sizes(grown(one_class, IMAGES, step()), "label").values()) == {8}
    with pytest.raises(Refusal, match=r"augmentation by label: .* found none of label 'high'"):
        grown(images().at(np.arange(2, 7)), IMAGES, step())
