"""Copies of rows that differ in one protected attribute alone, and what the model makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl

from tasks.ingest.described import UNKNOWN, looked_up, type_frame
from tasks.ingest.text import made_of_text
from tasks.mitigate.counterfactual import swap_terms, value_of_each
from tasks.model.predictor import Predictor
from tasks.model.tabular import TabularFeatures
from tasks.model.terms import pattern_of
from tasks.plan import Plan
from tasks.plan.data import Text
from tasks.plan.mitigation import Counterfactual
from tasks.review.draw import Rows

GROUPS = "groups"
"""What the words of a mitigation's swaps name; the plan does not say it closer."""
Turns = dict[int, dict[str, str | None]]
"""row -> attribute -> the class that it would be, None where the decision stays."""


@dataclass(frozen=True)
class Opened:
    """Rows with the model that decided on them.

    Attributes:
        plan: as carried out.
        predictor: the frozen model; its own decisions, without the noise of answers.
        frame: the test part, typed.
        described: of the same rows: a String column a protected attribute, and ``label``.
    """

    plan: Plan
    predictor: Predictor
    frame: pl.DataFrame
    described: pl.DataFrame

    def decided(self, rows: pl.DataFrame) -> list[str]:
        """The model's decisions on rows like these."""
        return [str(one) for one in self.predictor.predict(rows)["prediction"]]

    @property
    def read(self) -> dict[str, str]:
        """Protected attribute -> its column, of those that the model takes in or reads when it decides."""
        features, by = self.predictor.features, self.predictor.rule.by
        seen = set(() if by is None else by.columns)
        if isinstance(features, TabularFeatures):
            seen |= {one.name for one in features.categories} | {one.name for one in features.numbers}
        data = self.plan.judgement.data
        made = set(data.identities) if isinstance(data, Text) else set()  # these change with their words
        protected = self.plan.judgement.protected.items()
        return {name: own.column for name, own in protected if own.column in seen - made}

    @property
    def words(self) -> list[tuple[str, list[str]]]:
        """Pairs of words that change places in a text, one behind the other, and what it is that they name.

        Those that the recipe swaps; else of each two levels of an identity the words in their order, the
        shorter list as often as the longer one needs.
        """
        data = self.plan.judgement.data
        if not isinstance(data, Text):
            return []
        steps = [step for step in self.plan.recipe.mitigation if isinstance(step, Counterfactual)]
        if swaps := [term for step in steps for pair in step.swaps for term in pair]:
            return [(GROUPS, swaps)]
        found = []
        for name, own in self.plan.judgement.protected.items():
            for one, other in combinations(data.identities.get(own.column, {}).values(), 2):
                most = range(max(len(one), len(other)))
                pairs = [term for i in most for term in (one[i % len(one)], other[i % len(other)])]
                found.append((name, pairs))
        return found

    def can_change(self, rows: Rows) -> Rows:
        """Those of the rows that there are changed copies of, in the same order."""
        if self.read or not self.words:
            return rows if self.read else rows[:0]
        named = pattern_of(sorted({term for _, terms in self.words for term in terms}))
        texts = _folded(self.frame[rows], self.plan)
        return rows[[named.search(text) is not None for text in texts]]


def turns_of(opened: Opened, rows: Rows) -> Turns:
    """Decide on copies of rows that differ in one attribute alone; rows without copies are left out.

    Args:
        opened: the test part.
        rows: positions in it.
    """
    if not len(rows):
        return {}
    own = dict(zip(rows.tolist(), opened.decided(opened.frame[rows]), strict=True))
    found: Turns = {}
    for attribute, at, copies in _copies(opened, rows):
        for row, told in zip(at.tolist(), opened.decided(copies), strict=True):
            tried = found.setdefault(row, {})
            tried[attribute] = tried.get(attribute) or (told if told != own[row] else None)
    return found


def _copies(opened: Opened, rows: Rows) -> Iterator[tuple[str, Rows, pl.DataFrame]]:
    """An attribute, positions of rows, and these rows with another level of it."""
    for attribute, column in opened.read.items():
        yield from _at_other_levels(opened, rows, attribute, column)
    data = opened.plan.judgement.data
    if not isinstance(data, Text):
        return
    texts = _folded(opened.frame[rows], opened.plan)
    for attribute, terms in opened.words:
        pattern = pattern_of(terms)
        there = np.array([i for i, text in enumerate(texts) if pattern.search(text)], np.int64)
        if len(there):
            swapped = pl.Series(data.text, [swap_terms(texts[i], terms, pattern) for i in there])
            frame = opened.frame[rows[there]].with_columns(swapped)
            yield attribute, rows[there], frame.with_columns(**made_of_text(data))


def _folded(frame: pl.DataFrame, plan: Plan) -> list[str]:
    """Texts as the columns of their identities are read: a word in wide letters is the word."""
    data = plan.judgement.data
    assert isinstance(data, Text)  # noqa: S101 - who calls has looked
    return frame[data.text].str.normalize("NFKC").to_list()


def _at_other_levels(
    opened: Opened, rows: Rows, attribute: str, column: str
) -> Iterator[tuple[str, Rows, pl.DataFrame]]:
    levels_of = opened.described[attribute]
    levels = sorted(set(levels_of.to_list()) - {UNKNOWN})
    values: Mapping[str, str | float] = value_of_each(opened.frame, levels_of, column, levels)
    judgement, own = opened.plan.judgement, levels_of[rows]
    for level in levels:
        at = rows[((own != level) & (own != UNKNOWN)).to_numpy()]
        if not len(at):
            continue
        frame = opened.frame[at]
        frame = frame.with_columns(pl.lit(values[level]).cast(frame.schema[column]).alias(column))
        follow = looked_up(frame, judgement.data)
        follow.pop(column, None)  # it was set just now
        yield attribute, at, type_frame(frame.with_columns(**follow), judgement)
