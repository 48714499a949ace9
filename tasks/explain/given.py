"""The rows to explain, as a network takes them in: which units there are, and what says nothing in each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl
import torch
from tokenizers import Tokenizer

from tasks.explain.answer import Answer, Flags, Floats, Positions
from tasks.explain.attribution import baseline_of, with_only
from tasks.model.inputs import Inputs, Steps
from tasks.model.predictor import Predictor
from tasks.model.text import TextFeatures, Tokens


@dataclass(frozen=True)
class Given:
    """Rows before a network.

    Attributes:
        answer: what is explained.
        inputs: the encoded rows.
        steps: of the front.
        baseline: values that say nothing, of their shape.
        targets: class that is asked about, int64 (n,).
        there: which units a row has, bool (n, units...): not what fills up a text, nor what every text has.
    """

    answer: Answer
    inputs: Inputs
    steps: Steps
    baseline: torch.Tensor
    targets: torch.Tensor
    there: Flags

    @classmethod
    def of(cls, predictor: Predictor, frame: pl.DataFrame, targets: torch.Tensor | None = None) -> Given:
        """Encode rows; the likeliest class is asked about unless ``targets`` says otherwise."""
        answer = Answer(predictor.network, predictor.rule)
        inputs = predictor.features.encode(frame)
        steps = answer.steps(inputs)
        asked = answer.decided(steps) if targets is None else targets
        if isinstance(predictor.features, TextFeatures):
            there, baseline = _of_texts(predictor, predictor.features, inputs, steps)
        else:
            values = steps.values
            shape = values.shape if values.dim() == 2 else (len(values), *values.shape[2:])
            there, baseline = np.ones(tuple(shape), bool), baseline_of(steps)
        return cls(answer, inputs, steps, baseline, asked, there)

    @property
    def tokens(self) -> torch.Tensor | None:
        """Of texts, int32 (n, steps), as far as the longest of them goes."""
        found = self.inputs.tensors.get("tokens")
        return None if found is None else found[:, : self.steps.values.shape[1]]

    def noised(self, share: float, seed: int) -> Given:
        """The same rows with normal noise on their values, ``share`` of the root mean square."""
        generator = torch.Generator().manual_seed(seed)
        values = self.steps.values
        noise = torch.randn(values.shape, generator=generator) * share * values.square().mean().sqrt()
        moved = with_only(Steps(values + noise, self.steps.real), values, self.there)
        return replace(self, steps=moved)

    @cached_property
    def _place(self) -> tuple[Positions, Positions]:
        """Which of its units each of d features of a row is, and the first feature of each unit.

        Rows have different numbers of units, checks take arrays: a row of fewer is stretched to the most.
        """
        flat = self.there.reshape(len(self.there), -1)
        counts = flat.sum(axis=1)
        size = int(counts.max(initial=0))
        unit, first = np.zeros((len(flat), size), np.int64), np.zeros(flat.shape, np.int64)
        for row, count in enumerate(counts):
            own = np.flatnonzero(flat[row])
            if count:
                unit[row] = own[np.arange(size) * count // size]
                first[row, own] = np.ceil(np.arange(count) * size / count).astype(np.int64)
        return unit, first

    def features(self, found: Floats) -> Floats:
        """Attributions (n, units...) as (n, d), of the units that a row has and of no others."""
        flat = found.reshape(len(found), -1)
        result: Floats = np.take_along_axis(flat, self._place[0], axis=1)
        return result

    def with_features(self, kept: Flags) -> Floats:
        """Answers (n,) when only the features in ``kept``, bool (n, d), keep their values."""
        flat = np.take_along_axis(kept, self._place[1], axis=1).reshape(self.there.shape)
        return self.answer.answers(with_only(self.steps, self.baseline, flat | ~self.there), self.targets)

    def centred(self, found: Floats) -> Floats:
        """Attributions (n, units) less their mean over the units that a row has, 0 elsewhere.

        So the correlation of two such arrays is that over the row's own units.
        """
        flat, there = found.reshape(len(found), -1), self.there.reshape(len(found), -1)
        counts = np.maximum(there.sum(axis=1, keepdims=True), 1)
        mean = np.where(there, flat, 0).sum(axis=1, keepdims=True) / counts
        return np.where(there, flat - mean, 0.0)


def _of_texts(
    predictor: Predictor, features: TextFeatures, inputs: Inputs, steps: Steps
) -> tuple[Flags, torch.Tensor]:
    """Tokens that come from the text itself, and a text of nothing but what fills up."""
    front = predictor.network.front
    assert isinstance(front, Tokens)  # noqa: S101 - the front of texts
    tokens = inputs["tokens"][:, : steps.values.shape[1]].numpy()
    # What the tokenizer puts around every text, such as BERT's [CLS] and [SEP]: an empty text has it alone.
    around = np.array(Tokenizer.from_str(features.tokenizer).encode("").ids, np.int64)
    there = (tokens != 0) & ~np.isin(tokens, around)
    empty = front.vectors.weight[0].detach()
    return there, baseline_of(steps, empty, ~there & (tokens != 0))
