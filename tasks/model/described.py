"""What describes a text, an image or a recording, where the model is served: as `tasks.ingest` has it.

A model that keeps a predictions log keeps this instead of the sample. Ingest describes whole tables, in
polars, which is not shipped; tests hold the two together.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from .audio import AudioFeatures
from .decode import FULL_SCALE
from .image import ImageFeatures
from .inputs import Features, Table, column_of
from .terms import pattern_of
from .text import TextFeatures

Terms: TypeAlias = Mapping[str, Mapping[str, Sequence[str]]]
SOUND, NONE, SEVERAL = "sound", "none", "several"
JOINERS = "\u200c\u200d"  # that stand within words


def made_of_samples(features: Features, frame: Table, terms: Terms) -> dict[str, list[Any]]:
    """The columns that follow from the samples, by name; none for a table.

    Args:
        features: of the model; they have taken in the rows.
        frame: the rows.
        terms: of texts: column -> level -> the words that name it.
    """
    if isinstance(features, TextFeatures):
        return _of_texts(column_of(frame, features.column).tolist(), terms)
    if isinstance(features, ImageFeatures):
        flat = features.encode(frame)["pixels"].flatten(1).numpy().astype(np.float32) / 255
        told = {
            "brightness": flat.mean(axis=1, dtype=np.float64),
            "contrast": flat.std(axis=1, dtype=np.float64),
        }
        return {"form": [SOUND] * len(flat), **{name: values.tolist() for name, values in told.items()}}
    if isinstance(features, AudioFeatures):
        return _of_recordings(features, column_of(frame, features.column).tolist())
    return {}


def _of_recordings(features: AudioFeatures, recordings: Sequence[Any]) -> dict[str, list[Any]]:
    """Seconds, and loudness in decibels of full scale; silence has none."""
    samples = [features.samples(recording).astype(np.float64) / FULL_SCALE for recording in recordings]
    powers = [float(np.mean(np.square(own))) for own in samples]
    return {
        "form": [SOUND] * len(samples),
        "seconds": [len(own) / features.spectrogram.rate for own in samples],
        "loudness": [10 * math.log10(power) if power else None for power in powers],
    }


def _of_texts(texts: Sequence[str], terms: Terms) -> dict[str, list[Any]]:
    """Characters, words, the shares of different words and of capitals, and who is named."""
    words = [_words(text.lower()) for text in texts]
    kinds = [[unicodedata.category(character) for character in text] for text in texts]
    letters = [[kind for kind in own if kind.startswith("L")] for own in kinds]
    folded = [unicodedata.normalize("NFKC", text) for text in texts]
    return {
        "form": [SOUND] * len(texts),
        "characters": [len(text) for text in texts],
        "words": [len(own) for own in words],
        "distinct_share": [len(set(own)) / len(own) if own else 0.0 for own in words],
        "capital_share": [own.count("Lu") / len(own) if own else 0.0 for own in letters],
        **{name: _named(folded, levels) for name, levels in terms.items()},
    }


def _words(text: str) -> list[str]:
    """Runs of letters, marks, digits, connectors and joiners, as Rust's regular expressions have them."""
    return "".join(character if _is_word(character) else " " for character in text).split()


def _is_word(character: str) -> bool:
    kind = unicodedata.category(character)
    return kind[0] in "LM" or kind in ("Nd", "Nl", "Pc") or character in JOINERS


def _named(texts: Sequence[str], levels: Mapping[str, Sequence[str]]) -> list[str]:
    """The level whose terms stand in each text, ``none``, or ``several``."""
    patterns = {level: pattern_of(terms) for level, terms in levels.items()}
    found = [[level for level, pattern in patterns.items() if pattern.search(text)] for text in texts]
    return [SEVERAL if len(own) > 1 else own[0] if own else NONE for own in found]
