"""A decision's input as a reviewer sees it: columns, a text, a picture or a recording; never its label."""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.plan import Plan
from tasks.plan.data import Audio, Image
from tasks.plan.features import TabularFeatures
from tasks.review.pictures import data_uri, png_uri


@dataclass(frozen=True)
class Input:
    """What the model was given of one row.

    Attributes:
        fields: column -> value as text.
        media: "image" or "audio", "" without one.
        uri: of the picture or recording, as data; it needs no other file.
    """

    fields: dict[str, str]
    media: str = ""
    uri: str = ""


def input_of(row: dict[str, Any], plan: Plan) -> Input:
    """The input of a typed row.

    Args:
        row: column -> value, as ``read_part`` gives it.
        plan: says what the model takes in.
    """
    data, features = plan.judgement.data, plan.recipe.features
    if isinstance(data, Image):
        return Input({}, "image", _png(row[data.payload], data))
    if isinstance(data, Audio):
        return Input({}, "audio", _wav(row[data.payload], data))
    excluded = set(features.exclude) if isinstance(features, TabularFeatures) else set()
    named = [name for name in data.inputs if name not in excluded]
    return Input({name: _text(row[name]) for name in named})


def _text(value: Any) -> str:
    if value is None:
        return "(missing)"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _png(content: bytes, data: Image) -> str:
    pixels = np.frombuffer(content, np.uint8).reshape(data.height, data.width, data.channels)
    return png_uri(pixels[:, :, 0] if data.channels == 1 else pixels)


def _wav(content: bytes, data: Audio) -> str:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(data.rate)
        sound.writeframes(content)
    return data_uri("audio/wav", file.getvalue())
