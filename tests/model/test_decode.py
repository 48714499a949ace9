"""Encoded images and recordings: whole ones come through, of others nothing but a ValueError escapes."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from PIL import Image

from tasks.model.decode import IMAGE_FORMATS, decode_audio, decode_image, is_encoded_audio

RNG = np.random.default_rng(11)
PIXELS = RNG.integers(0, 256, (6, 5, 3), np.uint8)
NOISE = RNG.integers(-9000, 9000, 12_000, np.int16)
CHANGES = 200


def picture(kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, kind)
    return file.getvalue()


def recording(kind: str, subtype: str | None = None, samples: object = NOISE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, 8000, subtype, format=kind)
    return file.getvalue()


def pixels_of(content: bytes) -> object:
    return decode_image(content, 6, 5, 3, resize=False)


def samples_of(content: bytes, *, resample: bool = False) -> object:
    return decode_audio(content, 8000, 60, resample=resample)


def changed(content: bytes, rng: np.random.Generator) -> bytes:
    """Cut somewhere, or some bytes replaced, most of them near the start where sizes and kinds stand."""
    if rng.integers(3) == 0:
        return content[: rng.integers(len(content))]
    altered = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        altered[rng.integers(len(content) if rng.integers(3) == 0 else min(80, len(content)))] = rng.integers(
            256
        )
    return bytes(altered)


@pytest.mark.parametrize("kind", [*IMAGE_FORMATS, "WAV", "FLAC", "OGG"])
def test_of_a_damaged_file_nothing_but_a_value_error_escapes(kind: str) -> None:
    rng = np.random.default_rng(5)
    whole = picture(kind) if kind in IMAGE_FORMATS else recording(kind, samples=NOISE[:400])
    refused = 0
    for _ in range(CHANGES):
        content = changed(whole, rng)
        try:
            if kind in IMAGE_FORMATS:
                pixels_of(content)
            else:
                samples_of(content)
        except ValueError:
            refused += 1
    assert refused > CHANGES / 5


def test_a_tiff_without_a_width_is_a_value_error() -> None:
    """Pillow raises a TypeError of it."""
    content = picture("TIFF")
    at = content.index(b"\x00\x01\x04\x00\x01\x00\x00\x00\x05\x00")  # tag 256, a long, one of it: 5
    with pytest.raises(ValueError, match="not a whole PNG, JPEG, BMP, TIFF, WEBP or PPM image"):
        pixels_of(content[:at] + b"\xfe\x00" + content[at + 2 :])


@pytest.mark.parametrize(
    ("kind", "subtype"), [("WAV", None), ("FLAC", None), ("OGG", "VORBIS"), ("OGG", "OPUS")]
)
def test_a_recording_cut_anywhere_is_never_taken_for_a_shorter_one(kind: str, subtype: str | None) -> None:
    whole = recording(kind, subtype)
    samples_of(whole)
    pages = [at for at in range(len(whole)) if whole.startswith(b"OggS", at)]
    assert (len(pages) > 3) == (kind == "OGG")
    for length in {*np.linspace(0, len(whole) - 9, 40).astype(int), *pages, len(whole) - 1}:
        with pytest.raises(ValueError, match=r"cut short|not a whole|of another kind"):
            samples_of(whole[:length])


def test_a_wav_of_unknown_length_is_read_and_one_without_its_last_padding() -> None:
    whole = recording("WAV")
    at = whole.index(b"data") + 4
    for unknown in (b"\x00" * 4, b"\xff" * 4):
        assert len(samples_of(whole[:4] + unknown + whole[8:])) == len(NOISE)  # type: ignore[arg-type]
    streamed = whole[:4] + b"\xff" * 4 + whole[8:at] + b"\xff" * 4 + whole[at + 4 :]
    assert len(samples_of(streamed)) == len(NOISE)  # type: ignore[arg-type]
    eight = recording("WAV", "PCM_U8", samples=NOISE[:401])
    assert len(samples_of(eight[:-1])) == 401  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["AIFF", "AU", "RF64", "W64", "CAF", "MP3"])
def test_a_recording_of_another_kind_is_refused_by_name(kind: str) -> None:
    content = recording(kind)
    with pytest.raises(ValueError, match=f"^{kind}: WAV, FLAC or OGG is expected; convert it first"):
        samples_of(content)
    assert is_encoded_audio(content)  # a served model must not take its bytes for samples


def test_two_bytes_of_an_mp3_may_be_samples() -> None:
    mp3 = recording("MP3")
    assert is_encoded_audio(b"ID3" + mp3)
    raw = bytearray(NOISE.astype(np.float32).tobytes())
    for first in (b"\xff\xfb", b"\xff\xf3\x84", mp3[:4]):
        assert not is_encoded_audio(first)
        assert not is_encoded_audio(first + raw)  # no second frame where the first would end


def test_a_second_recording_behind_the_first_is_refused() -> None:
    """Of a chained OGG libsndfile reads the first and says nothing of the rest."""
    with pytest.raises(ValueError, match="several in one"):
        samples_of(2 * recording("OGG"))


def test_numbers_beyond_any_sound_and_rates_beyond_any_recorder_are_refused() -> None:
    for beyond in (1e300, np.inf, np.nan):
        with pytest.raises(ValueError, match="no finite numbers"):
            samples_of(recording("WAV", "DOUBLE", np.full(9, beyond)))
    fast = bytearray(recording("WAV"))
    fast[24:28] = (1_999_999_973).to_bytes(4, "little")  # a prime: the filter would have 4e10 taps
    with pytest.raises(ValueError, match="1999999973 samples a second, 8000 expected"):
        samples_of(bytes(fast), resample=True)
