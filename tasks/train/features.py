"""Features fitted on the fit rows, by the kind of data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import polars as pl

from tasks.mitigate.masking import masked_terms
from tasks.model import audio, image, mel, tabular, text
from tasks.model.columns import Category, Number
from tasks.model.inputs import Features
from tasks.plan.data import Audio, Image, Tabular, Text
from tasks.plan.features import AudioFeatures, TabularFeatures, TextFeatures
from tasks.plan.model import Pretrained
from tasks.plan.plan import Plan
from tasks.plan.source import CsvFormat
from tasks.privacy import public
from tasks.train.pretrained import read_pretrained


def fit_features(frame: pl.DataFrame, kept: pl.Series, plan: Plan) -> Features:
    """Learn the features of the plan's data.

    A table's columns are taken one by one, since a copy of millions of rows takes gigabytes.

    Args:
        frame: typed rows (n).
        kept: bool (n,), which are fit rows; nothing is learned of the others.
        plan: its data says which columns, its recipe how.

    Raises:
        ValueError: a column is empty or holds no numbers where it should.
    """
    if plan.recipe.privacy is not None:
        return PUBLIC[plan.judgement.data.kind](plan)
    return FITTED[plan.judgement.data.kind](frame, kept, plan)


def _tabular(frame: pl.DataFrame, kept: pl.Series, plan: Plan) -> Features:
    data, wanted = plan.judgement.data, plan.recipe.features
    assert isinstance(data, Tabular)  # noqa: S101 - FITTED's key says so
    assert isinstance(wanted, TabularFeatures)  # noqa: S101 - the plan's kinds fit each other
    columns, nulls = _wanted(data, plan, wanted.exclude), _nulls(data)
    fitted = [
        tabular.TabularFeatures.fit(
            frame.select(pl.col(column.name).filter(kept)), [column], nulls, wanted.bins, wanted.embedding
        )
        for column in columns
    ]
    return tabular.TabularFeatures(
        wanted.embedding,
        tuple(category for one in fitted for category in one.categories),
        tuple(number for one in fitted for number in one.numbers),
        tuple(nulls),
    )


def _wanted(data: Tabular, plan: Plan, excluded: Sequence[str]) -> list[tabular.Wanted]:
    protected = {attribute.column for attribute in plan.judgement.protected.values()}
    return [
        tabular.Wanted(name, column.type, hidden=column.personal or name in protected)
        for name, column in data.columns.items()
        if name not in excluded
    ]


def _nulls(data: Tabular) -> list[str]:
    """Spellings of a missing value; an empty field always is one."""
    return ["", *data.format.null_values] if isinstance(data.format, CsvFormat) else [""]


def _public_tabular(plan: Plan) -> Features:
    """Levels and ranges as the plan states them, bins of one width."""
    data, wanted = plan.judgement.data, plan.recipe.features
    assert isinstance(data, Tabular)  # noqa: S101 - PUBLIC's key says so
    assert isinstance(wanted, TabularFeatures)  # noqa: S101 - the plan's kinds fit each other
    categories, numbers = list[Category](), list[Number]()
    for name, kind, hidden in _wanted(data, plan, wanted.exclude):
        column = data.columns[name]
        if kind == "category":
            categories.append(Category(name, tuple(public.levels(column)), column.nullable, hidden))
            continue
        low, high = public.bounds(column)
        mean, deviation = public.centre(low, high)
        edges = tuple((edge - mean) / deviation for edge in public.even_edges(low, high, wanted.bins))
        whole = kind == "integer"
        numbers.append(Number(name, whole, mean, deviation, edges, column.nullable, hidden))
    return tabular.TabularFeatures(wanted.embedding, tuple(categories), tuple(numbers), tuple(_nulls(data)))


def _public_image(plan: Plan) -> Features:
    """Pixels from -1 to 1."""
    data = plan.judgement.data
    assert isinstance(data, Image)  # noqa: S101 - PUBLIC's key says so
    resize = data.fit == "resize"
    return image.ImageFeatures(data.payload, data.height, data.width, data.channels, 0.5, 0.5, resize)


def _public_text(plan: Plan) -> Features:
    """Bytes for tokens, whatever the texts are, or the tokens of a pretrained model."""
    data, wanted = plan.judgement.data, plan.recipe.features
    assert isinstance(data, Text)  # noqa: S101 - PUBLIC's key says so
    assert isinstance(wanted, TextFeatures)  # noqa: S101 - the plan's kinds fit each other
    if isinstance(plan.recipe.model, Pretrained):
        return _brought(data, wanted, plan.recipe.model)
    kind = wanted.tokenizer
    assert kind == "byte"  # noqa: S101 - another plan is refused
    return text.TextFeatures.fit(data.text, [], kind, wanted.vocabulary, wanted.length, wanted.embedding)


def _public_audio(plan: Plan) -> Features:
    """Bands spread evenly from silence to what no recording exceeds."""
    data, spectrogram = plan.judgement.data, spectrogram_of(plan)
    assert isinstance(data, Audio)  # noqa: S101 - PUBLIC's key says so
    highest = mel.loudest(spectrogram.rate, spectrogram.window, spectrogram.mels)
    bands = [public.centre(math.log(mel.FLOOR), high) for high in highest.tolist()]
    means, deviations = zip(*bands, strict=True)
    resample = data.fit == "resample"
    return audio.AudioFeatures(data.payload, spectrogram, data.maximum_seconds, resample, means, deviations)


def _image(frame: pl.DataFrame, kept: pl.Series, plan: Plan) -> Features:
    return image_features(pixel_counts(frame.filter(kept), plan), plan)


def pixel_counts(frame: pl.DataFrame, plan: Plan) -> npt.NDArray[np.int64]:
    """How often each value occurs among the pixels, (256,)."""
    data = plan.judgement.data
    assert isinstance(data, Image)  # noqa: S101 - only images have pixels
    pixels = np.frombuffer(b"".join(frame[data.payload]), np.uint8)
    return np.bincount(pixels, minlength=256)


def image_features(counts: npt.NDArray[np.int64] | npt.NDArray[np.float64], plan: Plan) -> Features:
    """Mean and deviation of pixels, from :func:`pixel_counts`."""
    data = plan.judgement.data
    assert isinstance(data, Image)  # noqa: S101 - only images have pixels
    shares, levels = counts / counts.sum(), np.arange(256) / 255
    mean = float(shares @ levels)
    deviation = float(np.sqrt(shares @ (levels - mean) ** 2)) or 1.0
    resize = data.fit == "resize"
    return image.ImageFeatures(data.payload, data.height, data.width, data.channels, mean, deviation, resize)


def _audio(frame: pl.DataFrame, kept: pl.Series, plan: Plan) -> Features:
    data = plan.judgement.data
    assert isinstance(data, Audio)  # noqa: S101 - FITTED's key says so
    recordings = frame[data.payload].filter(kept).to_list()
    return audio.AudioFeatures.fit(
        data.payload, recordings, spectrogram_of(plan), data.maximum_seconds, resample=data.fit == "resample"
    )


def spectrogram_of(plan: Plan) -> audio.Spectrogram:
    """How the plan's recordings become spectrograms."""
    data, wanted = plan.judgement.data, plan.recipe.features
    assert isinstance(data, Audio)  # noqa: S101 - only recordings have a spectrum
    assert isinstance(wanted, AudioFeatures)  # noqa: S101 - the plan's kinds fit each other
    return audio.Spectrogram(
        rate=data.rate,
        samples=round(data.rate * wanted.seconds),
        window=round(data.rate * wanted.window_seconds),
        hop=round(data.rate * wanted.hop_seconds),
        mels=wanted.mels,
    )


def _text(frame: pl.DataFrame, kept: pl.Series, plan: Plan) -> Features:
    data, wanted = plan.judgement.data, plan.recipe.features
    assert isinstance(data, Text)  # noqa: S101 - FITTED's key says so
    assert isinstance(wanted, TextFeatures)  # noqa: S101 - the plan's kinds fit each other
    masked = masked_terms(plan.recipe.mitigation, data)
    if isinstance(plan.recipe.model, Pretrained):
        return _brought(data, wanted, plan.recipe.model, masked)
    texts = frame[data.text].filter(kept).to_list()
    return text.TextFeatures.fit(
        data.text, texts, wanted.tokenizer, wanted.vocabulary, wanted.length, wanted.embedding, masked
    )


def _brought(
    data: Text, wanted: TextFeatures, model: Pretrained, masked: tuple[str, ...] = ()
) -> text.TextFeatures:
    """Texts by the tokenizer that a pretrained model brings."""
    start = read_pretrained(model)
    return text.TextFeatures(data.text, wanted.length, start.width, start.tokenizer, masked)


FITTED: Mapping[str, Callable[[pl.DataFrame, pl.Series, Plan], Features]] = MappingProxyType(
    {"audio": _audio, "image": _image, "tabular": _tabular, "text": _text}
)
PUBLIC: Mapping[str, Callable[[Plan], Features]] = MappingProxyType(
    {"audio": _public_audio, "image": _public_image, "tabular": _public_tabular, "text": _public_text}
)
"""Features of which no private row decides anything, for training under differential privacy."""
