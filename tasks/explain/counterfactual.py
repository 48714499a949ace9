"""Counterfactuals: the fewest columns that would have had to differ for the decision to be another.

A greedy search over values that many rows have (Wachter et al. 2017 for the question; Karimi et al. 2021, "A
survey of algorithmic recourse", for what may change). It changes one column at a time, then takes back what
was not needed. It knows nothing of how columns hang together (a degree and its years of school), and what it
finds is no advice: it says what the model would have done, not what would have come of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from tasks.explain.context import Context, Made
from tasks.explain.parts import Part, Unexplained
from tasks.explain.records import Change, Check, Counterfactual, Counterfactuals, Recourse
from tasks.explain.shapley import FEWEST, chosen
from tasks.explain.table import Codes, Floats, TableModel, one_of
from tasks.model.columns import Category, Number
from tasks.plan.judgement import Judgement

MOST_CHANGES = 3
LEVELS = 8
"""Values of a column that are tried."""
COMMON = 10
"""Rows that have a category's value before it is tried: no value of a few people is told."""
QUANTILES = np.linspace(0.05, 0.95, LEVELS)
ASKED = 60
"""Decisions asked about for the comparison by group."""


class Option(NamedTuple):
    """A value that a column may be given.

    Attributes:
        column: position in the matrix.
        name: of the column.
        value: as a reader has it.
        code: as the matrix has it.
    """

    column: int
    name: str
    value: str | int | float
    code: float


def immutable_columns(judgement: Judgement, listed: Sequence[str]) -> tuple[str, ...]:
    """Columns that never change: those of protected attributes, personal and unique ones, and the listed."""
    described = judgement.data.described()
    hidden = {name for name, column in described.items() if column.personal or column.unique}
    units = set() if judgement.unit is None else {judgement.unit}
    return tuple(sorted({own.column for own in judgement.protected.values()} | hidden | units | set(listed)))


def options(model: TableModel, rows: pl.DataFrame, immutable: Sequence[str]) -> list[Option]:
    """Values to try: of a category its commonest levels, of a number quantiles to two significant digits.

    Args:
        model: whose columns they are.
        rows: typed rows that they are taken from.
        immutable: columns left out.
    """
    columns: tuple[Category | Number, ...] = (*model.features.categories, *model.features.numbers)
    found: list[Option] = []
    for place, column in enumerate(columns):
        if column.name in immutable or column.hidden:
            continue
        told = _levels(column, rows) if isinstance(column, Category) else _quantiles(column, rows)
        found += [Option(place, column.name, value, code) for value, code in told]
    return found


def _levels(column: Category, rows: pl.DataFrame) -> list[tuple[str | int | float, float]]:
    counts = rows[column.name].cast(pl.String).drop_nulls().value_counts()
    common = sorted(
        ((n, str(level).strip()) for level, n in counts.iter_rows()), key=lambda each: (-each[0], each[1])
    )
    code = {value: float(position) for position, value in enumerate(column.known, start=1)}
    return [(level, code[level]) for n, level in common[:LEVELS] if n >= COMMON and level in code]


def _quantiles(column: Number, rows: pl.DataFrame) -> list[tuple[str | int | float, float]]:
    present = rows[column.name].drop_nulls().to_numpy().astype(np.float64)
    if len(present) < COMMON:
        return []
    rounded = [float(f"{value:.2g}") for value in np.quantile(present, QUANTILES, method="inverted_cdf")]
    inside = [value for value in rounded if present.min() <= value <= present.max()]
    told: list[float | int] = [int(value) if column.integer else value for value in sorted(set(inside))]
    return [(value, (value - column.mean) / column.deviation) for value in told]


def turned(model: TableModel, row: Floats, tried: Sequence[Option]) -> list[Option] | None:
    """The changes that turn a decision, at most `MOST_CHANGES`; None where these values do not turn it.

    Of single changes that turn it the one nearest to the row is taken; while none does, the one that takes
    the decided class furthest down.

    Args:
        model: that decided.
        row: (d,).
        tried: values.
    """
    decided = int(model.decided(row[None])[0])
    taken: dict[int, Option] = {}
    while len(taken) < MOST_CHANGES:
        left = [each for each in tried if each.column not in taken and row[each.column] != each.code]
        if not left:
            return None
        changed = np.repeat(_with(row, taken.values())[None], len(left), axis=0)
        for place, each in enumerate(left):
            changed[place, each.column] = each.code
        turns = model.decided(changed) != decided
        order = _distances(model, row, left) if turns.any() else _held(model, changed, decided)
        best = int(np.where(turns if turns.any() else True, order, np.inf).argmin())
        taken[left[best].column] = left[best]
        if turns.any():
            return _needed(model, row, decided, list(taken.values()))
    return None


def _with(row: Floats, changes: Iterable[Option]) -> Floats:
    changed = row.copy()
    for each in changes:
        changed[each.column] = each.code
    return changed


def _distances(model: TableModel, row: Floats, left: Sequence[Option]) -> Floats:
    """How far each change goes (options,): 1 for a category or a missing number, else standard deviations."""
    categories = len(model.features.categories)
    ways = [1.0 if each.column < categories else abs(each.code - row[each.column]) for each in left]
    return np.asarray(np.nan_to_num(np.array(ways), nan=1.0))


def _held(model: TableModel, rows: Floats, decided: int) -> Floats:
    """How firmly each row (n,) is still given the class decided: its probability, or the signed margin."""
    outputs = model.outputs(rows)
    if outputs.shape[1] > 1:
        return outputs[:, decided]
    return outputs[:, 0] if decided == model.positive else -outputs[:, 0]


def _needed(model: TableModel, row: Floats, decided: int, taken: list[Option]) -> list[Option]:
    """The changes without those that the decision turns without, the earliest tried first."""
    for each in list(taken):
        others = [other for other in taken if other is not each]
        if others and model.decided(_with(row, others)[None])[0] != decided:
            taken = others
    return taken


def confirmed(context: Context, frame: pl.DataFrame, found: Sequence[Counterfactual]) -> Check:
    """Whether the model, given the rows with the values as told, decides as told: through its front door.

    Args:
        context: holds the model.
        frame: the typed rows asked about, with ``row_id``.
        found: of these rows.
    """
    told = [each for each in found if each.otherwise is not None]
    if not told:
        return Check.of("confirmed", None, "at least", 1.0, CONFIRMED)
    rows = pl.concat([_told(frame.filter(pl.col("row_id") == each.row_id), each) for each in told])
    answers = context.predictor.predict(rows)["prediction"].tolist()
    right = sum(str(answer) == each.otherwise for answer, each in zip(answers, told, strict=True))
    return Check.of("confirmed", right / len(told), "at least", 1.0, CONFIRMED)


CONFIRMED = "share of the rows, with the values changed as told, that the served model decides as told"


def _told(row: pl.DataFrame, one: Counterfactual) -> pl.DataFrame:
    changes = [pl.lit(each.to).cast(row.schema[each.column]).alias(each.column) for each in one.changes]
    return row.with_columns(changes)


def explain_by_counterfactuals(context: Context) -> Sequence[Made]:
    """Ask of the first decisions what would have turned them; show those of the plan's number."""
    model = TableModel(context.predictor, context.budget)
    if not model.decides:
        raise Unexplained("a number is predicted: no decision that could have been another")
    before, settings = context.budget.spent, context.settings
    immutable = immutable_columns(context.plan.judgement, settings.immutable)
    tried = options(model, context.background, immutable)
    each = _each(len(tried))
    least = max(FEWEST, settings.decisions)
    count = context.budget.affordable(max(ASKED, least), each, least, of_left=0.5)
    frame = context.frame.head(max(least, count))
    rows = model.matrix(frame)
    decided = model.decided(rows)
    turns = [turned(model, row, tried) for row in rows]
    ids, classes = frame["row_id"].to_list(), model.classes
    found = [_one(model, int(ids[i]), row, classes[decided[i]], turns[i]) for i, row in enumerate(rows)]
    outputs = model.outputs(rows)
    shown = chosen(model, one_of(outputs, outputs.argmax(axis=1)), settings.decisions)
    check = confirmed(context, frame, found)
    context.budget.spend(len(found))
    return [
        Counterfactuals(
            found=tuple(found[at] for at in shown),
            asked=len(found),
            immutable=immutable,
            evaluations=context.budget.spent - before,
            checks=(check,),
            reliable=check.holds,
            by_group=_by_group(model, context.described.head(len(rows)), decided, turns),
        )
    ]


def _one(
    model: TableModel, row_id: int, row: Floats, decided: str, turns: list[Option] | None
) -> Counterfactual:
    if turns is None:
        return Counterfactual(row_id=row_id, decided=decided, otherwise=None)
    otherwise = model.classes[int(model.decided(_with(row, turns)[None])[0])]
    changes = tuple(Change(column=each.name, to=each.value) for each in turns)
    return Counterfactual(row_id=row_id, decided=decided, otherwise=otherwise, changes=changes)


def _by_group(
    model: TableModel, described: pl.DataFrame, decided: Codes, turns: Sequence[list[Option] | None]
) -> tuple[Recourse, ...]:
    """How often and by how many changes decisions turn, in each group: of two classes, the negative ones."""
    asked = decided != model.positive if model.positive is not None else np.ones(len(decided), bool)
    found = []
    for attribute in (name for name in described.columns if name not in ("label", "unit")):
        for level in sorted(described[attribute].unique().to_list()):
            own = [
                turns[i] for i in np.flatnonzero((described[attribute] == level).to_numpy() & asked).tolist()
            ]
            sizes = [len(each) for each in own if each is not None]
            mean = round(float(np.mean(sizes)), 6) if sizes else None
            found.append(
                Recourse(attribute=attribute, group=level, asked=len(own), turned=len(sizes), changes=mean)
            )
    return tuple(found)


def _each(tried: int) -> int:
    """Evaluations of one decision at most: all values at every change, twice, and taking changes back."""
    return 2 * MOST_CHANGES * tried + 3 * MOST_CHANGES + 4


def _least(context: Context) -> int:
    features = len(context.plan.judgement.data.described())
    return max(FEWEST, context.settings.decisions) * _each(features * LEVELS)


COUNTERFACTUALS = Part("counterfactuals", frozenset({"tabular"}), _least, explain_by_counterfactuals)
