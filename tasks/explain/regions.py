"""Attributions of many rows on a common footing: regions of a picture or a spectrogram, tokens of texts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from tokenizers import Tokenizer

from tasks.explain.answer import Flags, Floats
from tasks.model.audio import AudioFeatures
from tasks.model.image import ImageFeatures
from tasks.model.inputs import Features
from tasks.model.mel import hertz_of, mel_of
from tasks.model.text import TextFeatures

SIDE = 4
"""Regions of a picture or a spectrogram along each axis."""
FEWEST_ROWS = 10
"""Rows that hold a token before it is named: what stands in many rows names nobody."""
MOST_TOKENS = 200
INSIDE_WORD = "##"
BLANK = "\u0120"  # how byte pairs spell the blank before a word


@dataclass(frozen=True)
class Regions:
    """Which units make up each region.

    Attributes:
        names: of the regions.
        members: bool (n, regions, units): of each row's units, those in each region.
    """

    names: tuple[str, ...]
    members: Flags

    def sums(self, found: Floats) -> Floats:
        """Attributions (n, units...) added up by region, (n, regions)."""
        flat = found.reshape(len(found), -1)
        result: Floats = np.einsum("nru,nu->nr", self.members, flat)
        return result


def regions_of(features: Features, tokens: torch.Tensor | None, shape: tuple[int, ...]) -> Regions:
    """The regions of rows of any kind.

    Args:
        features: say what a unit stands for.
        tokens: of texts, (n, steps).
        shape: of the units, (n, height, width) or (n, steps).
    """
    if isinstance(features, TextFeatures):
        assert tokens is not None  # noqa: S101 - texts have them
        return _of_tokens(features, tokens.numpy())
    rows, height, width = shape
    down, across = _edges(height), _edges(width)
    names, places = list[str](), []
    for top, bottom in down:
        for left, right in across:
            inside = np.zeros((height, width), bool)
            inside[top:bottom, left:right] = True
            places.append(inside.ravel())
            names.append(_place(features, (top, bottom), (left, right)))
    return Regions(tuple(names), np.broadcast_to(np.stack(places), (rows, len(places), height * width)))


def _edges(size: int) -> list[tuple[int, int]]:
    ends = [size * i // SIDE for i in range(SIDE + 1)]
    return [(low, high) for low, high in pairwise(ends) if high > low]


def _place(features: Features, down: tuple[int, int], across: tuple[int, int]) -> str:
    if isinstance(features, ImageFeatures):
        return f"rows {down[0] + 1}-{down[1]}, columns {across[0] + 1}-{across[1]}"
    assert isinstance(features, AudioFeatures)  # noqa: S101 - grids are images or spectrograms
    low, high = band_hertz(features)[list(down)]
    own = features.spectrogram
    begin, end = (frame * own.hop / own.rate for frame in across)
    return f"{begin:.2f}-{end:.2f} s, {low:.0f}-{high:.0f} Hz"


def band_hertz(features: AudioFeatures) -> Floats:
    """Where the mel bands meet, (bands + 1,): the frequencies between which a band weighs most, in Hz."""
    own = features.spectrogram
    edges = hertz_of(np.linspace(0, mel_of(own.rate / 2), own.mels + 2))
    found: Floats = np.concatenate([edges[:1], (edges[1:-2] + edges[2:-1]) / 2, edges[-1:]])
    return found


def _of_tokens(features: TextFeatures, tokens: np.ndarray[tuple[int, ...], np.dtype[np.int32]]) -> Regions:
    held = {int(token): int((tokens == token).any(axis=1).sum()) for token in np.unique(tokens) if token != 0}
    common = sorted(
        (token for token, rows in held.items() if rows >= FEWEST_ROWS), key=lambda t: (-held[t], t)
    )
    kept = common[:MOST_TOKENS]
    names = spelled(features, kept)
    members = (
        np.stack([tokens == token for token in kept], axis=1)
        if kept
        else np.zeros((len(tokens), 0, tokens.shape[1]), bool)
    )
    return Regions(tuple(names), members)


def spelled(features: TextFeatures, tokens: Sequence[int]) -> list[str]:
    """Tokens as a reader knows them; a piece inside a word begins with ``##``."""
    tokenizer = Tokenizer.from_str(features.tokenizer)
    pieces = [tokenizer.id_to_token(int(token)) or "" for token in tokens]
    if json.loads(features.tokenizer)["model"]["type"] != "BPE":
        return pieces
    from tokenizers import decoders  # noqa: PLC0415 - byte pairs alone are spelled in bytes

    decoder = decoders.ByteLevel()
    return [
        decoder.decode([piece]).strip() if piece.startswith(BLANK) else INSIDE_WORD + decoder.decode([piece])
        for piece in pieces
    ]


def naming(features: TextFeatures, tokens: torch.Tensor, terms: Mapping[str, Sequence[str]]) -> Flags:
    """Which tokens name a group, bool (n, steps): those of a word or a phrase that the plan lists for it.

    Args:
        features: of the model; terms that it masks are no tokens, so it sees none of them.
        tokens: (n, steps).
        terms: group -> words or phrases.
    """
    ids = tokens.numpy()
    tokenizer = Tokenizer.from_str(features.tokenizer)
    around = set(tokenizer.encode("").ids)
    unknown = tokenizer.token_to_id(json.loads(features.tokenizer)["model"].get("unk_token") or "")
    found = np.zeros(ids.shape, bool)
    for term in (term for of_group in terms.values() for term in of_group):
        wanted = [token for token in tokenizer.encode(term).ids if token not in around]
        size = 0 if unknown in wanted else len(wanted)  # else every unknown word would name the group
        for start in range(ids.shape[1] - size + 1 if size else 0):
            here = (ids[:, start : start + size] == wanted).all(axis=1)
            found[here, start : start + size] = True
    return found
