"""Columns as a model takes them in: what each learned in training, and how it reads a value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats: TypeAlias = npt.NDArray[np.float64]
Codes: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]

SHOWN_ROWS = 5
SHOWN_VALUES = 50


def _rows(where: Flags) -> str:
    """Name the rows in which ``where`` holds: the first few, and how many more."""
    rows = np.flatnonzero(where)
    named = ", ".join(str(row) for row in rows[:SHOWN_ROWS])
    more = f" and {len(rows) - SHOWN_ROWS} more" if len(rows) > SHOWN_ROWS else ""
    return f"{'row' if len(rows) == 1 else 'rows'} {named}{more}"


def _no_missing(name: str, absent: Flags) -> str:
    return f"column {name!r}, {_rows(absent)}: missing (or NaN), but no training row lacks it"


@dataclass(frozen=True)
class Spellings:
    """Raw values of a column: its distinct texts, and for each row which of them it holds.

    Attributes:
        codes: (n,) position in ``texts``, -1 for a missing value.
        texts: distinct values without blanks at either end.
    """

    codes: Codes
    texts: tuple[str, ...]

    @classmethod
    def of(cls, values: pd.Series, nulls: Iterable[str]) -> Spellings:
        """Read ``values``; null spellings, None and NaN are missing."""
        codes, distinct = pd.factorize(values)
        texts = tuple(_text(value) for value in distinct)
        absent = np.array([text in set(nulls) for text in texts] + [True])
        return cls(np.where(absent[codes], -1, codes).astype(np.int64), texts)


def _text(value: object) -> str:
    """A value as a source would spell it: pandas reads codes as numbers, 1.0 where some are missing."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


@dataclass(frozen=True)
class Category:
    """A column of categories; code 0 is "missing", then come the known values in order.

    Attributes:
        name: the column.
        known: values of the training rows, sorted.
        missing: whether a training row lacks the value (else a missing value is refused).
        hidden: whether values stay out of messages (personal or protected columns).
    """

    name: str
    known: tuple[str, ...]
    missing: bool
    hidden: bool

    @classmethod
    def fit(cls, name: str, values: pd.Series, nulls: Iterable[str], *, hidden: bool) -> Category:
        """Learn the vocabulary of ``values``."""
        spelled = Spellings.of(values, nulls)
        present = np.unique(spelled.codes)
        known = sorted({spelled.texts[code] for code in present if code >= 0})
        return cls(name, tuple(known), bool((spelled.codes < 0).any()), hidden)

    @property
    def levels(self) -> int:
        """Number of codes, "missing" included."""
        return len(self.known) + 1

    def encode(self, values: pd.Series, nulls: Iterable[str], problems: list[str]) -> Codes:
        """Codes (n,) of ``values``; what can't be encoded is told to ``problems``."""
        spelled = Spellings.of(values, nulls)
        code = {value: position for position, value in enumerate(self.known, start=1)}
        table = np.array([code.get(_known_as(text, code), -1) for text in spelled.texts] + [0])
        codes = table[spelled.codes]
        absent = spelled.codes < 0
        if absent.any() and not self.missing:
            problems.append(_no_missing(self.name, absent))
        for position in np.unique(spelled.codes[codes < 0]):
            where = _rows(spelled.codes == position)
            if self.hidden:
                found, known = "a value", "values are not shown: the column is personal or protected"
            else:
                more = ", ..." if len(self.known) > SHOWN_VALUES else ""
                found = repr(spelled.texts[position])
                known = f"known: {', '.join(self.known[:SHOWN_VALUES])}{more}"
            problems.append(f"column {self.name!r}, {where}: {found} never seen in training ({known})")
        return codes.astype(np.int64)


def _known_as(text: str, code: dict[str, int]) -> str:
    """The spelling under which ``text`` was learned: "1" may stand in training as "1.0"."""
    return text if text in code else f"{text}.0"


@dataclass(frozen=True)
class Number:
    """A column of numbers.

    Attributes:
        name: the column.
        integer: whether fractions are refused.
        mean: of the training rows.
        deviation: standard deviation of the training rows, 1 where they are all alike.
        edges: rising bin edges in standardised units, for the piecewise linear encoding.
        missing: whether a training row lacks the value (else a missing value is refused).
        hidden: whether values stay out of messages.
    """

    name: str
    integer: bool
    mean: float
    deviation: float
    edges: tuple[float, ...]
    missing: bool
    hidden: bool

    @classmethod
    def fit(
        cls, name: str, values: pd.Series, nulls: Iterable[str], *, integer: bool, bins: int, hidden: bool
    ) -> Number:
        """Learn mean, deviation and edges of ``values``.

        Raises:
            ValueError: when no value is present.
        """
        problems: list[str] = []
        read = read_numbers(name, values, nulls, integer=integer, hidden=hidden, problems=problems)
        present = read[~np.isnan(read)]
        if problems or not len(present):
            raise ValueError("\n".join(problems) or f"column {name!r}: every training row lacks it")
        mean, deviation = float(present.mean()), float(present.std())
        deviation = deviation if deviation > 0 else 1.0
        edges = tuple(((_edges(present, bins) - mean) / deviation).tolist())
        return cls(name, integer, mean, deviation, edges, bool(np.isnan(read).any()), hidden)

    def encode(self, values: pd.Series, nulls: Iterable[str], problems: list[str]) -> Floats:
        """Standardised values (n,), NaN where missing; what can't be encoded is told to ``problems``."""
        read = read_numbers(
            self.name, values, nulls, integer=self.integer, hidden=self.hidden, problems=problems
        )
        absent = np.isnan(read)
        if absent.any() and not self.missing:
            problems.append(_no_missing(self.name, absent))
        return (read - self.mean) / self.deviation


def _edges(present: Floats, bins: int) -> Floats:
    """Quantiles of the rows, joined by quantiles of the distinct values.

    The latter keep the tail of a column that is mostly one value (capital gains are 92% zero) apart.
    """
    steps = np.linspace(0, 1, bins + 1)
    of_rows = np.quantile(present, steps, method="inverted_cdf")
    of_values = np.quantile(np.unique(present), steps, method="inverted_cdf")
    return np.unique(np.concatenate([of_rows, of_values]))


def read_numbers(
    name: str, values: pd.Series, nulls: Iterable[str], *, integer: bool, hidden: bool, problems: list[str]
) -> Floats:
    """Values as float64 (n,), NaN where missing; texts are read, as one '?' makes a whole column text.

    Args:
        name: of the column.
        values: of it, n of them.
        nulls: spellings of a missing value.
        integer: whether fractions are refused.
        hidden: whether values stay out of messages.
        problems: is told what can't be read.
    """
    if pd.api.types.is_bool_dtype(values):
        problems.append(f"column {name!r}: numbers are expected, found true and false")
        return np.zeros(len(values))
    if pd.api.types.is_numeric_dtype(values):
        read = values.to_numpy(np.float64, na_value=np.nan, copy=True)
        bad = np.zeros(len(read), bool)
    else:
        spelled = Spellings.of(values, nulls)
        numbers = pd.to_numeric(pd.Series(spelled.texts, dtype=object), errors="coerce").to_numpy(np.float64)
        read = np.append(numbers, np.nan)[spelled.codes]
        bad = np.isnan(read) & (spelled.codes >= 0)
    complaints = [(bad, "a number"), (np.isinf(read), "a finite number")]
    if integer:
        complaints.append((np.isfinite(read) & (read != np.floor(read)), "an integer"))
    for where, expected in complaints:
        if where.any():
            found = "" if hidden else f", found {str(values.iloc[int(np.flatnonzero(where)[0])])!r}"
            problems.append(f"column {name!r}, {_rows(where)}: {expected} is expected{found}")
    read[bad] = 0.0  # told already, and not missing
    return read
