"""Texts as a model takes them in: tokens by a tokenizer of their own, each a learned vector."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

import numpy as np
import pandas as pd
import torch
from torch import nn

from .inputs import Flags, Front, Inputs, Steps, Table, column_of, refuse
from .terms import TERM, pattern_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer

UNKNOWN = 1  # token; 0 fills up
CHARACTERS_A_TOKEN = 100  # that a tokenizer is given at most; longer texts than that are cut before it
ENCODED_AT_ONCE = 10_000
NAMED = 10  # rows that a refusal names


@dataclass(frozen=True)
class TextFeatures:
    """Texts of one column.

    Attributes:
        column: that holds the texts.
        length: tokens kept of a text, from its start.
        embedding: width of the vector that stands for a token.
        tokenizer: Hugging Face's JSON of it, which also says how texts are normalised.
        masked: terms (whole words, any case) that the model never sees: each becomes ``<term>`` before the
            tokenizer, here and where the model is served.
    """

    column: str
    length: int
    embedding: int
    tokenizer: str
    masked: tuple[str, ...] = ()

    @classmethod
    def fit(
        cls,
        column: str,
        texts: Sequence[str],
        kind: str,
        vocabulary: int,
        length: int,
        embedding: int,
        masked: Sequence[str] = (),
    ) -> TextFeatures:
        """Learn the tokens from the texts: give it fit rows alone.

        Args:
            column: that holds the texts.
            texts: to learn from.
            kind: ``word``, ``bpe``, ``wordpiece``, or ``byte``, which learns nothing.
            vocabulary: tokens at most, two of them for padding and for what is unknown.
            length: tokens kept of a text.
            embedding: width of a token's vector.
            masked: terms that are no tokens.
        """
        from .tokens import train_tokenizer  # noqa: PLC0415 - a tokenizer's library loads only where it is used

        given = cls(column, length, embedding, "", tuple(masked))
        return replace(given, tokenizer=train_tokenizer(given._given(texts), kind, vocabulary))

    @cached_property
    def _tokens(self) -> Tokenizer:
        from tokenizers import Tokenizer  # noqa: PLC0415

        made = Tokenizer.from_str(self.tokenizer)
        made.encode_special_tokens = True  # who writes "[PAD]" has written three tokens
        made.enable_truncation(self.length)
        made.no_padding()
        return made

    @cached_property
    def _terms(self) -> re.Pattern[str]:
        return pattern_of(self.masked)

    def _given(self, texts: Iterable[str]) -> list[str]:
        """What the tokenizer is given of the texts: their starts, with the terms masked.

        They are folded before, as the tokenizer would after it: a term in wide letters is the term.
        """
        cut = [text[: self.length * CHARACTERS_A_TOKEN] for text in texts]
        return [self._terms.sub(TERM, normalize("NFKC", text)) for text in cut] if self.masked else cut

    def encode(self, frame: Table) -> Inputs:
        """``tokens``, int32 (n, length), filled up with 0; a text is cut after ``length`` tokens.

        Raises:
            ValueError: naming the rows that hold no text.
        """
        if self.column not in frame.columns:
            refuse([f"column {self.column!r} is missing"])
        texts = column_of(frame, self.column)
        refuse(list(_problems(self.column, texts)))
        tokens = np.zeros((len(texts), self.length), np.int32)
        for start in range(0, len(texts), ENCODED_AT_ONCE):
            cut = self._given(texts[start : start + ENCODED_AT_ONCE])
            # Of the fast way's answers the tokens alone are looked at, so offsets are not computed.
            for row, found in enumerate(self._tokens.encode_batch_fast(cut), start):
                kept = found.ids or [UNKNOWN]  # a text of nothing but what is taken out is one unknown token
                tokens[row, : len(kept)] = kept
        return Inputs({"tokens": torch.from_numpy(tokens)})

    def unknown_rows(self, frame: Table) -> Flags:
        """None: what no fit row had is an unknown token."""
        return np.zeros(len(frame), bool)

    def front(self) -> Front:
        """A vector for each token, a sequence."""
        return Tokens(self._tokens.get_vocab_size(), self.length, self.embedding)

    def to_json(self) -> dict[str, Any]:
        """As model.json keeps it."""
        return {"kind": "text", **asdict(self)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> TextFeatures:
        """The opposite of ``to_json``; a model that was stored before there was any masking masks nothing."""
        given = {name: value for name, value in stored.items() if name not in ("kind", "masked")}
        return cls(**given, masked=tuple(stored.get("masked", ())))


class Tokens(Front):
    """Tokens to vectors; padding is 0 and learns nothing."""

    def __init__(self, vocabulary: int, length: int, width: int) -> None:
        """Draw the vectors from torch's global generator."""
        super().__init__()
        self.shape = (length, width)
        self.vectors = nn.Embedding(vocabulary, width, padding_idx=0)
        with torch.no_grad():
            self.vectors.weight.mul_(width**-0.5)

    def forward(self, inputs: Inputs) -> Steps:
        """A sequence (n, steps, width), as long as the longest text among the rows."""
        return self.whole(self.shortened(inputs))

    def shortened(self, inputs: Inputs) -> Inputs:
        """``tokens`` up to the end of the longest text."""
        tokens = inputs["tokens"]
        return Inputs({"tokens": tokens[:, : int((tokens != 0).sum(dim=1).max())]})

    def whole(self, inputs: Inputs) -> Steps:
        """A sequence (n, steps, width) as long as ``tokens``."""
        tokens = inputs["tokens"]
        return Steps(self.vectors(tokens), tokens != 0)


def _problems(column: str, texts: pd.Series) -> Iterator[str]:
    """Rows of no text, and of a text without a character that shows."""
    bad = [row for row, text in enumerate(texts) if not isinstance(text, str) or not text.strip()]
    if bad:
        rows = ", ".join(map(str, bad[:NAMED])) + (
            f" and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
        )
        plural = "row" if len(bad) == 1 else "rows"
        yield f"column {column!r}, {plural} {rows}: a text is expected, found none or an empty one"
