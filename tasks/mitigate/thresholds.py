"""Group thresholds from counts of validation scores: the most accurate ones within a gap, exactly.

A threshold for each group is taken from one list of candidates, the edges of the scores' bins, so all that is
needed are counts by group, class and bin. Thresholds keep the gap if and only if some window of that width
holds every group's rate (of equalized odds: a box holds every group's two rates), and within a window each
group may take its most accurate threshold by itself. So a window is slid over all rates that occur, for any
number of groups, and the best of all is found (Hardt et al. 2016 pose the problem; no randomisation here).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from tasks.errors import Refusal
from tasks.mitigate.calibration import SMALLEST
from tasks.plan.mitigation import Thresholds

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Scores: TypeAlias = npt.NDArray[np.float32]

BINS = 512
NOBODY = float(np.nextafter(np.float32(1), np.float32(2)))
"""A threshold that no score reaches."""
FOUR_FIFTHS = 0.8
ROUNDING = 1e-12  # of sums of weights: a gap of just the slack is within it


def bin_edges(scores: Scores) -> Scores:
    """Rising inner edges of at most BINS + 1 bins: every distinct score, or quantiles of them."""
    distinct = np.unique(scores)
    if len(distinct) <= BINS:
        return distinct
    return np.unique(np.sort(scores)[np.arange(BINS) * len(scores) // BINS])


def count_scores(
    scores: Scores, positive: npt.NDArray[np.bool_], groups: Ints, weights: Floats, edges: Scores
) -> Floats:
    """Weight by group, class (negative, positive) and bin, (groups, 2, bins); a bin holds its lower edge.

    Args:
        scores: of n rows.
        positive: their classes, (n,).
        groups: their positions, from 0, (n,).
        weights: positive, (n,).
        edges: rising, (bins - 1,).
    """
    bins, cells = len(edges) + 1, 2 * (int(groups.max()) + 1)
    # A sort, and a look at where the edges come, takes a third of the time of a search for each row.
    order = np.argsort(scores)
    ends = np.searchsorted(scores[order], edges, side="left")
    place = np.repeat(np.arange(bins), np.diff(ends, prepend=0, append=len(scores)))
    of_rows = (groups * 2 + positive)[order] * bins + place
    counts = np.bincount(of_rows, weights[order], minlength=cells * bins)
    return counts.astype(float).reshape(-1, 2, bins)


def large_enough(rows: Ints, step: Thresholds, names: Sequence[str]) -> tuple[Ints, tuple[str, ...]]:
    """Groups that have the rows for a threshold of their own, and a sentence on the others.

    All groups are held to the gap, so one of a handful of rows, whose rates are noise, would move everybody's
    threshold; whoever is left out is decided as a level is that no validation row has.

    Args:
        rows: of each group and class (negative, positive), unweighted, (groups, 2).
        step: its metric says which rows its rates are taken of.
        names: of the groups.

    Returns:
        Positions of the groups, rising; nothing to say where these are all.

    Raises:
        Refusal: there are not two.
    """
    what, taken = TAKEN[step.metric](rows)
    enough = taken >= SMALLEST
    numbered = [f"{name} ({count})" for name, count in zip(names, taken.tolist(), strict=True)]
    if enough.sum() < 2:
        raise Refusal(
            f"thresholds by {step.attribute}: two levels of {SMALLEST} {what} rows or more are expected, "
            f"found {', '.join(numbered)}. Raise recipe.split.validation, name an attribute with larger "
            "groups, or leave this step out"
        )
    few = [shown for shown, own in zip(numbered, enough, strict=True) if not own]
    notes = [f"The common threshold is kept by {', '.join(few)}: fewer than {SMALLEST} {what} rows"]
    return enough.nonzero()[0], tuple(notes if few else ())


def best_thresholds(counts: Floats, edges: Scores, step: Thresholds) -> Floats:
    """The thresholds (groups,) of most weight decided rightly among all that keep the step's gap.

    Some always do: where nobody is selected there is no gap. Of equally good windows the one of the lowest
    rates is taken, and in it each group's lowest threshold.

    Args:
        counts: as :func:`count_scores` gives them, of groups that are :func:`large_enough`.
        edges: of the bins.
        step: metric and slack.

    Returns:
        Edges; 0 where all of a group are selected, just above 1 where none is.

    Raises:
        Refusal: the best thresholds select nobody, or everybody.
    """
    above = np.zeros((*counts.shape[:2], counts.shape[2] + 1))
    above[..., :-1] = counts[..., ::-1].cumsum(axis=2)[..., ::-1]
    wrong = above[:, 1, :1] - above[:, 1] + above[:, 0]
    chosen = _search([rate(above) for rate in BOUND[step.metric]], wrong, _upper(step))
    selected = above.sum(axis=1)
    share = selected[np.arange(len(chosen)), chosen].sum() / selected[:, 0].sum()
    if share in (0, 1):
        raise Refusal(
            f"thresholds by {step.attribute}: on validation rows the most accurate ones within a slack of "
            f"{step.slack:g} ({step.metric}) select {'everybody' if share else 'nobody'}. "
            "Give recipe.mitigation more slack, or leave this step out"
        )
    return np.array([0.0, *edges.tolist(), NOBODY])[chosen]


def _upper(step: Thresholds) -> Callable[[Floats], Floats]:
    """The highest rate that a group may have where the lowest is given."""
    if step.metric == "four_fifths":
        return lambda least: least / min(FOUR_FIFTHS + step.slack, 1) + ROUNDING
    return lambda least: least + step.slack + ROUNDING


def _search(rates: Sequence[Floats], wrong: Floats, upper: Callable[[Floats], Floats]) -> Ints:
    """Positions (groups,) of the candidates with the least sum of ``wrong`` in any window.

    Windows of the first rate are looked at in the order of what they could reach if nothing else bound them,
    some at a time with all windows of the second rate, until none of the rest could be better.

    Args:
        rates: one or two, each (groups, candidates) and falling along the candidates.
        wrong: weight decided wrongly, (groups, candidates).
        upper: end of the window that starts at a rate.
    """
    least, starts = _Least(wrong), np.unique(rates[0])
    first, last = _within(rates[0], starts, upper)
    bound = least.of(first, last)
    order = np.argsort(bound, kind="stable")
    best, chosen = (np.inf, np.inf, np.inf), np.zeros(len(wrong), np.int64)
    looked, together = 0, 16
    while looked < len(order) and bound[order[looked]] <= best[0]:
        some = order[looked : looked + together]
        looked, together = looked + together, 2 * together
        low, high, second = first[:, some], last[:, some], np.zeros(len(some))
        if len(rates) > 1:
            window, second = _seconds(rates[1], low, high)
            some, ends = some[window], _within(rates[1], second, upper)
            low, high = np.maximum(low[:, window], ends[0]), np.minimum(high[:, window], ends[1])
        reached = least.of(low, high)
        i = int(np.lexsort((second, starts[some], reached))[0])
        found = float(reached[i]), float(starts[some[i]]), float(second[i])
        if found < best:
            best, chosen = found, least.at(low[:, [i]], high[:, [i]])[:, 0]
    return chosen


def _seconds(rate: Floats, first: Ints, last: Ints) -> tuple[Ints, Floats]:
    """Where windows of the second rate may start: at any of its values within a window of the first.

    Returns:
        For each start its window of the first rate, and the start.
    """
    windows, values = [], []
    for own, a, b in zip(rate, first, last, strict=True):
        sizes = b - a
        before = np.cumsum(sizes) - sizes
        places = np.arange(sizes.sum()) - np.repeat(before - a, sizes)
        windows.append(np.repeat(np.arange(len(a)), sizes))
        values.append(own[places])
    return np.concatenate(windows), np.concatenate(values)


def _within(rate: Floats, starts: Floats, upper: Callable[[Floats], Floats]) -> tuple[Ints, Ints]:
    """Of each group and window the first candidate within, and the one after the last, (groups, windows)."""
    first = [np.searchsorted(-own, -upper(starts), side="left") for own in rate]
    last = [np.searchsorted(-own, -starts, side="right") for own in rate]
    return np.array(first), np.array(last)


class _Least:
    """The least value of any range, for all groups at once: a table over ranges of 1, 2, 4 ... candidates."""

    def __init__(self, values: Floats) -> None:
        self.values = values
        groups, n = values.shape
        self.rows = np.arange(groups)[:, None]
        self.places = np.zeros((n.bit_length(), groups, n), np.int64)
        self.places[0] = np.arange(n)
        for size in range(1, n.bit_length()):
            half, ends = 2 ** (size - 1), n - 2**size + 1
            before = self.places[size - 1]
            self.places[size, :, :ends] = self._less(before[:, :ends], before[:, half : half + ends])

    def at(self, first: Ints, last: Ints) -> Ints:
        """Where the least value of each range [first, last) is, the first of several; (groups, ranges).

        Of an empty range the place means nothing.
        """
        size = np.frexp(np.maximum(last - first, 1))[1] - 1
        one = self.places[size, self.rows, np.minimum(first, self.values.shape[1] - 1)]
        return self._less(one, self.places[size, self.rows, last - (1 << size)])

    def of(self, first: Ints, last: Ints) -> Floats:
        """Sum over the groups of the least value in each range, (ranges,); infinite where one is empty."""
        values = np.where(first < last, self.values[self.rows, self.at(first, last)], np.inf)
        total: Floats = values.sum(axis=0)
        return total

    def _less(self, one: Ints, other: Ints) -> Ints:
        return np.where(self.values[self.rows, one] <= self.values[self.rows, other], one, other)


def _selection(above: Floats) -> Floats:
    selected: Floats = above.sum(axis=1)
    return selected / selected[:, :1]


def _tpr(above: Floats) -> Floats:
    return above[:, 1] / above[:, 1, :1]


def _fpr(above: Floats) -> Floats:
    return above[:, 0] / above[:, 0, :1]


BOUND: Mapping[str, tuple[Callable[[Floats], Floats], ...]] = MappingProxyType(
    {
        "demographic_parity": (_selection,),
        "four_fifths": (_selection,),
        "equal_opportunity": (_tpr,),
        "equalized_odds": (_tpr, _fpr),
    }
)
"""Rates whose gap is bounded, from the weight at or above each candidate, (groups, 2, candidates)."""

TAKEN: Mapping[str, Callable[[Ints], tuple[str, Ints]]] = MappingProxyType(
    {
        "demographic_parity": lambda rows: ("validation", rows.sum(axis=1)),
        "four_fifths": lambda rows: ("validation", rows.sum(axis=1)),
        "equal_opportunity": lambda rows: ("positive validation", rows[:, 1]),
        "equalized_odds": lambda rows: ("positive and negative validation", rows.min(axis=1)),
    }
)
"""Rows that the bounded rates are taken of, in words, and each group's least number of them, (groups,)."""
