"""Quantities of the score by group, from its histograms: AUC, calibration error and slope.

Each is approximate: limits take 20 events and 20 other rows, rows that are independent and weigh the
same, and are widened by all that the bins hide. Below the levels that were simulated only limits decide
that hold for any scores, where there are such.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, stdtrit

from tasks.fairness.bounds import lower_limit, upper_limit
from tasks.fairness.counted import Counted
from tasks.fairness.groups import ENOUGH, SMALLEST_LEVEL, Groups
from tasks.fairness.scales import Limits
from tasks.fairness.words import words

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

CALIBRATION_BINS = 10
"""Calibration is compared in this many bins of equal width (Naeini et al. 2015)."""
EXACT = 1e-9
"""Edges this near to each other are one."""
HALF_NORMAL = float(np.sqrt(2 / np.pi))
"""Mean of the absolute value of a standard normal."""


class Histograms(NamedTuple):
    """Scores of positives and negatives by bin, each [groups, bins], and the inner edges."""

    positives: Ints
    negatives: Ints
    edges: Floats

    @property
    def middles(self) -> Floats:
        """Middle of each bin."""
        whole = np.concatenate([[0.0], self.edges, [1.0]])
        return np.asarray((whole[1:] + whole[:-1]) / 2)

    @property
    def reach(self) -> Floats:
        """How far a score may lie from the middle of its bin."""
        return np.diff(np.concatenate([[0.0], self.edges, [1.0]])) / 2

    @property
    def ties(self) -> Floats:
        """Half the share of pairs of a positive and a negative in one bin: what AUC may be off by."""
        p, n = self.positives, self.negatives
        pairs = p.sum(axis=1) * n.sum(axis=1).astype(float)
        return np.asarray((p * n).sum(axis=1) / 2 / np.where(pairs > 0, pairs, np.nan))


def histograms(counted: Counted) -> Histograms:
    """The score's histograms of one attribute.

    Raises:
        ValueError: without a score, for a crossing, or without a positive class.
    """
    name = counted.attributes[0]
    if counted.bins is None:
        raise ValueError("metrics of the score need a cube that was counted with one (`score=`)")
    if counted.positive is None:
        raise ValueError("metrics of the score compare one class with the rest: `positive` must name it")
    if len(counted.attributes) > 1 or name not in counted.bins.tables:
        raise ValueError(
            f"scores are kept by attribute, not by {' x '.join(counted.attributes)}: "
            "limit a metric of the score by one attribute"
        )
    table = counted.bins.tables[name]
    positive = counted.labels.index(counted.positive)
    positives = table[:, positive, :]
    return Histograms(positives, table.sum(axis=1) - positives, np.asarray(counted.bins.edges, float))


@dataclass(frozen=True, eq=False)
class Scored(Groups):
    """An approximate quantity of the score, with its spread.

    Attributes:
        counts: histograms behind it.
        simple: whether rows are independent and weigh the same.
        spread: standard error.
        down: how much too large the value may be, bias and bins together.
        up: how much too small.
    """

    counts: Histograms
    simple: bool
    spread: Floats
    down: Floats
    up: Floats

    @property
    def large(self) -> NDArray[np.bool_]:
        """Enough positives and enough negatives."""
        return np.asarray((self.fewest >= ENOUGH) & self.simple)

    @property
    def comparable(self) -> NDArray[np.bool_]:
        """Those that are large enough, too."""
        return np.asarray(super().comparable & self.large)

    @property
    def lacking(self) -> list[str]:
        """Groups with too few rows of a class, or rows that are no simple sample."""
        if not self.simple:
            return [f"{words(self.name)} is not judged on weighted or raked rows, or on sampling units"]
        few = np.flatnonzero(self.judged & np.isfinite(self.value) & ~self.large)
        return [
            f"{words(self.name)} of {self.names[i]} needs {ENOUGH} positives and {ENOUGH} negatives"
            for i in few
        ]

    @property
    def fewest(self) -> Ints:
        """Rows of the rarer class."""
        return np.asarray(np.minimum(self.counts.positives.sum(axis=1), self.counts.negatives.sum(axis=1)))

    def interval(self, level: float) -> Limits:
        """The approximate ones: this level was simulated."""
        return self.limits(level)

    def said_need(self, need: str, level: float) -> str:
        """Below the simulated levels a pair needs more than that, or nothing settles it."""
        if level >= SMALLEST_LEVEL:
            return need
        part = f"its part of the level, {level:.2g}, is below {SMALLEST_LEVEL:g}"
        return f"{part}, where {self.said_certain(need)}"

    def said_certain(self, need: str) -> str:  # noqa: ARG002 - as those of the others
        """What is shown below the simulated levels, in words."""
        return (
            f"nothing is shown of {words(self.name)}, whatever the rows: judge fewer limits or groups "
            "together, or lower max_judgements"
        )

    def quantile(self, level: float) -> Floats:
        """How many standard errors: Student's t on the rarer class."""
        return np.asarray(stdtrit(np.maximum(self.fewest - 1, 1).astype(float), 1 - level))

    def certain_limits(self, level: float) -> Limits:  # noqa: ARG002 - whatever it is
        """Limits that hold at every level and for any scores: none are known."""
        nothing = np.full((len(self.names), 1), np.inf)
        return self.value, -nothing, nothing

    def limits(self, level: float, *, certain: bool = False) -> Limits:
        """Normal limits, widened by bias, bins and skewness."""
        if certain:
            return self.certain_limits(level)
        z = self.quantile(level)
        skew = z**2 / (3 * np.maximum(self.n, 1))
        wide = z * self.spread + skew
        return self.value, (self.value - wide - self.down)[:, None], (self.value + wide + self.up)[:, None]


class Auc(Scored):
    """Area under the ROC curve; limits on the logit, then widened by ties."""

    def said_certain(self, need: str) -> str:
        """More rows."""
        return f"limits decide that hold for any scores and ask for more: {need} by the others"

    def certain_limits(self, level: float) -> Limits:
        """Clopper-Pearson's of the AUC as a share of the rarer class, at level / e.

        The AUC is a mean of means of as many independent terms in [0, 1] (Hoeffding 1963, section 5), so
        its tail is at most e times the binomial's (Bentkus 2004), whatever the scores are.
        """
        k, part = np.maximum(self.fewest, 1), level / np.e
        value = np.where(np.isnan(self.value), 0.0, self.value)
        low = np.floor(np.maximum(value - self.down, 0.0) * k + EXACT)
        high = np.ceil(np.minimum(value + self.up, 1.0) * k - EXACT)
        return self.value, lower_limit(low, k, part)[:, None], upper_limit(high, k, part)[:, None]

    def limits(self, level: float, *, certain: bool = False) -> Limits:
        """DeLong's on the logit (Qin and Hotilovac 2008), at least Clopper-Pearson's, within [0, 1].

        The variance is at most that of a share of the rarer class (Birnbaum and Klose 1957). The limits of
        such a share hold where few rows are out of order, which the logit's do not.
        """
        if certain:
            return self.certain_limits(level)
        fewest = self.fewest
        edge = 0.5 / np.maximum(fewest, 1)
        inner = np.clip(self.value, edge, 1 - edge)
        step = self.quantile(level) * self.spread / (inner * (1 - inner))
        value = np.where(fewest > 0, self.value, 0.0)
        low = np.fmin(expit(logit(inner) - step), lower_limit(value * fewest, fewest, level)) - self.down
        high = np.fmax(expit(logit(inner) + step), upper_limit(value * fewest, fewest, level)) + self.up
        return self.value, np.clip(low, 0.0, self.value)[:, None], np.clip(high, self.value, 1.0)[:, None]


def auc(counted: Counted) -> Auc:
    """AUC by group, ties counted half (DeLong et al. 1988)."""
    h = histograms(counted)
    p, n = h.positives.sum(axis=1)[:, None], h.negatives.sum(axis=1)[:, None]
    ps, ns = h.positives / np.where(p > 0, p, np.nan), h.negatives / np.where(n > 0, n, np.nan)
    won = np.cumsum(ns, axis=1) - ns / 2  # of a positive in each bin: share of negatives below it
    lost = 1 - np.cumsum(ps, axis=1) + ps / 2
    value = (ps * won).sum(axis=1)
    variance = _variance(ps, won, value) / np.maximum(p[:, 0] - 1, 1)
    variance += _variance(ns, lost, value) / np.maximum(n[:, 0] - 1, 1)
    fewest = np.maximum(np.minimum(p, n)[:, 0], 1)
    edge = 0.5 / fewest
    inner = np.clip(value, edge, 1 - edge)
    # A few of the rarer class that all rank well say little of how the rest would rank, however many rows
    # the other class has: the variance is at least that of a share of the rarer class.
    spread = np.sqrt(np.maximum(variance, inner * (1 - inner) / fewest))
    ties = h.ties
    return Auc("auc", *_common(counted, h), value, h, counted.is_independent, spread, ties, ties)


def _variance(share: Floats, placed: Floats, mean: Floats) -> Floats:
    return np.asarray((share * (placed - mean[:, None]) ** 2).sum(axis=1))


@dataclass(frozen=True, eq=False)
class CalibrationError(Scored):
    """Expected calibration error.

    Attributes:
        moment: mean squared distance of label and score, at most, wherever in its bin the score lies.
        hidden: how far the bins let the value be from that of the scores themselves.
    """

    moment: Floats
    hidden: Floats

    said_certain = Auc.said_certain

    def certain_limits(self, level: float) -> Limits:
        """Of the mean of label less score, its sign turned in some of the bins (Maurer and Pontil 2009).

        The error is the largest such mean over all choices of signs: its upper limit needs the limit of
        one choice, the population's own; the lower those of all 2^10.
        """
        low = self.value - self.hidden - self._bernstein(level / 2**CALIBRATION_BINS)
        high = self.value + self.hidden + self._bernstein(level)
        return self.value, np.maximum(low, 0.0)[:, None], np.minimum(high, 1.0)[:, None]

    def _bernstein(self, level: float) -> Floats:
        """Empirical Bernstein bound of a mean of values in [-1, 1]."""
        rest, steps = np.maximum(self.n - 1, 1), np.log(2 / level)
        return np.asarray(np.sqrt(2 * self.moment * steps / rest) + 14 * steps / (3 * rest))


def calibration_error(counted: Counted) -> Scored:
    """Expected calibration error by group: mean over rows of |share of positives - mean score| of their bin.

    What is observed is on average too large, by at most the mean of |noise|; never too small. Its spread
    is at most that of a signed sum, because |x| moves no faster than x.
    """
    h = histograms(counted)
    n = _rows(h)
    coarse = np.minimum((h.middles * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    off = h.positives * (1 - h.middles) - h.negatives * h.middles
    squared = h.positives * (1 - h.middles) ** 2 + h.negatives * h.middles**2
    gaps, noise = (_in_bins(table, coarse) / n[:, None] for table in (off, squared))
    value = np.abs(gaps).sum(axis=1)
    bias = HALF_NORMAL * np.sqrt(np.maximum(noise - gaps**2, 0) / n[:, None]).sum(axis=1)
    spread = np.sqrt(np.maximum(noise.sum(axis=1) - value**2, 0) / n)
    hidden = ((h.positives + h.negatives) * h.reach).sum(axis=1) / n + _straddling(h) / n
    far = h.positives * (1 - h.middles + h.reach) ** 2 + h.negatives * (h.middles + h.reach) ** 2
    moment, head = far.sum(axis=1) / n, (*_common(counted, h), value, h, counted.is_independent)
    return CalibrationError("ece", *head, spread, bias + hidden, hidden, moment, hidden)


def _straddling(h: Histograms) -> Floats:
    """What bins that reach across an edge of the ten may hide: their rows may belong to either side.

    Rows that are off by x in all and move to another bin change two absolute values by at most x each.
    """
    ends = np.concatenate([[0.0], h.edges, [1.0]])
    tenths = np.arange(1, CALIBRATION_BINS) / CALIBRATION_BINS
    first, last = (np.searchsorted(tenths, end) for end in (ends[:-1] + EXACT, ends[1:] - EXACT))
    off = h.positives * (1 - h.middles) + h.negatives * h.middles
    return np.asarray(2 * off[:, first != last].sum(axis=1))


def _in_bins(table: Floats, coarse: Ints) -> Floats:
    return np.stack([table[:, coarse == i].sum(axis=1) for i in range(CALIBRATION_BINS)], axis=1)


def calibration_slope(counted: Counted) -> Scored:
    """Slope of the label on the score by group (least squares, with White's variance); 1 when calibrated."""
    h = histograms(counted)
    n, x = _rows(h), h.middles[None, :]
    rows = h.positives + h.negatives
    share = h.positives.sum(axis=1) / n
    centred = x - ((rows * x).sum(axis=1) / n)[:, None]
    square = (rows * centred**2).sum(axis=1)
    square = np.where(square > 0, square, np.nan)
    product = (h.positives * centred).sum(axis=1)
    value = product / square
    fitted = share[:, None] + value[:, None] * centred
    residual = h.positives * (1 - fitted) ** 2 + h.negatives * fitted**2
    spread = np.sqrt((centred**2 * residual).sum(axis=1) / np.where(n > 2, n - 2, 1) * n) / square
    moved = np.abs(h.positives * (1 - share[:, None]) + h.negatives * share[:, None])
    c = (moved * h.reach).sum(axis=1)
    v = (rows * (2 * np.abs(centred) * h.reach + h.reach**2)).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.stack([(product + s * c) / np.maximum(square + t * v, 0) for s in (-1, 1) for t in (-1, 1)])
    ends = np.where(np.isnan(ends), np.inf, ends)
    down, up = value - ends.min(axis=0), ends.max(axis=0) - value
    down = np.where(square > v, down, np.inf)
    return Scored("slope", *_common(counted, h), value, h, counted.is_independent, spread, down, up)


def _rows(h: Histograms) -> Floats:
    rows = (h.positives + h.negatives).sum(axis=1).astype(float)
    return np.where(rows > 0, rows, np.nan)


def _common(counted: Counted, h: Histograms) -> tuple[tuple[str, ...], Ints, NDArray[np.bool_], Ints, Ints]:
    """Names, rows, who is judged (by the rarer class), positives and rows."""
    judged = counted.judged("positives", counted.positive) & counted.judged("negatives", counted.positive)
    positives = h.positives.sum(axis=1)
    return counted.names, counted.rows, judged, positives, positives + h.negatives.sum(axis=1)
