"""From typed rows to tensors: the division into fit and validation rows, encoders, labels, weights."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import torch

from tasks.errors import Refusal
from tasks.ingest.division import validation_rows
from tasks.mitigate.reweigh import mitigate
from tasks.model.encode import Encoders, Wanted
from tasks.plan.judgement import CsvFormat, Judgement
from tasks.plan.plan import Plan
from tasks.train.loop import Rows


class Prepared(NamedTuple):
    """What the loop takes.

    Attributes:
        encoders: fitted on fit rows alone.
        fit: rows to learn from.
        validation: rows that choose the epoch.
        set_aside: validation rows left out, because they hold a category that no fit row does.
    """

    encoders: Encoders
    fit: Rows
    validation: Rows
    set_aside: int


def prepare(
    frame: pl.DataFrame, described: pl.DataFrame, row_weights: npt.NDArray[np.float64] | None, plan: Plan
) -> Prepared:
    """Divide the training part, fit the encoders on the fit rows and encode both sides.

    Args:
        frame: typed rows of the training part with ``row_digest``; n rows.
        described: one row per sample: protected attributes and ``label``.
        row_weights: raking weights, positive, shape (n,); all 1 when None.
        plan: says which columns, which share and which mitigation.

    Raises:
        Refusal: a side of the division has no rows, or the fit rows have one class only.
    """
    held = held_out(frame, plan)
    encoders = Encoders.fit(frame.filter(~held), wanted(plan), nulls(plan.judgement), plan.recipe.model.bins)
    strange = np.zeros(frame.height, bool)
    strange[held] = encoders.unknown_rows(frame.filter(held))
    weights = np.ones(frame.height) if row_weights is None else row_weights

    def side(kept: npt.NDArray[np.bool_]) -> Rows:
        table = described.filter(kept)
        weighed = mitigate(table, weights[kept], plan.recipe.mitigation)
        return Rows(
            inputs=encoders.encode(frame.filter(kept)),
            labels=_labels(table["label"], plan.judgement.data.label.values),
            weights=torch.from_numpy(weighed.astype(np.float32)),
        )

    fit, validation = ~held, held & ~strange
    for name, kept in (("fit", fit), ("validation", validation)):
        if not kept.any():
            raise Refusal(
                f"training part: no {name} rows among {frame.height} "
                f"(recipe.split.validation is {plan.recipe.split.validation:g}); more rows are needed"
            )
    prepared = Prepared(encoders, side(fit), side(validation), int(strange.sum()))
    absent = sorted(set(range(len(plan.judgement.data.label.values))) - set(prepared.fit.labels.tolist()))
    if absent:
        names = ", ".join(repr(plan.judgement.data.label.values[position]) for position in absent)
        raise Refusal(f"training part: no fit row has the label {names}; every class is needed to learn it")
    return prepared


def held_out(frame: pl.DataFrame, plan: Plan) -> npt.NDArray[np.bool_]:
    """Which rows (n,) are kept for validation: whole units, or equal rows together."""
    unit = plan.judgement.unit or "row_digest"
    return validation_rows(frame[unit].cast(pl.String), plan.recipe.split.validation, plan.recipe.seed)


def wanted(plan: Plan) -> list[Wanted]:
    """The columns that the model takes, in the plan's order."""
    protected = {attribute.column for attribute in plan.judgement.protected.values()}
    return [
        Wanted(name, column.type, hidden=column.personal or name in protected)
        for name, column in plan.judgement.data.columns.items()
        if name not in plan.recipe.model.exclude
    ]


def nulls(judgement: Judgement) -> list[str]:
    """Spellings of a missing value in the source's own files; an empty field always is one."""
    form = judgement.data.format
    return ["", *form.null_values] if isinstance(form, CsvFormat) else [""]


def _labels(labels: pl.Series, classes: list[str]) -> torch.Tensor:
    """Position of each label among the classes, int64 (n,)."""
    position = {name: i for i, name in enumerate(classes)}
    return torch.from_numpy(labels.replace_strict(position, return_dtype=pl.Int64).to_numpy().copy())
