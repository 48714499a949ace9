"""Where attributions differ between groups, and how much of them an attribute and its proxies carry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import polars as pl
from scipy.stats import t

from tasks.explain.records import Carried, GroupWeight, Weight
from tasks.explain.table import Floats
from tasks.plan.judgement import Judgement
from tasks.represent.records import Proxy

ALPHA = 0.05
SMALLEST = 10
"""Rows of a group, and of all others, below which no difference is given."""
PROXY = 0.01
"""Share of an attribute's entropy that a column tells to be listed as its proxy."""
DIGITS = 6


def weights(attributions: Floats, features: Sequence[str]) -> tuple[Weight, ...]:
    """Mean absolute attribution of each feature with its 95% interval (Student's t), largest first.

    Args:
        attributions: (n, d) of n independent rows, at least 2.
        features: names of the d.
    """
    sizes = np.abs(attributions)
    n = len(sizes)
    mean = sizes.mean(axis=0)
    half = t.ppf(1 - ALPHA / 2, n - 1) * sizes.std(axis=0, ddof=1) / np.sqrt(n)
    order = np.argsort(-mean, kind="stable")
    return tuple(
        Weight(
            feature=features[i],
            value=_round(mean[i]),
            low=_round(max(0.0, mean[i] - half[i])),
            high=_round(mean[i] + half[i]),
        )
        for i in order
    )


def by_group(
    attributions: Floats, features: Sequence[str], described: pl.DataFrame
) -> tuple[tuple[GroupWeight, ...], tuple[str, ...]]:
    """Mean absolute attribution in each group less that of all other rows, by feature.

    Intervals are Welch's (1947), at a level that is divided by the number of all differences (Bonferroni), so
    that with 95% probability none of them is wrong.

    Args:
        attributions: (n, d).
        features: names of the d.
        described: of the same rows: a String column a protected attribute; not ``label`` and ``unit``.

    Returns:
        Differences, those that leave 0 out first, then by size; a sentence on each group too small.
    """
    sizes = np.abs(attributions)
    attributes = [name for name in described.columns if name not in ("label", "unit")]
    members = {(name, level): own for name in attributes for level, own in _levels(described[name])}
    told = {key: own for key, own in members.items() if min(own.sum(), (~own).sum()) >= SMALLEST}
    level = ALPHA / max(1, len(told) * len(features))
    found = [each for key, own in told.items() for each in _differences(*key, own, sizes, features, level)]
    notes = tuple(
        f"{name}: {group!r} has {int(own.sum())} of {len(own)} rows: {SMALLEST} in it and outside are needed"
        for (name, group), own in members.items()
        if (name, group) not in told
    )
    return tuple(sorted(found, key=lambda one: (not one.differs, -abs(one.difference)))), notes


def _levels(values: pl.Series) -> Iterator[tuple[str, np.ndarray]]:
    for level in sorted(values.unique().to_list()):
        yield level, (values == level).to_numpy()


def _differences(
    attribute: str, group: str, own: np.ndarray, sizes: Floats, features: Sequence[str], level: float
) -> Iterator[GroupWeight]:
    inside, outside = sizes[own], sizes[~own]
    shares = [part.var(axis=0, ddof=1) / len(part) for part in (inside, outside)]
    error = np.sqrt(shares[0] + shares[1])
    # Welch and Satterthwaite; a feature that never varies has an error of 0 and any degrees of freedom.
    below = shares[0] ** 2 / (len(inside) - 1) + shares[1] ** 2 / (len(outside) - 1)
    freedom = np.where(below > 0, error**4 / np.where(below > 0, below, 1.0), len(sizes) - 2)
    half = t.ppf(1 - level / 2, freedom) * error
    means = inside.mean(axis=0)
    difference = means - outside.mean(axis=0)
    for i, feature in enumerate(features):
        low, high = _round(difference[i] - half[i]), _round(difference[i] + half[i])
        yield GroupWeight(
            attribute=attribute,
            group=group,
            feature=feature,
            n=len(inside),
            value=_round(means[i]),
            difference=_round(difference[i]),
            low=low,
            high=high,
            differs=low > 0 or high < 0,
        )


def carried(found: Sequence[Weight], judgement: Judgement, proxies: Sequence[Proxy]) -> tuple[Carried, ...]:
    """How much of all attribution each protected attribute carries, by itself and by what tells it.

    Args:
        found: of every column that the model sees.
        judgement: names the attributes' columns.
        proxies: how much each column tells of each attribute, measured on the training part.
    """
    whole = sum(weight.value for weight in found)
    shares = {weight.feature: weight.value / whole for weight in found} if whole > 0 else {}
    return tuple(_carried(proxy, judgement.protected[proxy.attribute].column, shares) for proxy in proxies)


def _carried(proxy: Proxy, column: str, shares: Mapping[str, float]) -> Carried:
    # The decision's own reading of a group is named by its attributes, see TableModel.columns.
    own = sum(
        share
        for name, share in shares.items()
        if name == column or (name.startswith("decision by ") and proxy.attribute in name.split(" "))
    )
    told = {name: tells for name, tells in proxy.information.items() if name in shares and name != column}
    proxies = {name: tells for name, tells in told.items() if tells >= PROXY}
    return Carried(
        attribute=proxy.attribute,
        own=_round(own),
        proxies={name: _round(shares[name]) for name in proxies},
        information=proxies,
        weighted=_round(own + sum(shares[name] * tells for name, tells in told.items())),
    )


def _round(value: float) -> float:
    return round(float(value), DIGITS)
