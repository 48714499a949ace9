"""Raking: cell weights that bring the sample's margins to the population's.

Iterative proportional fitting (Deming and Stephan 1940) on the table of cells, so its cost does not
depend on the rows. A margin that is the full crossing makes it post-stratification (Holt and Smith 1979):
each cell weighs its share of the population over its share of the rows. A cell that neither sample nor
population has (a structural zero) stays empty.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from tasks.errors import Refusal
from tasks.fairness.raked import MAXIMUM_PASSES, distance, fit
from tasks.plan.base import crossing
from tasks.plan.judgement import Raking
from tasks.represent.population import uncovered
from tasks.represent.records import Raked
from tasks.represent.table import JOINER, Array, Table


def rake(sample: Table, reference: Table, plan: Raking) -> Raked:
    """Weigh the sample's cells so that every raked margin has the population's shares.

    Args:
        sample: counts of rows.
        reference: counts of persons over the same levels; only its shares matter.
        plan: the margins and the limits that the weights must keep.

    Returns:
        weights of the cells that have rows, with mean 1 over the rows, and the limits of the plan
        that do not hold. Where a margin can't be met at all there are no weights, and the problems
        name its levels.
    """
    margins = [crossing(name) for name in plan.margins]
    attributes = tuple(dict.fromkeys(name for names in margins for name in names))
    counts = sample.margin(attributes)
    levels = {name: sample.levels[name] for name in attributes}
    sample, reference = Table(levels, counts), Table(levels, reference.margin(attributes))
    impossible = [*uncovered(sample, reference, margins), *_empty(sample, reference, margins)]
    if impossible:
        return _failed(attributes, impossible)
    fitted, passes = _fit(sample, reference, margins)
    with np.errstate(invalid="ignore"):
        weights = np.where(counts > 0, fitted / counts, 0.0) * sample.total
    weights *= sample.total / (counts * weights).sum()
    raked = _measured(sample, reference, weights, margins, passes)
    return raked.model_copy(update={"problems": tuple(_broken(raked, plan))})


def _fit(sample: Table, reference: Table, margins: Sequence[tuple[str, ...]]) -> tuple[Array, int]:
    """Shares of the cells after fitting, and the passes it took."""
    axes = {names: tuple(i for i, name in enumerate(sample.levels) if name not in names) for names in margins}
    targets = {n: reference.counts.sum(axis=a, keepdims=True) / reference.total for n, a in axes.items()}
    return fit(sample.counts / sample.total, [(axes[names], targets[names]) for names in axes])


def _empty(sample: Table, reference: Table, margins: Sequence[tuple[str, ...]]) -> list[str]:
    problems = []
    for names in margins:
        rows, persons = sample.margin(names).ravel(), reference.margin(names).ravel()
        for level, n, count in zip(sample.names(names), rows, persons, strict=True):
            if n == 0 and count > 0:
                problems.append(
                    f"raking {JOINER.join(names)}: {count / reference.total:.3%} of the population is "
                    f"{level!r}, the sample has no such row, and no weight makes up for that; "
                    "collect some, or rake a margin without this level"
                )
    return problems


def _failed(attributes: tuple[str, ...], problems: list[str]) -> Raked:
    return Raked(
        attributes=attributes,
        cells={},
        effective_size=0.0,
        effective_share=0.0,
        maximum_weight=0.0,
        worst_margin_error=1.0,
        iterations=0,
        problems=tuple(dict.fromkeys(problems)),
    )


def _measured(
    sample: Table, reference: Table, weights: Array, margins: Sequence[tuple[str, ...]], passes: int
) -> Raked:
    counts = sample.counts
    weighted = Table(sample.levels, counts * weights)
    errors = [
        distance(weighted.margin(names) / weighted.total, reference.margin(names) / reference.total)
        for names in margins
    ]
    effective = float(weighted.total**2 / (counts * weights**2).sum())
    names = sample.names(sample.attributes)
    present = zip(names, counts.ravel(), weights.ravel(), strict=True)
    return Raked(
        attributes=sample.attributes,
        cells={name: float(weight) for name, n, weight in present if n > 0},
        effective_size=effective,
        effective_share=effective / sample.total,
        maximum_weight=float(weights.max()),
        worst_margin_error=max(errors),
        iterations=passes,
    )


def _broken(raked: Raked, plan: Raking) -> list[str]:
    problems = []
    if raked.iterations == MAXIMUM_PASSES:
        problems.append(
            f"raking: no convergence in {MAXIMUM_PASSES} passes, the worst margin is still "
            f"{raked.worst_margin_error:.3g} off: the margins contradict the sample's empty cells, or nearly "
            "so; rake fewer or coarser margins"
        )
    if not raked.worst_margin_error <= plan.margin_tolerance:
        problems.append(
            f"raking: the worst margin is {raked.worst_margin_error:.3g} off > margin_tolerance "
            f"{plan.margin_tolerance:g} after {raked.iterations} passes; rake fewer margins"
        )
    if not raked.effective_share >= plan.minimum_effective_share:
        problems.append(
            f"raking: effective sample size {raked.effective_size:.0f} is {raked.effective_share:.3f} of the "
            f"rows < minimum_effective_share {plan.minimum_effective_share:g}; the sample is too far from "
            "the population, collect rows of the levels with the largest weights"
        )
    if not raked.maximum_weight <= plan.maximum_weight:
        heaviest = max(raked.cells, key=lambda cell: raked.cells[cell])
        problems.append(
            f"raking: largest weight {raked.maximum_weight:.3f} ({heaviest}) > maximum_weight "
            f"{plan.maximum_weight:g}; collect rows of this cell, or rake coarser margins"
        )
    return problems


def weighted(sample: Table, raked: Raked) -> Table:
    """The sample's counts after raking, over all of its axes."""
    kept = [name for name in sample.attributes if name in raked.attributes]
    shape = [len(sample.levels[name]) for name in raked.attributes]
    names = Table({name: sample.levels[name] for name in raked.attributes}, np.zeros(shape)).names(
        raked.attributes
    )
    weights = np.reshape([raked.cells.get(name, 0.0) for name in names], shape)
    weights = weights.transpose([raked.attributes.index(name) for name in kept])
    others = tuple(axis for axis, name in enumerate(sample.attributes) if name not in kept)
    return Table(sample.levels, sample.counts * np.expand_dims(weights, others))


def weights_for(described: pl.DataFrame, raked: Raked) -> Array:
    """Weight of each row.

    Args:
        described: one row per sample, with a column per raked attribute.
        raked: weights by cell.

    Returns:
        shape (rows,), above 0; mean 1 over the rows that were raked.

    Raises:
        Refusal: the raking broke a limit of the plan, or a row lies in a cell that was not raked.
    """
    if raked.problems:
        raise Refusal("raking weights may not be used: " + "; ".join(raked.problems))
    cell = pl.concat_str(list(raked.attributes), separator=JOINER)
    weights = described.select(
        cell.replace_strict(
            list(raked.cells), list(raked.cells.values()), default=None, return_dtype=pl.Float64
        )
    ).to_series()
    if unseen := weights.null_count():
        raise Refusal(
            f"{unseen} of {described.height} rows lie in a cell of {JOINER.join(raked.attributes)} that had "
            "no row when the weights were made; rake the rows that are to be weighed"
        )
    return weights.to_numpy()
