"""Explaining a frozen model: its rows chosen, its parts made in the order of importance while means last."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from tasks.explain.budget import Budget
from tasks.explain.context import Context
from tasks.explain.counterfactual import COUNTERFACTUALS
from tasks.explain.inputs import INPUT_PARTS
from tasks.explain.layer_report import MODEL_PARTS
from tasks.explain.lime import LIME
from tasks.explain.parts import Part, Unexplained
from tasks.explain.records import Counterfactuals, Explained, Explanation, Skipped
from tasks.explain.shapley import SHAP
from tasks.model.predictor import Predictor
from tasks.plan import Plan
from tasks.plan.explanations import Explanations
from tasks.represent.records import Proxy
from tasks.train.prepare import held_out

PARTS: tuple[Part, ...] = (SHAP, COUNTERFACTUALS, *INPUT_PARTS, *MODEL_PARTS, LIME)
"""In the order of importance: what comes last is what a small budget leaves out."""
ROWS_OF = "validation rows: no figure here is of a test row, so none wears the test set out"
BACKGROUND = 2000


def explain(context: Context, parts: Sequence[Part] = PARTS) -> Explained:
    """Make every part that the kind of data has, as far as the budget goes.

    Args:
        context: the model, its rows and the budget.
        parts: in the order of importance.
    """
    made: list[Explanation] = []
    turned: Counterfactuals | None = None
    skipped: list[Skipped] = []
    for part in parts:
        if context.plan.judgement.data.kind not in part.kinds:
            continue
        if because := _lacking(part, context):
            skipped.append(Skipped(part=part.name, because=because))
            continue
        try:
            found = part.make(context)
        except Unexplained as reason:
            skipped.append(Skipped(part=part.name, because=str(reason)))
            continue
        made += [each for each in found if isinstance(each, Explanation)]
        turned = next((each for each in found if isinstance(each, Counterfactuals)), turned)
    return Explained(
        rows_of=ROWS_OF,
        rows=context.frame.height,
        allowed=context.budget.allowed,
        spent=context.budget.spent,
        explanations=tuple(made),
        counterfactuals=turned,
        skipped=tuple(skipped),
        unreliable=tuple(dict.fromkeys(each.method for each in made if not each.reliable)),
    )


def _lacking(part: Part, context: Context) -> str:
    """Why a part can't be made, else empty; measured seconds are no evidence and stay out."""
    needed = part.least(context)
    lacking = context.budget.lacking(needed)
    if lacking == "evaluations":
        return f"evaluations: at least {needed:,} are needed, {context.budget.left:,} are left"
    return "time: the share of the run's time was used up before it" if lacking else ""


def context_of(
    frame: pl.DataFrame,
    described: pl.DataFrame,
    plan: Plan,
    settings: Explanations,
    folder: Path,
    budget: Budget,
    proxies: Sequence[Proxy],
) -> Context:
    """The frozen model of a dossier, and the rows of the training part that it is explained on.

    Validation rows, one of each sampling unit, so that intervals over rows hold; fit rows to compare with
    (of a differentially private model, which promises them that nothing of them shows, other validation
    rows). Both are in a random order of the recipe's seed.

    Args:
        frame: typed rows of the training part.
        described: of the same rows.
        plan: as carried out.
        settings: ``operations.explanations``.
        folder: the dossier's, with ``model`` in it.
        budget: for all parts.
        proxies: from the check of representativeness.
    """
    predictor = Predictor.load(folder / "model")
    held = held_out(frame, plan)
    order = np.random.default_rng(plan.recipe.seed).permutation(frame.height)
    unit = plan.judgement.unit or "row_id"
    kept = frame[unit][order].is_first_distinct().to_numpy()
    rows = order[held[order] & kept]
    rows = rows[~predictor.features.unknown_rows(frame[rows])]
    if plan.recipe.privacy is None:
        background = order[~held[order]][:BACKGROUND]
    else:
        rows, background = rows[: len(rows) // 2], rows[len(rows) // 2 :][:BACKGROUND]
    background = background[~predictor.features.unknown_rows(frame[background])]
    return Context(
        plan=plan,
        settings=settings,
        predictor=predictor,
        frame=frame[rows],
        described=described[rows],
        background=frame[background],
        proxies=tuple(proxies),
        folder=folder,
        budget=budget,
    )
