"""What two reviewers' answers say: agreement, overrides by group, automation bias."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.fairness.bounds import lower_limit, upper_limit
from tasks.review.records import Agreement, Case, Share

Z = 1.959963984540054
"""Two-sided 95% of the normal distribution."""
TAIL = 0.025
Decisions = Mapping[int, str]


def agreement(first: Sequence[str], second: Sequence[str], classes: Sequence[str]) -> Agreement:
    """Cohen's kappa of two raters with its large-sample interval.

    The standard error is that of Fleiss, Cohen and Everitt (1969), formula 13, for any true kappa.

    Args:
        first: classes given, [n].
        second: likewise, in the same order.
        classes: all that could be given.
    """
    n, agreed = len(first), sum(a == b for a, b in zip(first, second, strict=True))
    table = _table(first, second, classes)
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    by_chance = float(rows @ columns)
    if n == 0 or 1 - by_chance < 1e-12:
        return Agreement(n=n, agreed=agreed, kappa=None, low=None, high=None)
    # Only who asks for agreement pays for the import.
    from sklearn.metrics import cohen_kappa_score  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a class that nobody gave
        kappa = float(cohen_kappa_score(first, second, labels=list(classes)))
    error = standard_error(table, kappa, n)
    low, high = max(-1.0, kappa - Z * error), min(1.0, kappa + Z * error)
    return Agreement(n=n, agreed=agreed, kappa=kappa, low=low, high=high)


def standard_error(table: NDArray[np.float64], kappa: float, n: int) -> float:
    """Fleiss, Cohen and Everitt's standard error of kappa.

    Args:
        table: shares of all decisions by class of the first and of the second rater, [k, k], of sum 1.
        kappa: of that table.
        n: decisions.
    """
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    by_chance = float(rows @ columns)
    diagonal = np.diag(table)
    a = float(diagonal @ (1 - (rows + columns) * (1 - kappa)) ** 2)
    apart = table * (columns[:, None] + rows[None, :]) ** 2
    b = (1 - kappa) ** 2 * float(apart.sum() - np.trace(apart))
    c = (kappa - by_chance * (1 - kappa)) ** 2
    return math.sqrt(max(0.0, a + b - c) / n) / (1 - by_chance)


def _table(first: Sequence[str], second: Sequence[str], classes: Sequence[str]) -> NDArray[np.float64]:
    place = {name: index for index, name in enumerate(classes)}
    table = np.zeros((len(classes), len(classes)))
    for a, b in zip(first, second, strict=True):
        table[place[a], place[b]] += 1
    return table / max(1, len(first))


def overrides(
    reviewer: str, decisions: Decisions, cases: Sequence[Case], groups: pl.DataFrame
) -> Iterator[Share]:
    """How many of the model's own decisions a reviewer would make otherwise: over all, and by group.

    Args:
        reviewer: whose.
        decisions: case -> class.
        cases: as drawn.
        groups: of the cases in their order, a column a protected attribute.
    """
    genuine = np.array([case.genuine for case in cases], bool)
    changed = np.array([decisions[case.number] != case.shown for case in cases], bool)
    yield _share(reviewer, "", "", changed[genuine])
    for attribute in groups.columns:
        levels = groups[attribute].to_numpy()
        for level in sorted(set(levels[genuine].tolist())):
            yield _share(reviewer, attribute, level, changed[genuine & (levels == level)])


def accepted_wrong(reviewer: str, decisions: Decisions, cases: Sequence[Case]) -> Share:
    """How many of the recommendations that were wrong on purpose a reviewer accepted."""
    taken = [decisions[case.number] == case.shown for case in cases if not case.genuine]
    return _share(reviewer, "", "", np.array(taken, bool))


def _share(reviewer: str, attribute: str, group: str, events: NDArray[np.bool_]) -> Share:
    x, n = np.array([events.sum()]), np.array([len(events)])
    rate, low, high = (
        (float(x[0] / n[0]), float(lower_limit(x, n, TAIL)[0]), float(upper_limit(x, n, TAIL)[0]))
        if len(events)
        else (None, None, None)
    )
    return Share(
        reviewer=reviewer,
        attribute=attribute,
        group=group,
        events=int(x[0]),
        n=len(events),
        rate=rate,
        low=low,
        high=high,
    )
