"""Why the model decides as it does on the drawn decisions, for a reviewer.

The run's own explanations are of validation rows; these are of the packet's, by the same methods with the
same checks, made once and kept in the dossier: last bits that another processor rounds otherwise would make
another packet. They hold weights of columns, places and values that many rows have, never a row's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from pydantic import ValidationError

from tasks.errors import EvidenceError
from tasks.evidence.digest import canonical_json, write_atomically
from tasks.evidence.records import Record
from tasks.explain.budget import Budget
from tasks.explain.context import Context
from tasks.explain.counterfactual import explain_by_counterfactuals
from tasks.explain.explain import context_of
from tasks.explain.records import Counterfactual, Counterfactuals, Explanation
from tasks.explain.shapley import explain_by_shap
from tasks.ingest.described import describe
from tasks.model.device import deterministic
from tasks.plan.data import Tabular
from tasks.review.changed import Opened, turns_of
from tasks.review.draw import Rows
from tasks.review.flips import sentence
from tasks.review.records import Flips
from tasks.review.weighed import Told, explain_inputs, unreliable

FILE = "review/explanations.json"
STRONGEST = 5
SECONDS, EVALUATIONS = 600.0, 10**8
"""More than any packet takes: explaining it is no share of a run."""
Train = Callable[[], pl.DataFrame]


class Kept(Record):
    """What the dossier keeps of a packet, so that the same rows are drawn and explained alike again.

    Attributes:
        flips: how counterfactual flips were found.
        pool: row_id of those that may be drawn.
        nearest: of nearest ones, what turns each: values that many rows have.
        rows: row_id of a drawn decision -> why it is as it is.
    """

    flips: Flips
    pool: tuple[int, ...]
    nearest: tuple[Counterfactual, ...] = ()
    rows: dict[int, Told]

    def write(self, folder: Path) -> None:
        """Write it into the dossier; the packet's record vouches for it."""
        write_atomically(folder / FILE, canonical_json(self.model_dump(mode="json")) + b"\n")

    @classmethod
    def read(cls, folder: Path) -> Kept:
        """Read what :meth:`write` wrote.

        Raises:
            EvidenceError: if it is not there, or no such file.
        """
        try:
            return cls.model_validate_json((folder / FILE).read_bytes())
        except (OSError, ValidationError) as error:
            raise EvidenceError(
                f"{folder / FILE}: the packet's explanations are expected: {error}"
            ) from error


def explain_rows(opened: Opened, places: Sequence[int], train: Train, folder: Path) -> dict[int, Told]:
    """Explain decisions, by row_id; nothing is said where the plan asks for no explanations.

    Args:
        opened: the test part and its frozen model.
        places: positions of the decisions' rows, which are their row_id.
        train: reads the typed training part, of which rows stand for a column of a table whose value is
            taken away.
        folder: the dossier.
    """
    plan, at = opened.plan, np.array(places, np.int64)
    if plan.operations.explanations is None:
        return {}
    with deterministic(plan.operations.compute.threads):
        if not isinstance(plan.judgement.data, Tabular):
            told = explain_inputs(opened, at, folder, Budget(EVALUATIONS, SECONDS))
        elif _lacking(opened):
            told = dict.fromkeys(places, Told())
        else:
            context = _context(opened, at, train, folder)
            made = [*explain_by_shap(context), *explain_by_counterfactuals(context)]
            told = {row: Told(sentences=tuple(_sentences(made, row))) for row in places}
        turns = turns_of(opened, at)
    return {
        row: told[row].with_sentence(sentence(turns[row])) if row in turns else told[row] for row in places
    }


def nearest(opened: Opened, rows: Rows, train: Train, folder: Path) -> Counterfactuals | str:
    """What would have turned each of some decisions of a table, or why that can't be said."""
    if because := _lacking(opened):
        return because
    with deterministic(opened.plan.operations.compute.threads):
        (made,) = explain_by_counterfactuals(_context(opened, rows, train, folder))
    assert isinstance(made, Counterfactuals)  # noqa: S101 - it makes nothing else
    return made


def _lacking(opened: Opened) -> str:
    """Why a table's decisions can't be explained, else empty."""
    if opened.plan.operations.explanations is None:
        return "the plan asks for no explanations (operations.explanations), so no nearest one is looked for"
    if opened.plan.recipe.federated is not None:
        return "the rows that a nearest counterfactual is made of stay with their clients"
    return ""


def _context(opened: Opened, at: Rows, train: Train, folder: Path) -> Context:
    """The rows of a table, all of which are explained."""
    plan, rows, size = opened.plan, train(), len(at)
    assert plan.operations.explanations is not None  # noqa: S101 - who calls has looked
    settings = plan.operations.explanations.model_copy(update={"decisions": size, "rows": size})
    described, budget = describe(rows, plan.judgement), Budget(EVALUATIONS, SECONDS)
    context = context_of(rows, described, plan, settings, folder, budget, ())
    return replace(context, frame=opened.frame[at], described=opened.described[at])


def _sentences(made: Sequence[Explanation | Counterfactuals], row_id: int) -> Iterator[str]:
    for one in made:
        if isinstance(one, Counterfactuals):
            if one.reliable:
                yield from (_change(found) for found in one.found if found.row_id == row_id)
        else:
            yield from _weights(one, row_id)


def _weights(explanation: Explanation, row_id: int) -> Iterator[str]:
    single = next((one for one in explanation.singles if one.row_id == row_id), None)
    if single is None:
        return
    if not explanation.reliable:
        yield unreliable(explanation.method)
        return
    strongest = sorted(single.weights.items(), key=lambda item: (-abs(item[1]), item[0]))[:STRONGEST]
    listed = ", ".join(f"{name} {value:+.2f}" for name, value in strongest)
    yield f"{explanation.method}, {explanation.of}: {listed}."


def _change(found: Counterfactual) -> str:
    if found.otherwise is None:
        return "No small change was found that would turn this decision."
    changes = " and ".join(
        f"{one.column} other than it is" if one.to is None else f"{one.column} {one.to}"
        for one in found.changes
    )
    return f"It would be {found.otherwise} with {changes}."
