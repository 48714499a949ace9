"""From typed rows to tensors: the division into fit and validation rows, features, labels, weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import torch

from tasks.errors import Refusal
from tasks.ingest.division import validation_rows
from tasks.mitigate.before import before_training, changes_rows, made_by
from tasks.mitigate.reweigh import reweighed
from tasks.mitigate.sample import Sample
from tasks.model.inputs import Features, Inputs
from tasks.plan.base import crossing
from tasks.plan.data import Classes, Label, Number
from tasks.plan.mitigation import Reweighing, attribute_of
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
        made: of the fit rows, those that steps against bias made, by the steps' kind.
    """

    features: Features
    fit: Rows
    validation: Rows
    set_aside: int
    made: Mapping[str, int]

    @property
    def rows(self) -> dict[str, int]:
        """How many there are of each kind, as the record ``freeze`` names them."""
        return {
            "fit_rows": len(self.fit.labels),
            "made_rows": sum(self.made.values()),
            "validation_rows": len(self.validation.labels),
            "set_aside_rows": self.set_aside,
        }


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
        Refusal: a side of the division has no rows, the fit rows lack a class, or the validation rows all
            have the same number.
    """
    held = held_out(frame, plan)
    _require_rows(held, plan)
    # Millions of rows are not copied with columns that no feature takes.
    frame = frame.drop("row_digest", "row_id", strict=False)
    weights = np.ones(frame.height) if row_weights is None else row_weights
    source = Sample.of(frame, described, weights)
    weighed = [step for step in plan.recipe.mitigation if isinstance(step, Reweighing)]
    learned, kept, weighing = source, ~held, weighed
    if changes_rows(plan.recipe.mitigation):  # which copies them, and weighs them in its turn
        grown = source.at((~held).nonzero()[0])
        learned = before_training(grown, plan.recipe.mitigation, plan.judgement, plan.recipe.seed)
        kept, weighing = np.ones(len(learned.maker), bool), []
    features = fit_features(learned.frame, pl.Series(kept), plan)
    known = known_of(held, frame, features)
    if not known.any():
        raise Refusal(_no_rows("validation", frame.height, plan))
    levels = _levels(learned, kept, plan)
    fit = _rows(features, learned, kept, plan, _weights(learned, kept, weighing), levels)
    rows = fit, _rows(features, source, known, plan, _weights(source, known, weighed), levels)
    label = plan.judgement.data.label
    if isinstance(label, Classes):
        _require_every_class(rows[0].labels, label)
        power = POWERS[getattr(plan.recipe.training.loss, "class_weights", "none")]
        if power:
            factors = _balancing(rows[0], len(label.values)) ** power
            rows = _weighted(rows[0], factors), _weighted(rows[1], factors)
    else:
        _require_spread(rows[1].labels)
    return Prepared(features, *rows, int((held & ~known).sum()), made_by(learned, plan.recipe.mitigation))


def _rows(
    features: Features,
    sample: Sample,
    kept: npt.NDArray[np.bool_],
    plan: Plan,
    weights: torch.Tensor,
    levels: Sequence[str],
) -> Rows:
    return Rows(
        inputs=_encoded(features, sample.frame, kept),
        labels=_labels(sample.described["label"].filter(kept), plan.judgement.data.label),
        weights=weights,
        groups=_groups(sample, kept, levels, plan) if levels else None,
    )


def _require_rows(held: npt.NDArray[np.bool_], plan: Plan) -> None:
    for name, kept in (("fit", ~held), ("validation", held)):
        if not kept.any():
            raise Refusal(_no_rows(name, len(held), plan))


def _no_rows(name: str, among: int, plan: Plan) -> str:
    share = plan.recipe.split.validation
    return (
        f"training part: no {name} rows among {among} (recipe.split.validation is {share:g}); "
        "more rows are needed"
    )


def _weights(sample: Sample, kept: npt.NDArray[np.bool_], steps: Sequence[Reweighing]) -> torch.Tensor:
    """Weights float32 (kept,), mean 1; of millions of rows only what a step sees is copied, as codes."""
    seen = sorted({"label", *(part for step in steps for part in crossing(step.attribute))})
    table = sample.described.select(pl.col(seen).filter(pl.Series(kept))).cast({pl.String: pl.Categorical})
    weights = sample.weights[kept]
    for step in steps:
        weights = reweighed(table, weights, step)
    return torch.from_numpy((weights / weights.mean()).astype(np.float32))


def _levels(sample: Sample, kept: npt.NDArray[np.bool_], plan: Plan) -> tuple[str, ...]:
    """Levels that a step during training tells apart: those that it has fit rows enough of, in order.

    Of a level that the gate does not judge either there are too few: a handful of rows in a large network
    can be learned by heart, and their rate on validation rows is noise.

    Raises:
        Refusal: there are not two.
    """
    step = next((step for step in plan.recipe.mitigation if step.stage == "training"), None)
    if step is None:
        return ()
    attribute, small = attribute_of(step), plan.judgement.too_small
    least = small.smallest_denominator if small.policy == "report" else 1
    rows = dict(_crossed(sample.described, attribute).filter(pl.Series(kept)).value_counts().iter_rows())
    levels = tuple(sorted(level for level, count in rows.items() if count >= least))
    if len(levels) < 2:
        found = ", ".join(f"{level!r} ({rows[level]} rows)" for level in sorted(rows))
        raise Refusal(
            f"recipe.mitigation: {step.kind} by {attribute!r}: a constraint on an attribute absent from "
            f"training: two levels of {least} fit rows or more are expected, found {found}; name another "
            "attribute, or leave the step out"
        )
    return levels


def _groups(sample: Sample, kept: npt.NDArray[np.bool_], levels: Sequence[str], plan: Plan) -> torch.Tensor:
    """Position of each row's level, int64 (kept,), -1 for one that is not among them."""
    step = next(step for step in plan.recipe.mitigation if step.stage == "training")
    position = {level: i for i, level in enumerate(levels)}
    own = _crossed(sample.described, attribute_of(step)).filter(pl.Series(kept))
    codes = own.replace_strict(position, default=-1, return_dtype=pl.Int64)
    return torch.from_numpy(codes.to_numpy().copy())


def _crossed(described: pl.DataFrame, attribute: str) -> pl.Series:
    parts = [pl.col(part) for part in crossing(attribute)]
    return described.select(pl.concat_str(parts, separator=" x ").alias("level")).to_series()


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


def known_of(held: npt.NDArray[np.bool_], frame: pl.DataFrame, features: Features) -> npt.NDArray[np.bool_]:
    """Which of the rows (n,) kept for validation hold only what the fitted features know: (n,)."""
    known = held.copy()
    known[held] = ~features.unknown_rows(frame.filter(held))
    return known


def _require_every_class(labels: torch.Tensor, label: Classes) -> None:
    absent = sorted(set(range(len(label.values))) - set(torch.bincount(labels).nonzero()[:, 0].tolist()))
    if absent:
        names = ", ".join(repr(label.values[position]) for position in absent)
        raise Refusal(f"training part: no fit row has the label {names}; every class is needed to learn it")


def _require_spread(labels: torch.Tensor) -> None:
    if not (labels != labels[0]).any():
        raise Refusal(
            f"training part: the {len(labels):,} validation rows all have the same label, where R2 needs two "
            "different ones; more rows are needed, or a larger recipe.split.validation"
        )


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
