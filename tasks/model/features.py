"""The features of each kind of data, by the name that model.json gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from .audio import AudioFeatures
from .image import ImageFeatures
from .inputs import Features
from .tabular import TabularFeatures
from .text import TextFeatures

KINDS: Mapping[str, Callable[[Mapping[str, Any]], Features]] = MappingProxyType(
    {
        "audio": AudioFeatures.from_json,
        "image": ImageFeatures.from_json,
        "tabular": TabularFeatures.from_json,
        "text": TextFeatures.from_json,
    }
)


def features_from_json(stored: Mapping[str, Any]) -> Features:
    """The opposite of ``to_json``."""
    return KINDS[stored["kind"]](stored)
