"""What a metric compares between groups: shares, sums of shares, and quantities of the score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

from tasks.fairness.counted import Counted
from tasks.fairness.groups import Groups
from tasks.fairness.links import IDENTITY, Link
from tasks.fairness.metrics import RATES, Rate
from tasks.fairness.shares import shares
from tasks.fairness.sums import sums

Of_contra = TypeVar("Of_contra", contravariant=True)
"""What a quantity is taken of: counts by class, or a regression's sums."""


class Quantity(Protocol[Of_contra]):
    """Something that each group has one of, or one of for each class."""

    @property
    def formula(self) -> str:
        """From the group's counts."""
        ...

    def tables(self, counted: Of_contra) -> list[Groups]:
        """The quantity by group: one table, or one a class where each is held against the rest."""
        ...


@dataclass(frozen=True)
class Share:
    """A share of rows, or a rising function of one.

    Attributes:
        rate: the share.
        link: the function.
        binary: whether it adds nothing where each class is held against the rest.
    """

    rate: Rate
    link: Link = IDENTITY
    binary: bool = False

    @property
    def formula(self) -> str:
        """The fraction; of a function, with p for the fraction."""
        plain = self.link is IDENTITY
        return self.rate.formula if plain else f"{self.link.name} with p = {self.rate.formula}"

    def tables(self, counted: Counted) -> list[Groups]:
        """One table for the positive class, or for right and wrong rows; else one a class."""
        if "right" in self.rate.events:
            return [shares(counted, self.rate, None, self.rate.name, self.link)]
        if counted.positive is None and self.binary:
            return []
        name = "{}" if counted.positive is not None else "{} ({})"
        return [
            shares(counted, self.rate, label, name.format(self.rate.name, label), self.link)
            for label in counted.classes
        ]


@dataclass(frozen=True)
class Odds:
    """TPR and FPR added or subtracted: |a| + |b| is the larger of |a + b| and |a - b|.

    Attributes:
        sign: of FPR.
        weight: of both.
    """

    sign: int
    weight: float

    @property
    def formula(self) -> str:
        """The sum or difference."""
        times = "" if self.weight == 1 else " / 2"
        return f"(tpr {'+' if self.sign > 0 else '-'} fpr){times}"

    def tables(self, counted: Counted) -> list[Groups]:
        """One table a class: rows of the class and of the rest are never the same."""
        found: list[Groups] = []
        for label in counted.classes:
            name = "tpr + fpr" if self.sign > 0 else "tpr - fpr"
            name += "" if counted.positive is not None else f" ({label})"
            pair = [shares(counted, RATES[rate], label, rate) for rate in ("tpr", "fpr")]
            terms = list(zip((self.weight, self.sign * self.weight), pair, strict=True))
            found.append(sums(name, terms, independent=counted.has_separate_rows))
        return found


ROWS_APART = frozenset({"tpr", "fnr", "ppv", "fdr"})
"""Rates whose denominators of two classes have no row in common."""


@dataclass(frozen=True)
class Macro:
    """Mean over all classes of a rate, each held against the rest."""

    rate: Rate

    @property
    def formula(self) -> str:
        """The mean."""
        return f"mean over classes of {self.rate.formula}"

    def tables(self, counted: Counted) -> list[Groups]:
        """One table."""
        share = 1 / len(counted.labels)
        terms = [(share, shares(counted, self.rate, label, self.rate.name)) for label in counted.labels]
        apart = self.rate.name in ROWS_APART and counted.has_separate_rows
        return [sums(f"macro_{self.rate.name}", terms, independent=apart)]


@dataclass(frozen=True)
class Score:
    """A quantity of the score's histograms.

    Attributes:
        formula: in words.
        by_group: makes the table.
    """

    formula: str
    by_group: Callable[[Counted], Groups]

    def tables(self, counted: Counted) -> list[Groups]:
        """One table."""
        return [self.by_group(counted)]


Quantities: TypeAlias = Sequence[Quantity[Any]]
