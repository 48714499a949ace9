"""What explains a decision, as a reviewer sees it: sentences, coloured words, or a map beside the input."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from tasks.explain.regions import INSIDE_WORD, spelled
from tasks.explain.ways import INTEGRATED
from tasks.model.features import features_from_json
from tasks.model.inputs import Features
from tasks.model.predictor import DESCRIPTION
from tasks.model.text import TextFeatures
from tasks.plan import Plan
from tasks.plan.data import Tabular
from tasks.review.weighed import OF, STRONGEST, Told

NONE = "No explanation of this decision is at hand."


@dataclass(frozen=True)
class Reasons:
    """What explains a decision.

    Attributes:
        sentences: one at least.
        method: that gave the weights.
        tokens: of a text, as the model reads it, each with its weight, -100 to 100; a piece inside a word
            begins with ``##``.
        cells: of a picture or a spectrogram, its lines from above, each cell's weight likewise.
    """

    sentences: tuple[str, ...] = (NONE,)
    method: str = ""
    tokens: tuple[tuple[str, int], ...] = ()
    cells: tuple[tuple[int, ...], ...] = ()

    @property
    def signed(self) -> bool:
        """Whether the method tells what speaks against the decision; the others give sizes alone."""
        return self.method == INTEGRATED


def features_of(folder: Path, plan: Plan) -> Features | None:
    """How the frozen model takes in what is no table; None of a table, whose columns need no telling."""
    if isinstance(plan.judgement.data, Tabular):
        return None
    stored: Mapping[str, Any] = json.loads((folder / "model" / DESCRIPTION).read_bytes())
    return features_from_json(stored["features"])


def reasons_of(told: Sequence[Told], rows: pl.DataFrame, features: Features | None) -> list[Reasons]:
    """What is kept of some decisions, put together with their rows: the words of a text are in these alone.

    Args:
        told: of each row.
        rows: typed.
        features: of the frozen model, which spell a text's tokens.
    """
    pieces = _spelled(rows, features) if isinstance(features, TextFeatures) else [()] * len(told)
    return [_reasons(one, own) for one, own in zip(told, pieces, strict=True)]


def _spelled(rows: pl.DataFrame, features: TextFeatures) -> list[tuple[str, ...]]:
    tokens = features.encode(rows)["tokens"].numpy()
    return [tuple(spelled(features, [int(token) for token in row if token])) for row in tokens]


def _reasons(told: Told, pieces: Sequence[str]) -> Reasons:
    tokens = tuple((piece, weight) for piece, weight in zip(pieces, told.weights, strict=False))
    lines = [
        told.weights[start : start + told.width] for start in range(0, len(told.weights), told.width or 1)
    ]
    sentences = [*_words(told.method, tokens), *told.sentences]
    return Reasons(
        sentences=tuple(sentences) or (NONE,),
        method=told.method,
        tokens=tokens,
        cells=tuple(lines) if told.width else (),
    )


def _words(method: str, tokens: Sequence[tuple[str, int]]) -> list[str]:
    """The heaviest tokens, for the table, which has no colours."""
    if not tokens:
        return []
    order = sorted(range(len(tokens)), key=lambda place: (-abs(tokens[place][1]), place))[:STRONGEST]
    heaviest = (tokens[place] for place in order if tokens[place][1])
    listed = ", ".join(f"{piece.removeprefix(INSIDE_WORD)!r} {weight:+d}" for piece, weight in heaviest)
    return [f"{method} {OF}: {listed}."] if listed else []
