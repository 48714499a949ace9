"""Images and recordings as a served model takes them in: the same tensors from every form of a sample."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import soundfile
import torch
from PIL import Image

from tasks.model.audio import AudioFeatures, Spectrogram
from tasks.model.features import features_from_json
from tasks.model.image import ImageFeatures
from tasks.model.mel import filters, hertz_of, log_mels, mel_of

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
GREYS = ImageFeatures("image", 3, 4, 1, 0.5, 0.25)
COLOURED = ImageFeatures("image", 3, 4, 3, 0.5, 0.25)
SMALL = Spectrogram(rate=8000, samples=8000, window=256, hop=128, mels=40)


def table(*values: Any, name: str = "image") -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(list(values), dtype=object)})


def png(pixels: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(file, "PNG")
    return file.getvalue()


def wav(samples: Any, rate: int = 8000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV")
    return file.getvalue()


def tone(hertz: float, seconds: float = 1.0) -> np.ndarray[Any, np.dtype[np.int16]]:
    time = np.arange(round(8000 * seconds)) / 8000
    return np.rint(np.sin(2 * np.pi * hertz * time) * 16384).astype(np.int16)


def heard(*recordings: Any) -> AudioFeatures:
    samples = [np.asarray(each, "<i2").tobytes() for each in recordings]
    return AudioFeatures.fit("audio", samples, SMALL, 3.0, resample=False)


def test_an_image_is_the_same_from_bytes_array_list_and_png() -> None:
    forms = (GREY.tobytes(), GREY, GREY[..., None], GREY.tolist(), GREY.astype(np.int64), png(GREY))
    pixels = GREYS.encode(table(*forms))["pixels"]
    assert pixels.shape == (6, 1, 3, 4)
    assert all(torch.equal(each[0], torch.from_numpy(GREY)) for each in pixels)
    prepared = pl.DataFrame({"image": [GREY.tobytes()]})
    assert torch.equal(GREYS.encode(prepared)["pixels"][0], pixels[0])


def test_colours_come_channels_first_and_standardised() -> None:
    colours = np.stack([GREY, GREY + 1, GREY + 2], axis=2)
    encoded = COLOURED.encode(table(colours.tobytes(), png(colours)))
    grid = COLOURED.front()(encoded).values
    expected = (colours.transpose(2, 0, 1) / 255 - 0.5) / 0.25
    assert grid.shape == (2, 3, 3, 4)
    for each in grid:
        assert each.numpy() == pytest.approx(expected, abs=1e-5)


def test_every_image_that_can_not_be_taken_is_named_by_row() -> None:
    colours = np.stack([GREY] * 3, axis=2)
    bad = (GREY, GREY.T, GREY / 255, GREY.astype(int) - 1, b"no image", None, png(GREY[:2]), png(colours))
    with pytest.raises(ValueError, match=r"^7 problems") as refusal:
        GREYS.encode(table(*bad))
    lines = str(refusal.value).splitlines()[1:]
    for line, expected in zip(
        lines,
        [
            "row 1: an array of 3 x 4 x 1 is expected, found one of 4 x 3",
            "row 2: whole numbers from 0 to 255 are expected, found float64 from 0.0 to 0.86",
            "row 3: whole numbers from 0 to 255 are expected, found int64 from -1 to 219",
            "row 4: not a whole PNG, JPEG, BMP, TIFF, WEBP or PPM image",
            "row 5: whole numbers from 0 to 255 are expected, found object",
            "row 6: 2 x 4 pixels (height x width), 3 x 4 expected",
            "row 7: 3 channels (red, green, blue), 1 channel (grey) expected",
        ],
        strict=True,
    ):
        assert expected in line


def test_another_size_is_resized_where_training_images_were() -> None:
    resizing = ImageFeatures("image", 3, 4, 1, 0.5, 0.25, resize=True)
    pixels = resizing.encode(table(png(np.full((6, 8), 90))))["pixels"]
    assert pixels.unique().tolist() == [90]


def test_mels_are_slaneys() -> None:
    # Published in librosa's documentation of hz_to_mel, mel_to_hz and mel_frequencies(n_mels=40).
    assert [mel_of(hertz) for hertz in (60, 110, 220, 440)] == pytest.approx([0.9, 1.65, 3.3, 6.6])
    assert hertz_of(np.arange(1.0, 6)) == pytest.approx([66.667, 133.333, 200, 266.667, 333.333], abs=1e-3)
    forty = hertz_of(np.linspace(0, mel_of(11025), 40))
    assert forty[[1, 11, 12, 20, 38]] == pytest.approx(
        [85.317, 938.49, 1024.856, 2071.84, 10096.408], abs=2e-3
    )


def test_filters_are_librosas() -> None:
    # Published in the documentation of the Rust crate mel_filter: librosa.filters.mel(sr=22050, n_fft=2048).
    bank = filters(22050, 2048, 128)
    assert bank.shape == (128, 1025)
    first = [0, 0.016182853, 0.032365706, 0.028990088, 0.012807235, 0]
    second = [0, 0, 0, 0.009779236, 0.025962089, 0.035393705, 0.019210852, 0.003027999, 0]
    assert bank[0, :6] == pytest.approx(first, abs=1e-8)
    assert bank[1, :9] == pytest.approx(second, abs=1e-8)


def test_a_tone_stands_in_its_own_band() -> None:
    samples = torch.from_numpy(tone(1000).astype(np.float32) / 32768)[None]
    found = log_mels(samples, 8000, 256, 128, 40)
    assert found.shape == (1, 40, 63)
    centres = hertz_of(np.linspace(0, mel_of(4000), 42))[1:-1]
    loudest = found[0].mean(dim=1).argmax()
    assert abs(centres[loudest] - 1000) == abs(centres - 1000).min()


def test_a_recording_is_the_same_from_bytes_array_list_and_file() -> None:
    samples = tone(440)
    features = heard(samples, tone(1200))
    forms = (samples.tobytes(), samples, samples.tolist(), wav(samples))
    mels = features.encode(table(*forms, name="audio"))["mels"]
    assert mels.shape == (4, *SMALL.shape)
    assert all(torch.equal(each, mels[0]) for each in mels)
    prepared = pl.DataFrame({"audio": [samples.tobytes()]})
    assert torch.equal(features.encode(prepared)["mels"][0], mels[0])


def test_bands_are_standardised_by_the_fit_rows() -> None:
    recordings = [tone(440), tone(1200, 0.5), tone(3000)]
    mels = heard(*recordings).encode(table(*recordings, name="audio"))["mels"]
    assert mels.mean(dim=(0, 1, 3)).numpy() == pytest.approx(np.zeros(40), abs=1e-4)
    assert mels.std(dim=(0, 1, 3), correction=0).numpy() == pytest.approx(np.ones(40), abs=1e-4)


def test_what_is_beyond_the_kept_seconds_changes_nothing_and_silence_fills_up() -> None:
    features = heard(tone(440), tone(1200))
    longer = np.concatenate([tone(440), tone(2000)])
    filled = np.concatenate([tone(440, 0.5), np.zeros(4000, np.int16)])
    mels = features.encode(table(longer, tone(440), filled, tone(440, 0.5), name="audio"))["mels"]
    assert torch.equal(mels[0], mels[1])
    assert torch.equal(mels[2], mels[3])


def test_every_recording_that_can_not_be_taken_is_named_by_row() -> None:
    samples = tone(440)
    bad = (
        samples,
        b"odd",
        b"",
        samples / 32768,
        np.stack([samples, samples]),
        np.tile(samples, 4),
        wav(samples, rate=16000),
        wav(np.tile(samples, 4)),
        None,
    )
    with pytest.raises(ValueError, match=r"^8 problems") as refusal:
        heard(samples).encode(table(*bad, name="audio"))
    for line, expected in zip(
        str(refusal.value).splitlines()[1:],
        [
            "row 1: 16-bit samples are expected, found 3 bytes, an odd number",
            "row 2: the samples of one channel are expected, found an array of 0",
            "row 3: whole numbers from -32768 to 32767 are expected, found float64",
            "row 4: the samples of one channel are expected, found an array of 2 x 8000",
            "row 5: 4.0 s, at most 3 s expected",
            "row 6: 16000 samples a second, 8000 expected",
            "row 7: 4.0 s, at most 3 s expected",
            "row 8: whole numbers from -32768 to 32767 are expected, found object",
        ],
        strict=True,
    ):
        assert expected in line


@pytest.mark.parametrize("features", [GREYS, COLOURED, heard(tone(440), tone(1200))])
def test_features_are_kept_whole(features: ImageFeatures | AudioFeatures) -> None:
    assert features_from_json(json.loads(json.dumps(features.to_json()))) == features
    assert not features.unknown_rows(table(GREY)).any()
    with pytest.raises(ValueError, match=f"column '{features.column}' is missing"):
        features.encode(pd.DataFrame({"other": [1]}))


def test_no_rows_are_no_samples() -> None:
    assert GREYS.encode(table()).tensors["pixels"].shape == (0, 1, 3, 4)
    empty = heard(tone(440)).encode(table(name="audio"))
    assert empty["mels"].shape == (0, *SMALL.shape)


def test_decoders_are_imported_only_when_a_file_comes() -> None:
    script = (
        "import sys, numpy, pandas; from tasks.model.image import ImageFeatures;"
        "from tasks.model.audio import AudioFeatures;"
        "ImageFeatures('i', 1, 1, 1, .5, .5).encode(pandas.DataFrame({'i': [b'1']}));"
        "sys.exit(any(name in sys.modules for name in ('PIL', 'soundfile', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
