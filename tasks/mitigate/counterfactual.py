"""Copies of fit rows that differ in the group alone (counterfactual augmentation).

Garg et al. 2019, "Counterfactual fairness in text classification through robustness", for texts; for a table
the attribute's column gets another level. What else would differ in another person stays as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import polars as pl

from tasks.errors import Refusal
from tasks.ingest.described import UNKNOWN, looked_up
from tasks.ingest.text import made_of_text
from tasks.mitigate.cells import Positions
from tasks.mitigate.sample import Sample
from tasks.model.terms import pattern_of
from tasks.plan.data import Text
from tasks.plan.judgement import Judgement
from tasks.plan.mitigation import Counterfactual


def counterfactual(
    sample: Sample, step: Counterfactual, judgement: Judgement, rng: np.random.Generator
) -> Sample:
    """The rows, and then copies of those that can be copied, or of the step's share of them.

    A copy keeps its label, its weight and its unit; protected attributes follow what was changed.

    Raises:
        Refusal: no row can be copied.
    """
    data = judgement.data
    return (
        _swapped(sample, step, judgement, data, rng)
        if isinstance(data, Text)
        else _moved(sample, step, judgement, rng)
    )


def _swapped(
    sample: Sample, step: Counterfactual, judgement: Judgement, data: Text, rng: np.random.Generator
) -> Sample:
    """Copies of texts with their terms swapped; what is made of a text is made anew."""
    texts = sample.frame[data.text].str.normalize("NFKC").to_list()
    terms = [term for pair in step.swaps for term in pair]
    pattern = pattern_of(terms)
    there = np.array([row for row, text in enumerate(texts) if pattern.search(text)], np.int64)
    if not len(there):
        raise Refusal(
            f"counterfactual: none of {len(texts)} fit rows holds one of the terms to swap "
            f"({', '.join(map(repr, terms[:6]))}{', ...' if len(terms) > 6 else ''})"
        )
    rows = _share(there, step.share, rng)
    changed = pl.Series(data.text, [swap_terms(texts[row], terms, pattern) for row in rows])
    frame = sample.frame[rows].with_columns(changed).with_columns(**made_of_text(data))
    return sample.plus(sample.copies(rows, frame, judgement))


def swap_terms(text: str, terms: list[str], pattern: re.Pattern[str]) -> str:
    """Put each term's partner in its place, in the case in which the term was written.

    Args:
        text: any.
        terms: pairs one behind the other: those at 0 and 1 change places, those at 2 and 3, and so on.
        pattern: of the terms, see :func:`pattern_of`.
    """

    def partner(match: re.Match[str]) -> str:
        position = int(str(match.lastgroup)[1:])
        return _cased(terms[position ^ 1], match.group())

    return pattern.sub(partner, text)


def _cased(term: str, like: str) -> str:
    """The term in lower case, in capitals, or with a capital first, like another; else as it is written."""
    if like.islower():
        return term.lower()
    if like.isupper() and len(like) > 1:
        return term.upper()
    return term[:1].upper() + term[1:] if like[:1].isupper() else term


def _moved(sample: Sample, step: Counterfactual, judgement: Judgement, rng: np.random.Generator) -> Sample:
    """Copies of a table's rows at other levels of an attribute, each other level in its turn."""
    assert step.attribute is not None  # noqa: S101 - the plan sees to it: tables take an attribute
    protected = judgement.protected[step.attribute]
    found = sample.described[step.attribute]
    levels = sorted(set(found.to_list()) - {UNKNOWN})
    if len(levels) < 2:
        raise Refusal(
            f"counterfactual: two levels of {step.attribute} at least are expected among {len(found)} fit "
            f"rows, found {', '.join(map(repr, levels)) or 'none'}"
        )
    there = (found != UNKNOWN).to_numpy().nonzero()[0]
    rows = _share(there, step.share, rng)
    own = found[rows].to_list()
    values = pl.Series(list(_others(own, levels))).replace_strict(
        value_of_each(sample.frame, found, protected.column, levels),
        return_dtype=sample.frame.schema[protected.column],
    )
    frame = sample.frame[rows].with_columns(values.alias(protected.column))
    follow = looked_up(frame, judgement.data)
    follow.pop(protected.column, None)  # it was set just now
    return sample.plus(sample.copies(rows, frame.with_columns(**follow), judgement))


def _others(own: list[str], levels: list[str]) -> Iterator[str]:
    """For each row another level than its own: of the rows of a level, each other level in its turn."""
    seen = dict.fromkeys(levels, 0)
    for level in own:
        further = 1 + seen[level] % (len(levels) - 1)
        seen[level] += 1
        yield levels[(levels.index(level) + further) % len(levels)]


def value_of_each(
    frame: pl.DataFrame, found: pl.Series, column: str, levels: list[str]
) -> dict[str, str | float]:
    """The value that stands for each level: its name, or of a band of numbers the median of its rows.

    Of an even number of rows the lower of the two in the middle, so that it is a value that occurs.

    Args:
        frame: typed rows.
        found: each row's level of the attribute.
        column: that the attribute is made of.
        levels: to give values of.
    """
    if frame.schema[column] == pl.String:
        return {level: level for level in levels}
    by_level = frame.group_by(found.alias("level"))
    return dict(by_level.agg(pl.col(column).quantile(0.5, "lower")).iter_rows())


def _share(rows: Positions, share: float, rng: np.random.Generator) -> Positions:
    """As many of the rows, at least one, drawn without replacement; in order."""
    return np.sort(rng.choice(rows, max(1, round(share * len(rows))), replace=False))
