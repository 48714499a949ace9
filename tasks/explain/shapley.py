"""SHAP values of a table's columns: single decisions, a summary, by group, and how reliable they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tasks.explain import checks
from tasks.explain.by_group import by_group, carried, weights
from tasks.explain.context import Context, Made
from tasks.explain.library import shap
from tasks.explain.parts import Part, Unexplained
from tasks.explain.records import Check, Curves, Explanation, Single
from tasks.explain.table import Codes, Floats, TableModel, one_of, with_background

FEWEST = 20
"""Rows below which a summary tells nothing."""
CHECKED = 20
"""Rows that the checks explain once more."""
BACKGROUND = 10
"""Background rows of a check; another draw than the explanation's."""
OF_LEFT = 0.6
"""Of the budget: what the summary may take; more leaves too little for LIME on Adult."""
DIGITS = 6


class Explained(NamedTuple):
    """Attributions of some rows.

    Attributes:
        rows: (n, d).
        which: output (n,) that is explained.
        values: SHAP values (n, d).
        bases: mean output (n,) over the background.
        outputs: (n,).
    """

    rows: Floats
    which: Codes
    values: Floats
    bases: Floats
    outputs: Floats


def shap_values(model: TableModel, rows: Floats, which: Codes, background: Floats, seed: int) -> Explained:
    """SHAP values by the library's permutation explainer, one order of the columns forth and back.

    They add up to output less base by construction, so that completeness finds a broken tool, not a rough
    estimate; how rough it is, stability says.

    Args:
        model: the model.
        rows: (n, d).
        which: output (n,) to explain.
        background: (m, d): a column's value is taken away by giving those of these rows in turn.
        seed: of the order.
    """
    library, columns = shap(), rows.shape[1]
    masker = library.maskers.Independent(background, max_samples=len(background))
    explainer = library.explainers.Permutation(model.outputs, masker, seed=seed)
    state = np.random.get_state()  # noqa: NPY002 - the library seeds the global generator
    told = explainer(rows, max_evals=2 * columns + 1, silent=True)
    np.random.set_state(state)  # noqa: NPY002
    values = told.values if told.values.ndim == 3 else told.values[:, :, None]
    own = np.take_along_axis(values, which[:, None, None], axis=2)[:, :, 0]
    bases = one_of(
        np.broadcast_to(model.outputs(background).mean(axis=0), (len(rows), values.shape[2])), which
    )
    return Explained(rows, which, own, bases, one_of(model.outputs(rows), which))


def explain_by_shap(context: Context) -> Sequence[Made]:
    """Explain rows by SHAP: as many as the plan wants and the budget bears."""
    model = TableModel(context.predictor, context.budget)
    before, rng = context.budget.spent, context.rng("SHAP")
    if context.frame.height < FEWEST:
        raise Unexplained(f"{context.frame.height} validation rows: {FEWEST} are needed")
    wanted = max(FEWEST, context.settings.rows)
    count = context.budget.affordable(wanted, _each(context), FEWEST, OF_LEFT, _checking(context))
    frame = context.frame.head(max(FEWEST, count))
    background = model.matrix(context.background)
    drawn = background[: context.settings.background]
    rows = model.matrix(frame)
    which = model.explained(rows)
    found = shap_values(model, rows, which, drawn, int(rng.integers(2**31)))
    checked, curves = _checked(model, found, background[len(drawn) :], rng)
    mean = weights(found.values, model.columns)
    groups, notes = by_group(found.values, model.columns, context.described.head(len(rows)))
    explanation = Explanation.checked(
        checked,
        part="output",
        method="SHAP",
        of=model.of,
        rows=len(rows),
        evaluations=context.budget.spent - before,
        curves=curves,
        weights=mean,
        singles=_singles(model, found, frame["row_id"].to_list(), context.settings.decisions),
        groups=groups,
        carried=carried(mean, context.plan.judgement, context.proxies),
        notes=notes,
    )
    return [explanation]


def chosen(model: TableModel, outputs: Floats, decisions: int) -> list[int]:
    """Positions of the decisions shown, the same of every method: half are nearly another, the rest drawn.

    Args:
        model: that gave the outputs.
        outputs: (n,) of rows in a random order; the first `FEWEST`, or as many as are shown, are looked at.
        decisions: how many.
    """
    looked_at = np.abs(outputs[: max(FEWEST, decisions)])
    nearest = (decisions + 1) // 2 if model.decides else 0
    close = np.argsort(looked_at, kind="stable")[:nearest].tolist()
    drawn = [position for position in range(len(looked_at)) if position not in close]
    return [*close, *drawn[: decisions - len(close)]]


def _singles(model: TableModel, found: Explained, ids: Sequence[int], decisions: int) -> tuple[Single, ...]:
    return tuple(
        single(int(ids[at]), found.outputs[at], found.bases[at], found.values[at], model.columns)
        for at in chosen(model, found.outputs, decisions)
    )


def single(row_id: int, output: float, base: float, values: Floats, columns: Sequence[str]) -> Single:
    """One decision, its columns by the size of what they bring."""
    order = np.argsort(-np.abs(values), kind="stable")
    named = {columns[column]: round(float(values[column]), DIGITS) for column in order}
    return Single(
        row_id=row_id, output=round(float(output), DIGITS), base=round(float(base), DIGITS), weights=named
    )


def _checked(
    model: TableModel, found: Explained, others: Floats, rng: np.random.Generator
) -> tuple[list[Check], Curves | None]:
    """The checks of the first rows, on a draw of the background that the explanation did not use."""
    rows, which, values = found.rows[:CHECKED], found.which[:CHECKED], found.values[:CHECKED]
    other = others[:BACKGROUND]
    again = shap_values(model, rows, which, other, int(rng.integers(2**31)))
    random = model.with_predictor(checks.with_random_weights(model.predictor, int(rng.integers(2**31))))
    untaught = shap_values(random, rows, which, other, int(rng.integers(2**31)))
    removed = checks.removal(lambda kept: with_background(model, rows, which, other, kept), values, rng)
    told = [
        checks.completeness(found.values, found.outputs, found.bases),
        checks.stability(values, again.values),
        *removed.checks,
        checks.randomised(values, untaught.values),
    ]
    return told, removed.curves


def _each(context: Context) -> int:
    """Evaluations of a row, the checks apart."""
    return _masks(context) * (context.settings.background + 1)


def _masks(context: Context) -> int:
    return 2 * len(TableModel(context.predictor, context.budget).columns) + 2


def _checking(context: Context) -> int:
    columns = len(TableModel(context.predictor, context.budget).columns)
    return CHECKED * BACKGROUND * (2 * _masks(context) + checks.removal_answers(columns))


def _least(context: Context) -> int:
    return FEWEST * _each(context) + _checking(context)


SHAP = Part("SHAP", frozenset({"tabular"}), _least, explain_by_shap)
