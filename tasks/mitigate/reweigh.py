"""Weights before training that weaken the tie between group and label (Kamiran and Calders 2012)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from tasks.plan.base import crossing
from tasks.plan.mitigation import Reweighing


def reweighed(
    described: pl.DataFrame, weights: npt.NDArray[np.float64], step: Reweighing
) -> npt.NDArray[np.float64]:
    """Weights (n,), positive, with as much of the factors as the step's strength says.

    Args:
        described: one row per sample, a column per protected attribute and ``label``; n rows.
        weights: to start from (raked, or all 1), positive, shape (n,).
        step: of the recipe.
    """
    factor = reweigh(described, weights, crossing(step.attribute))
    return weights * ((1 - step.strength) + step.strength * factor)


def reweigh(
    described: pl.DataFrame, weights: npt.NDArray[np.float64], attributes: Sequence[str]
) -> npt.NDArray[np.float64]:
    """Factors that make group and label independent: W(g) W(y) / (W W(g, y)), W sums of weights.

    Kamiran and Calders 2012, "Data preprocessing techniques for classification without
    discrimination", section 5.3, with weighted counts; a missing value's level is a group like any other.

    Args:
        described: one row per sample, with a column for each attribute and ``label``; n rows.
        weights: positive, shape (n,).
        attributes: whose crossing is the group.

    Returns:
        Factors, shape (n,), positive.
    """
    weighted = described.select(*attributes, "label", w=pl.Series(weights))
    of_group = pl.col("w").sum().over(list(attributes))
    of_label = pl.col("w").sum().over("label")
    of_both = pl.col("w").sum().over([*attributes, "label"])
    return weighted.select(of_group * of_label / (pl.col("w").sum() * of_both)).to_series().to_numpy()
