"""From typed rows to tensors: the division into fit and validation rows, features, labels, weights."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import torch

from tasks.errors import Refusal
from tasks.ingest.division import validation_rows
from tasks.mitigate.reweigh import mitigate
from tasks.model.inputs import Features, Inputs
from tasks.plan.base import crossing
from tasks.plan.data import Classes, Label, Number
from tasks.plan.plan import Plan
from tasks.train.features import fit_features
from tasks.train.rows import Rows

POWERS: Mapping[str, float] = MappingProxyType({"none": 0.0, "root": 0.5, "balanced": 1.0})
"""Of the factors that balance the classes, by the plan's `class_weights`."""


ENCODED_AT_ONCE = 2**19  # rows


class Prepared(NamedTuple):
    """What the loop takes.

    Attributes:
        features: fitted on fit rows alone.
        fit: rows to learn from.
        validation: rows that choose the epoch.
        set_aside: validation rows left out, because they hold a category that no fit row does.
    """

    features: Features
    fit: Rows
    validation: Rows
    set_aside: int


def prepare(
    frame: pl.DataFrame, described: pl.DataFrame, row_weights: npt.NDArray[np.float64] | None, plan: Plan
) -> Prepared:
    """Divide the training part, fit the features on the fit rows and encode both sides.

    Args:
        frame: typed rows of the training part with ``row_digest``; n rows.
        described: one row per sample: protected attributes and ``label``.
        row_weights: raking weights, positive, shape (n,); all 1 when None.
        plan: says which features, which share and which mitigation.

    Raises:
        Refusal: a side of the division has no rows, or the fit rows lack a class.
    """
    held = held_out(frame, plan)
    # Millions of rows are not copied with columns that no feature takes.
    frame = frame.drop("row_digest", "row_id", strict=False)
    features = fit_features(frame, pl.Series(~held), plan)
    strange = np.zeros(frame.height, bool)
    strange[held] = features.unknown_rows(frame.filter(held))
    weights = np.ones(frame.height) if row_weights is None else row_weights
    label = plan.judgement.data.label

    def side(kept: npt.NDArray[np.bool_]) -> Rows:
        weighed = _mitigated(described, kept, weights, plan)  # first: its way takes memory, as the inputs do
        return Rows(
            inputs=_encoded(features, frame, kept),
            labels=_labels(described["label"].filter(kept), label),
            weights=weighed,
        )

    fit, validation = ~held, held & ~strange
    for name, kept in (("fit", fit), ("validation", validation)):
        if not kept.any():
            raise Refusal(
                f"training part: no {name} rows among {frame.height} "
                f"(recipe.split.validation is {plan.recipe.split.validation:g}); more rows are needed"
            )
    rows = side(fit), side(validation)
    if isinstance(label, Classes):
        _require_every_class(rows[0].labels, label)
        power = POWERS[getattr(plan.recipe.training.loss, "class_weights", "none")]
        if power:
            factors = _balancing(rows[0], len(label.values)) ** power
            rows = _weighted(rows[0], factors), _weighted(rows[1], factors)
    return Prepared(features, *rows, int(strange.sum()))


def _mitigated(
    described: pl.DataFrame,
    kept: npt.NDArray[np.bool_],
    weights: npt.NDArray[np.float64],
    plan: Plan,
) -> torch.Tensor:
    """Weights float32 (kept,); only what mitigation sees is copied, as codes: it may be millions of rows."""
    steps = plan.recipe.mitigation
    seen = sorted({"label", *(name for step in steps for name in crossing(step.attribute))})
    table = described.select(pl.col(seen).filter(pl.Series(kept))).cast({pl.String: pl.Categorical})
    return torch.from_numpy(mitigate(table, weights[kept], steps).astype(np.float32))


def _encoded(features: Features, frame: pl.DataFrame, kept: npt.NDArray[np.bool_]) -> Inputs:
    """The kept rows as tensors, encoded some at a time: the way there takes ten times the memory."""
    starts = range(0, frame.height, ENCODED_AT_ONCE)
    pieces = [(frame.slice(s, ENCODED_AT_ONCE), kept[s : s + ENCODED_AT_ONCE]) for s in starts]
    parts = [features.encode(piece.filter(flags)).tensors for piece, flags in pieces if flags.any()]
    return Inputs({name: torch.cat([part[name] for part in parts]) for name in parts[0]})


def held_out(frame: pl.DataFrame, plan: Plan) -> npt.NDArray[np.bool_]:
    """Which rows (n,) are kept for validation: whole units, or equal rows together."""
    unit = plan.judgement.unit or "row_digest"
    return validation_rows(frame[unit].cast(pl.String), plan.recipe.split.validation, plan.recipe.seed)


def _require_every_class(labels: torch.Tensor, label: Classes) -> None:
    absent = sorted(set(range(len(label.values))) - set(torch.bincount(labels).nonzero()[:, 0].tolist()))
    if absent:
        names = ", ".join(repr(label.values[position]) for position in absent)
        raise Refusal(f"training part: no fit row has the label {names}; every class is needed to learn it")


def _balancing(rows: Rows, classes: int) -> torch.Tensor:
    """Factors (classes,) that give every class the same weight in all."""
    held = torch.bincount(rows.labels, rows.weights, minlength=classes)
    return held.sum() / (classes * held)


def _weighted(rows: Rows, factors: torch.Tensor) -> Rows:
    weights = rows.weights * factors[rows.labels]
    return rows._replace(weights=weights / weights.mean())


def _labels(labels: pl.Series, label: Label) -> torch.Tensor:
    """Position of each label among the classes, int64 (n,), or the numbers, float32 (n,)."""
    if isinstance(label, Number):
        return torch.from_numpy(labels.cast(pl.Float32).to_numpy().copy())
    position = {name: i for i, name in enumerate(label.values)}
    return torch.from_numpy(labels.replace_strict(position, return_dtype=pl.Int64).to_numpy().copy())
