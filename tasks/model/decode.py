"""Encoded images and recordings as pixels and samples: the same at ingest and where the model is served.

Pillow and soundfile are imported when they are first needed: a model that is given pixels or samples does
without them.
"""

from __future__ import annotations

import io
import math
import struct
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Samples = npt.NDArray[np.int16]
FULL_SCALE = 32768
IMAGE_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM")
MODES = {1: "L", 3: "RGB"}
OTHER_MODES = {
    "L": "1 channel (grey)",
    "RGB": "3 channels (red, green, blue)",
    "1": "1 bit a pixel",
    "P": "a palette",
    "PA": "a palette with transparency",
    "LA": "grey with transparency",
    "RGBA": "colours with transparency",
    "CMYK": "4 printing colours",
}
STREAMED = (0, 0xFFFFFFFF)  # what a WAV says of its length that was written before it was known


def decode_image(content: bytes, height: int, width: int, channels: int, *, resize: bool) -> Pixels:
    """Pixels (height, width, channels) of an encoded image, turned as its EXIF data says.

    Args:
        content: the file: PNG, JPEG, BMP, TIFF, WebP or PPM.
        height: expected, in pixels.
        width: likewise.
        channels: 1 (grey) or 3 (red, green, blue); nothing is converted.
        resize: whether an image of another size is resized (bicubic) rather than refused.

    Raises:
        ValueError: saying what is wrong with it.
    """
    from PIL import Image, ImageOps  # noqa: PLC0415 - see above

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.filterwarnings("ignore", category=UserWarning)  # of metadata that nobody reads
            image: Image.Image = Image.open(io.BytesIO(content), formats=IMAGE_FORMATS)
            if (frames := getattr(image, "n_frames", 1)) != 1:
                raise ValueError(f"{frames} images in one file, 1 expected")
            if image.mode != MODES[channels]:
                found = OTHER_MODES.get(image.mode, f"mode {image.mode}")
                raise ValueError(f"{found}, {OTHER_MODES[MODES[channels]]} expected")
            image = ImageOps.exif_transpose(image)
            if image.size != (width, height):
                if not resize:
                    raise ValueError(
                        f"{image.height} x {image.width} pixels (height x width), {height} x {width} expected"
                    )
                image = image.resize((width, height), Image.Resampling.BICUBIC)
            return np.asarray(image, np.uint8).reshape(height, width, channels)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ValueError("more pixels than any image needs") from error
    except (OSError, SyntaxError, EOFError, struct.error) as error:
        raise ValueError("not a whole image that Pillow can read") from error


def decode_audio(content: bytes, rate: int, maximum_seconds: float, *, resample: bool) -> Samples:
    """Samples (n,) of an encoded recording of one channel.

    Args:
        content: the file: WAV, FLAC, OGG or what else soundfile reads.
        rate: expected, in samples a second.
        maximum_seconds: of a recording that is taken.
        resample: whether a recording of another rate is resampled (polyphase filter) rather than refused.

    Raises:
        ValueError: saying what is wrong with it.
    """
    import soundfile  # type: ignore[import-untyped] # noqa: PLC0415 - see above

    _require_whole_wav(content)
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as sound:
            _require_fitting(sound, rate, maximum_seconds, resample=resample)
            found, samples = sound.samplerate, sound.read(dtype="float64")
    except soundfile.LibsndfileError as error:
        raise ValueError("not a whole recording that libsndfile can read") from error
    if not len(samples):
        raise ValueError("no samples")
    if not np.isfinite(samples).all():
        raise ValueError("samples that are no finite numbers")
    if found != rate:
        from scipy.signal import resample_poly  # noqa: PLC0415

        common = math.gcd(rate, found)
        samples = resample_poly(samples, rate // common, found // common)
    # 16-bit samples come through unchanged: reading divides them by the same full scale.
    scaled: Samples = np.clip(np.rint(samples * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
    if not scaled.any():
        raise ValueError("silence: every sample is 0")
    return scaled


def is_encoded_audio(content: bytes) -> bool:
    """Whether bytes are a recording's file rather than its samples."""
    wav = content[:4] in (b"RIFF", b"RF64") and content[8:12] == b"WAVE"
    return wav or content[:4] in (b"fLaC", b"OggS")


def whole_numbers(value: object, kind: type[np.integer[Any]]) -> npt.NDArray[Any]:
    """An array, or what can be one, of whole numbers that ``kind`` can hold.

    Raises:
        ValueError: for anything else; numbers with fractions are scaled in more than one way.
    """
    found, bounds = np.asarray(value), np.iinfo(kind)
    if found.dtype == kind:
        return found
    if found.dtype.kind not in "iu" or (found < bounds.min).any() or (found > bounds.max).any():
        raise ValueError(
            f"whole numbers from {bounds.min} to {bounds.max} are expected, found {found.dtype}"
            + (f" from {found.min()} to {found.max()}" if found.dtype.kind in "iuf" and found.size else "")
        )
    return found.astype(kind)


def _require_whole_wav(content: bytes) -> None:
    """Refuse a WAV that is cut short: libsndfile reads what there is, and says nothing."""
    if content[:4] == b"RIFF":
        told = int.from_bytes(content[4:8], "little")
        if told not in STREAMED and told + 8 > len(content) + 1:  # the last chunk's padding may lack
            raise ValueError(f"cut short: {told + 8} bytes expected, found {len(content)}")


def _require_fitting(sound: Any, rate: int, maximum_seconds: float, *, resample: bool) -> None:
    if sound.channels != 1:
        raise ValueError(f"{sound.channels} channels, 1 expected")
    if sound.samplerate != rate and not resample:
        raise ValueError(f"{sound.samplerate} samples a second, {rate} expected")
    if (seconds := sound.frames / sound.samplerate) > maximum_seconds:
        raise ValueError(f"{seconds:.1f} s, at most {maximum_seconds:g} s expected")
