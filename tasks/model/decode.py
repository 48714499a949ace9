"""Encoded images and recordings as pixels and samples: the same at ingest and where the model is served.

Pillow and soundfile are imported when they are first needed: a model that is given pixels or samples does
without them.
"""

from __future__ import annotations

import io
import math
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
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
    "I;16": "16 bits a pixel",
    "P": "a palette",
    "PA": "a palette with transparency",
    "LA": "grey with transparency",
    "RGBA": "colours with transparency",
    "CMYK": "4 printing colours",
}
# Pillow's readers of damaged files raise nearly anything, a TypeError for a TIFF without a width, say.
DAMAGED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
# libsndfile reads these too, and takes one that is cut short for a shorter recording.
OTHER_RECORDINGS = {
    b"FORM": "AIFF",
    b".snd": "AU",
    b"RF64": "RF64",
    b"RIFX": "RIFX (WAV of the other byte order)",
    b"caff": "CAF",
    b"riff": "W64",
    b"ID3": "MP3",
}
MPEG = (b"\xff\xe3", b"\xff\xf3", b"\xff\xfb")
MPEG_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)  # kilobits a second
MPEG_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
HIGHEST_RATE = 384_000  # samples a second; the filter that resamples may have 20 taps for each of them
HIGHEST_PEAK = 2.0  # of full scale: lossy decoders overshoot by less; what is beyond 1 is cut off
UNTOLD = 2**63 - 1  # samples: what libsndfile makes of a FLAC that does not say how many it has
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

    with _reading():
        image: Image.Image = Image.open(io.BytesIO(content), formats=IMAGE_FORMATS)
        frames = getattr(image, "n_frames", 1)
    if frames != 1:
        raise ValueError(f"{frames} images in one file, 1 expected")
    if image.mode != MODES[channels]:
        found = OTHER_MODES.get(image.mode, f"mode {image.mode}")
        raise ValueError(f"{found}, {OTHER_MODES[MODES[channels]]} expected")
    if not resize and sorted(image.size) != sorted((width, height)):  # before its pixels are unpacked
        raise _of_another_size(image, height, width)
    with _reading():
        image = ImageOps.exif_transpose(image)
    if image.size != (width, height):
        if not resize:
            raise _of_another_size(image, height, width)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image, np.uint8).reshape(height, width, channels)


def _of_another_size(image: Any, height: int, width: int) -> ValueError:
    return ValueError(f"{image.height} x {image.width} pixels (height x width), {height} x {width} expected")


@contextmanager
def _reading() -> Iterator[None]:
    """Whatever Pillow raises of a damaged file, as a ValueError in our words: its own may quote the file."""
    from PIL import Image  # noqa: PLC0415 - see above

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.filterwarnings("ignore", category=UserWarning)  # of metadata that nobody reads
            yield
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ValueError("more pixels than any image needs") from error
    except DAMAGED as error:
        raise ValueError("not a whole PNG, JPEG, BMP, TIFF, WEBP or PPM image") from error


def decode_audio(content: bytes, rate: int, maximum_seconds: float, *, resample: bool) -> Samples:
    """Samples (n,) of an encoded recording of one channel.

    Args:
        content: the file: WAV, FLAC or OGG.
        rate: expected, in samples a second.
        maximum_seconds: of a recording that is taken.
        resample: whether a recording of another rate is resampled (polyphase filter) rather than refused.

    Raises:
        ValueError: saying what is wrong with it.
    """
    import soundfile  # type: ignore[import-untyped] # noqa: PLC0415 - see above

    _require_whole(content)
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as sound:
            _require_fitting(sound, rate, maximum_seconds, resample=resample)
            found, told, samples = sound.samplerate, sound.frames, sound.read(dtype="float64")
    except soundfile.LibsndfileError as error:
        raise ValueError("not a whole recording that libsndfile can read") from error
    if len(samples) != told:
        raise ValueError(f"cut short or altered: {told} samples expected, found {len(samples)}")
    if not len(samples):
        raise ValueError("no samples")
    if not (np.abs(samples) < np.finfo(np.float32).max).all():  # nor NaN
        raise ValueError("samples that are no finite numbers")
    if (peak := np.abs(samples).max()) > HIGHEST_PEAK:
        raise ValueError(f"samples up to {peak:.6g}, where full scale is 1: scale them down first")
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
    """Whether bytes are a recording's file, though it may be one that is refused, rather than its samples."""
    if content.startswith(MPEG):
        return _is_mpeg(content)
    return content.startswith((b"RIFF", b"fLaC", b"OggS", *OTHER_RECORDINGS))


def _is_mpeg(content: bytes) -> bool:
    """Whether a frame of MPEG's layer III begins where the first one ends: two bytes may be a sample, too."""
    if len(content) < 4:
        return False
    version, rate, place = content[1] >> 3 & 3, content[2] >> 4, content[2] >> 2 & 3
    if rate in (0, 15) or place == 3:
        return False
    whole = version == 3  # MPEG 1; 2 and 2.5 have half the samples in a frame, and other rates
    kilobits = (MPEG_1 if whole else MPEG_2)[rate - 1]
    samples = (44_100, 48_000, 32_000)[place] >> (3 - version if version else 2)
    length = (144 if whole else 72) * 1000 * kilobits // samples + (content[2] >> 1 & 1)
    return content[length : length + 2] == content[:2]


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


def _require_whole(content: bytes) -> None:
    """Refuse what is no WAV, FLAC or OGG, and a WAV or OGG that is cut short.

    libsndfile reads what there is of these two and says nothing; of a FLAC it does.
    """
    if content.startswith(b"RIFF"):
        if (told := _told_length(content)) > len(content):
            raise ValueError(f"cut short: {told} bytes expected, found {len(content)}")
    elif content.startswith(b"OggS"):
        if not _reaches_its_end(content):
            raise ValueError(
                "cut short, or several in one: an OGG that ends with its page marked last is expected"
            )
    elif not content.startswith(b"fLaC"):
        others = {**OTHER_RECORDINGS, **dict.fromkeys(MPEG, "MP3")}
        found = [name for first, name in others.items() if content.startswith(first)]
        what = found[0] if found else f"{len(content)} bytes of another kind"
        raise ValueError(f"{what}: WAV, FLAC or OGG is expected; convert it first")


def _told_length(wav: bytes) -> int:
    """Bytes that a WAV says it has, by its own length or that of its samples, where it says so."""
    told = int.from_bytes(wav[4:8], "little")
    length, at = 0 if told in STREAMED else told + 7, 12  # the last chunk's padding may lack
    while len(wav) >= at + 8:
        name, size = wav[at : at + 4], int.from_bytes(wav[at + 4 : at + 8], "little")
        if name == b"data":
            return max(length, 0 if size in STREAMED else at + 8 + size)
        at += 8 + size + size % 2
    return length


def _reaches_its_end(ogg: bytes) -> bool:
    """Whether pages follow each other up to a whole one that is marked as the last (RFC 3533), and no more.

    Of a second recording behind it libsndfile would read nothing.
    """
    at = 0
    while ogg[at : at + 4] == b"OggS" and len(ogg) >= at + 27:
        last, segments = bool(ogg[at + 5] & 4), ogg[at + 26]
        at += 27 + segments + sum(ogg[at + 27 : at + 27 + segments])
        if last:
            return at == len(ogg)
    return False


def _require_fitting(sound: Any, rate: int, maximum_seconds: float, *, resample: bool) -> None:
    if sound.channels != 1:
        raise ValueError(f"{sound.channels} channels, 1 expected")
    if sound.samplerate != rate and (not resample or sound.samplerate > HIGHEST_RATE):
        raise ValueError(f"{sound.samplerate} samples a second, {rate} expected")
    if sound.frames >= UNTOLD:
        raise ValueError("how long it is, which a recording written as a stream does not say")
    if (seconds := sound.frames / sound.samplerate) > maximum_seconds:
        raise ValueError(f"{seconds:.1f} s, at most {maximum_seconds:g} s expected")
