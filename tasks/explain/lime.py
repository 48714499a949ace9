"""LIME (Ribeiro et al. 2016) of single decisions: a weighted ridge regression on columns kept or taken away.

By captum's `LimeBase`: the package `lime` itself has had no release since 2021. A column that is taken away
has the values of background rows in turn, as for SHAP, so that the two can be laid side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from tasks.explain import checks
from tasks.explain.context import Context, Made
from tasks.explain.parts import Part
from tasks.explain.records import Check, Curves, Explanation
from tasks.explain.shapley import BACKGROUND, FEWEST, chosen, single
from tasks.explain.table import Codes, Floats, TableModel, one_of, with_background

SAMPLES, FRESH = 200, 60
"""Samples that a surrogate learns from, and those that it is tested on."""
WIDTH = 0.75
"""Of the kernel, in units of the root of the number of columns: the default of Ribeiro's own package."""
ALPHA = 1.0


class Surrogate(NamedTuple):
    """A linear model near each of some rows.

    Attributes:
        values: of a column kept instead of taken away, (n, d).
        intercepts: output (n,) with every column taken away, as the surrogate has it.
    """

    values: Floats
    intercepts: Floats


def surrogates(
    model: TableModel, rows: Floats, which: Codes, background: Floats, rng: np.random.Generator
) -> Surrogate:
    """Fit one for each row.

    Args:
        model: the model.
        rows: (n, d).
        which: output (n,) that is told.
        background: (m, d).
        rng: draws the samples.
    """
    found = [_surrogate(model, rows[i : i + 1], which[i : i + 1], background, rng) for i in range(len(rows))]
    values, intercepts = zip(*found, strict=True)
    return Surrogate(np.stack(values), np.array(intercepts))


def _surrogate(
    model: TableModel, row: Floats, which: Codes, background: Floats, rng: np.random.Generator
) -> tuple[Floats, float]:
    # captum takes three seconds to import: only a run that explains pays for it.
    from captum._utils.models.linear_model import SkLearnRidge  # noqa: PLC0415
    from captum.attr import LimeBase  # noqa: PLC0415

    masks = iter([torch.from_numpy(mask[None]) for mask in _masks(SAMPLES, row.shape[1], rng)])

    def forward(kept: torch.Tensor) -> torch.Tensor:
        flags = kept.numpy().astype(bool)
        return torch.from_numpy(_outputs(model, row, which, background, flags))

    def near(_input: Any, _kept: Any, kept: torch.Tensor, **_: Any) -> torch.Tensor:
        return torch.from_numpy(_nearness(kept.numpy()))

    lime = LimeBase(
        forward,
        SkLearnRidge(alpha=ALPHA),
        near,
        lambda _input, **_: next(masks),
        perturb_interpretable_space=True,
        from_interp_rep_transform=lambda kept, _input, **_: kept,
        to_interp_rep_transform=None,
    )
    lime.attribute(torch.ones(1, row.shape[1]), n_samples=SAMPLES, perturbations_per_eval=SAMPLES)
    linear = lime.interpretable_model
    return linear.representation().numpy().reshape(-1).astype(np.float64), float(linear.bias())


def _masks(samples: int, columns: int, rng: np.random.Generator) -> Floats:
    return rng.integers(0, 2, (samples, columns)).astype(np.float32)


def _nearness(kept: Floats) -> Floats:
    """Weight (samples,) by how many columns are taken away: a Gaussian of the distance, as in the paper."""
    taken = (1 - kept).sum(axis=1)
    return np.asarray(np.exp(-taken / (WIDTH**2 * kept.shape[1])))


def _outputs(model: TableModel, row: Floats, which: Codes, background: Floats, kept: checks.Flags) -> Floats:
    count = len(kept)
    return with_background(model, np.repeat(row, count, axis=0), np.repeat(which, count), background, kept)


def explain_by_lime(context: Context) -> Sequence[Made]:
    """Explain the same single decisions as SHAP does."""
    model, rng = TableModel(context.predictor, context.budget), context.rng("LIME")
    before = context.budget.spent
    frame = context.frame.head(max(FEWEST, context.settings.decisions))
    candidates = model.matrix(frame)
    of_all = model.explained(candidates)
    at = chosen(model, one_of(model.outputs(candidates), of_all), context.settings.decisions)
    rows, which = candidates[at], of_all[at]
    background = model.matrix(context.background.head(BACKGROUND))
    found = surrogates(model, rows, which, background, rng)
    outputs = one_of(model.outputs(rows), which)
    ids = frame["row_id"].to_list()
    checked, curves = _checked(model, (rows, which, background), found, rng)
    explanation = Explanation.checked(
        checked,
        part="output",
        method="LIME",
        of=model.of,
        rows=len(rows),
        evaluations=context.budget.spent - before,
        curves=curves,
        singles=tuple(
            single(int(ids[place]), outputs[i], found.intercepts[i], found.values[i], model.columns)
            for i, place in enumerate(at)
        ),
    )
    return [explanation]


def _checked(
    model: TableModel, of: tuple[Floats, Codes, Floats], found: Surrogate, rng: np.random.Generator
) -> tuple[list[Check], Curves | None]:
    rows, which, background = of
    again = surrogates(model, rows, which, background, rng)
    random = model.with_predictor(checks.with_random_weights(model.predictor, int(rng.integers(2**31))))
    untaught = surrogates(random, rows, which, background, rng)
    removed = checks.removal(
        lambda kept: with_background(model, rows, which, background, kept), found.values, rng
    )
    told = [
        _fidelity(model, of, found, rng),
        checks.stability(found.values, again.values),
        *removed.checks,
        checks.randomised(found.values, untaught.values),
    ]
    return told, removed.curves


def _fidelity(
    model: TableModel, of: tuple[Floats, Codes, Floats], found: Surrogate, rng: np.random.Generator
) -> Check:
    rows, which, background = of
    kept = _masks(FRESH, rows.shape[1], rng)
    flags = kept.astype(bool)
    outputs = np.stack(
        [_outputs(model, rows[i : i + 1], which[i : i + 1], background, flags) for i in range(len(rows))]
    )
    told = found.intercepts[:, None] + found.values @ kept.T
    return checks.fidelity(told, outputs, np.broadcast_to(_nearness(kept), outputs.shape))


def _least(context: Context) -> int:
    columns = len(TableModel(context.predictor, context.budget).columns)
    each = BACKGROUND * (3 * SAMPLES + FRESH + checks.removal_answers(columns))
    return context.settings.decisions * each + 2 * max(FEWEST, context.settings.decisions)


LIME = Part("LIME", frozenset({"tabular"}), _least, explain_by_lime)
