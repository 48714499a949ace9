"""Rows drawn again or left out until the cells of group x label are equally large."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from tasks.mitigate.cells import cells_of, drawn, require_every_cell
from tasks.mitigate.sample import Sample
from tasks.plan.judgement import Judgement
from tasks.plan.mitigation import Resampling

TARGETS: Mapping[str, Callable[[Sequence[int]], float]] = MappingProxyType(
    {"over": max, "under": min, "both": lambda sizes: sum(sizes) / len(sizes)}
)
"""The size that every cell goes towards."""


def resampled(sample: Sample, step: Resampling, judgement: Judgement, rng: np.random.Generator) -> Sample:
    """The rows that stay, in their order, and then copies; rows are counted, whatever they weigh.

    A cell of n rows goes to n + strength (target - n) of them. One that shrinks keeps rows drawn without
    replacement; one that grows has each of its rows as often as they go whole, and some once more.

    Raises:
        Refusal: a group has no rows of a class.
    """
    cells = cells_of(sample.described, step.attribute)
    require_every_cell(cells, step.kind, step.attribute, judgement)
    target = TARGETS[step.way]([len(rows) for rows in cells.values()])
    kept, copies = [], []
    for rows in cells.values():
        size = round(len(rows) + step.strength * (target - len(rows)))
        kept.append(drawn(rows, size, rng) if size < len(rows) else rows)
        copies.append(drawn(rows, max(size - len(rows), 0), rng))
    again = sample.at(np.concatenate(copies))
    return sample.at(np.sort(np.concatenate(kept))).plus(again.as_made())
