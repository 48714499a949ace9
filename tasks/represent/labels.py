"""Bias of the labels before any training: how each group's labels differ from all others', from counts.

The pre-training metrics of Amazon SageMaker Clarify (Hardt et al. 2021, KDD, arXiv:2109.03285), in its
definitions: facet d is the group, facet a is everybody else. Conditional demographic disparity is of Wachter,
Mittelstadt and Russell 2021, "Why fairness cannot be automated".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr

from tasks.fairness import Cube
from tasks.represent.records import LabelBias

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def label_bias(counts: Cube) -> tuple[LabelBias, ...]:
    """Every metric of every level of every attribute.

    Args:
        counts: a part by group and label, without predictions (`Cube.from_labels`).

    Returns:
        one record a level, in the order of the cube's axes.
    """
    found = []
    for attribute, levels in counts.axes.items():
        table = _labels(counts, (attribute,))
        conditions = {
            other: _labels(counts, (attribute, other)) for other in counts.axes if other != attribute
        }
        for i, level in enumerate(levels):
            own, rest = table[i], table.sum(axis=0) - table[i]
            within = {
                other: _conditional(strata[i], strata.sum(axis=0), counts)
                for other, strata in conditions.items()
            }
            found.append(_record(counts, attribute, level, own, rest, within))
    return tuple(found)


def _labels(counts: Cube, attributes: tuple[str, ...]) -> Ints:
    """Rows by level of each attribute and label."""
    part = counts.marginal(attributes)
    found: Ints = part.counts.sum(axis=-1)
    return found


def _record(
    counts: Cube, attribute: str, level: str, own: Ints, rest: Ints, within: dict[str, float | None]
) -> LabelBias:
    n, others = int(own.sum()), int(rest.sum())
    known = n > 0 and others > 0
    d, a = own / max(n, 1), rest / max(others, 1)
    apart, positive = np.abs(a - d), None if counts.positive is None else counts.labels.index(counts.positive)
    return LabelBias(
        attribute=attribute,
        group=level,
        n=n,
        label_rate=float(d[positive]) if positive is not None and n else None,
        class_imbalance=(others - n) / (others + n),
        label_difference=float(a[positive] - d[positive]) if known and positive is not None else None,
        kl=_finite(float(rel_entr(a, d).sum())) if known else None,
        js=_jensen_shannon(a, d) if known else None,
        l2=float(np.sqrt((apart**2).sum())) if known else None,
        total_variation=float(apart.sum() / 2) if known else None,
        ks=float(apart.max()) if known else None,
        demographic_disparity=None if positive is None else _disparity(own, own + rest, positive),
        conditional_disparity=within,
    )


def _jensen_shannon(a: Floats, d: Floats) -> float:
    middle = (a + d) / 2
    return float((rel_entr(a, middle) + rel_entr(d, middle)).sum() / 2)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _disparity(own: Ints, everybody: Ints, positive: int) -> float | None:
    """Share of the group among the rejected - its share among the accepted; both must exist."""
    accepted = int(everybody[positive])
    rejected = int(everybody.sum()) - accepted
    if accepted == 0 or rejected == 0:
        return None
    return float((own.sum() - own[positive]) / rejected - own[positive] / accepted)


def _conditional(own: Ints, everybody: Ints, counts: Cube) -> float | None:
    """Disparity within each stratum, averaged by rows, over the strata that have both outcomes."""
    if counts.positive is None:
        return None
    positive = counts.labels.index(counts.positive)
    parts = [
        (float(rows.sum()), _disparity(mine, rows, positive))
        for mine, rows in zip(own, everybody, strict=True)
    ]
    defined = [(rows, disparity) for rows, disparity in parts if disparity is not None]
    total = sum(rows for rows, _ in defined)
    return sum(rows * disparity for rows, disparity in defined) / total if total else None
