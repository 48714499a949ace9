"""Why the model decides as it does on the drawn decisions, in sentences for a reviewer.

The run's own explanations are of validation rows; these are of the packet's, by the same methods with the
same checks, made once and kept in the dossier: last bits that another processor rounds otherwise would make
another packet. They hold weights of columns and values that many rows have, never a row's own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from tasks.errors import EvidenceError
from tasks.evidence.digest import write_atomically
from tasks.explain.records import Counterfactual, Counterfactuals, Explanation
from tasks.plan import Plan
from tasks.plan.data import Tabular

FILE = "review/explanations.json"
STRONGEST = 5
NONE = "No explanation of this decision is at hand."
SECONDS, EVALUATIONS = 600.0, 10**8
"""More than any packet takes: explaining it is no share of a run."""
Sentences = dict[int, list[str]]


def explain_rows(
    rows: pl.DataFrame, described: pl.DataFrame, train: pl.DataFrame, plan: Plan, folder: Path
) -> Sentences:
    """Explain decisions of a model of a table; of other kinds of data nothing is said.

    Args:
        rows: typed rows of the packet.
        described: of the same rows.
        train: the typed training part, of which rows stand for a column whose value is taken away.
        plan: as locked.
        folder: the dossier, with the frozen model.

    Returns:
        row_id -> sentences.
    """
    settings = plan.operations.explanations
    if settings is None or plan.recipe.federated is not None or not isinstance(plan.judgement.data, Tabular):
        return {}
    # torch and shap: only a packet that is made new pays for their import.
    from tasks.explain.budget import Budget  # noqa: PLC0415
    from tasks.explain.counterfactual import explain_by_counterfactuals  # noqa: PLC0415
    from tasks.explain.explain import context_of  # noqa: PLC0415
    from tasks.explain.shapley import explain_by_shap  # noqa: PLC0415
    from tasks.ingest.described import describe  # noqa: PLC0415
    from tasks.model.device import deterministic  # noqa: PLC0415

    all_of_them = settings.model_copy(update={"decisions": rows.height, "rows": rows.height})
    budget = Budget(EVALUATIONS, SECONDS)
    with deterministic(plan.operations.compute.threads):
        context = context_of(train, describe(train, plan.judgement), plan, all_of_them, folder, budget, ())
        context = replace(context, frame=rows, described=described)
        made = [*explain_by_shap(context), *explain_by_counterfactuals(context)]
    return {row_id: _sentences(made, row_id) for row_id in rows["row_id"].to_list()}


def keep(sentences: Sentences, folder: Path) -> None:
    """Write them into the dossier; the packet's record vouches for them."""
    content = {str(row_id): told for row_id, told in sorted(sentences.items())}
    write_atomically(folder / FILE, json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n")


def kept(folder: Path) -> Sentences:
    """Read what :func:`keep` wrote.

    Raises:
        EvidenceError: if it is not there, or no such file.
    """
    try:
        content: dict[str, list[str]] = json.loads((folder / FILE).read_bytes())
        return {int(row_id): told for row_id, told in content.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise EvidenceError(f"{folder / FILE}: the packet's explanations are expected: {error}") from error


def _sentences(made: Sequence[Explanation | Counterfactuals], row_id: int) -> list[str]:
    told = []
    for one in made:
        if isinstance(one, Counterfactuals):
            if not one.reliable:
                continue
            told += [_change(found) for found in one.found if found.row_id == row_id]
        else:
            told += [_weights(one, row_id)]
    return [sentence for sentence in told if sentence]


def _weights(explanation: Explanation, row_id: int) -> str:
    single = next((one for one in explanation.singles if one.row_id == row_id), None)
    if single is None:
        return ""
    if not explanation.reliable:
        return f"{explanation.method}: unreliable here, it fails its own checks; nothing is shown."
    strongest = sorted(single.weights.items(), key=lambda item: (-abs(item[1]), item[0]))[:STRONGEST]
    listed = ", ".join(f"{name} {value:+.2f}" for name, value in strongest)
    return f"{explanation.method}, {explanation.of}: {listed}."


def _change(found: Counterfactual) -> str:
    if found.otherwise is None:
        return "No small change was found that would turn this decision."
    changes = " and ".join(
        f"{one.column} other than it is" if one.to is None else f"{one.column} {one.to}"
        for one in found.changes
    )
    return f"It would be {found.otherwise} with {changes}."
