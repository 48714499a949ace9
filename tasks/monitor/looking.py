"""New rows against the champion's: inputs, whom they represent, answers, and the cube of what has labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from tasks.evaluate.evaluate import count_predictions
from tasks.evaluate.kinds import kind_of
from tasks.evaluate.predictions import read_predictions
from tasks.evaluate.records import CUBE, PREDICTIONS
from tasks.evidence.digest import write_atomically
from tasks.fairness.verdict import Verdict
from tasks.ingest.described import describe
from tasks.model.predictor import rule_in
from tasks.monitor.log import logged_columns
from tasks.monitor.records import Compared
from tasks.plan.base import crossing
from tasks.plan.data import Text
from tasks.plan.judgement import Drift, Judgement
from tasks.plan.source import Column
from tasks.represent.compare import compare, ratio_problems
from tasks.represent.distances import category_distance, number_distance
from tasks.represent.drift import STATISTICS, measure_drift
from tasks.represent.effects import effect_problems
from tasks.represent.records import ColumnDrift, Represented
from tasks.represent.table import JOINER

NO_POPULATION = "whom the new rows represent was not judged: the plan names no reference population"


def compare_rows(
    new: pl.DataFrame, train: pl.DataFrame, judgement: Judgement, dossier: Path, folder: Path, alpha: float
) -> Compared:
    """Compare new rows with what the champion learned from and said.

    Drift is an effect with the plan's limits, no test: it claims no error rate, and ``minimum_rows`` keeps
    what chance does to it small. Ratios and distances from the population are verdicts at ``alpha``.

    Args:
        new: as `tasks.monitor.rows` keeps them.
        train: the champion's training part, typed.
        judgement: of the champion; its limits.
        dossier: of the champion: its predictions of the test part, and its reference population.
        folder: the look's, for the reports.
        alpha: the level of this look.
    """
    own = _watched(judgement)
    drifted = measure_drift(new, train, own, folder)
    share = sum(column.drifted for column in drifted.columns) / max(1, len(drifted.columns))
    answers = tuple(answer_drift(new, read_predictions(dossier / PREDICTIONS, judgement), judgement))
    population = compare(describe(new, judgement), judgement.model_copy(update={"alpha": alpha}), dossier)
    unshown = _unshown(population, judgement, len(new))
    return Compared(
        drift=drifted.columns,
        drifted_share=share,
        predictions=answers,
        ratios=population.ratios,
        effects=population.judged_effects,
        crossed=(
            *broken_rules(new, logged_columns(judgement)),
            *drifted.problems,
            *(_sentence(answer) for answer in answers if answer.drifted),
            *(problem for problem in population.problems if problem not in unshown),
        ),
        open=unshown,
        notes=(
            *drifted.warnings,
            *(population.warnings if judgement.population is not None else (NO_POPULATION,)),
        ),
        reports=drifted.reports,
    )


def count_labelled(new: pl.DataFrame, judgement: Judgement, dossier: Path, folder: Path) -> Path:
    """File the audit cube of the rows whose labels have come, with the champion's own score bins.

    Raises:
        EvidenceError: for predictions or labels that can't be counted.
    """
    known = new.filter(pl.col(judgement.data.label.column).is_not_null())
    edges = rule_in(dossier / "model").score_edges
    cube = count_predictions(known, describe(known, judgement), judgement, edges)
    write_atomically(folder / CUBE, cube.to_json())
    return folder / CUBE


def answer_drift(new: pl.DataFrame, before: pl.DataFrame, judgement: Judgement) -> Iterator[ColumnDrift]:
    """How far the answers are from those of before: classes by their shares, scores and numbers by value.

    Args:
        new: ``prediction`` and, of classes, ``score``.
        before: of the champion's test part, likewise.
        judgement: its drift limits.
    """
    for name in ("prediction", "score"):
        if name not in kind_of(judgement).SCHEMA:
            continue
        pair = before[name], new[name]
        if new[name].dtype == pl.String:
            yield _measured(name, "category", category_distance(*pair), judgement.drift)
        else:
            yield _measured(name, "number", number_distance(*pair), judgement.drift)


def broken_rules(new: pl.DataFrame, columns: Mapping[str, Column]) -> Iterator[str]:
    """Values that the plan does not allow: missing, unknown, too small or too large."""
    for name, column in columns.items():
        values = new[name]
        if not column.nullable and (missing := values.null_count()):
            yield (
                f"{name}: {missing} of {len(values)} new rows hold no {column.type}, and the plan "
                "allows none to be missing"
            )
        strange = 0
        if column.values is not None:
            strange = int((~values.drop_nulls().is_in(column.values)).sum())
        if column.minimum is not None:
            strange += int((values < column.minimum).sum())
        if column.maximum is not None:
            strange += int((values > column.maximum).sum())
        if strange:
            yield f"{name}: {strange} of {len(values)} new rows hold a value that the plan does not allow"


def _watched(judgement: Judgement) -> Judgement:
    """The judgement without the columns that no log holds."""
    kept, data = logged_columns(judgement), judgement.data
    left: dict[str, object] = {
        "columns": {name: column for name, column in data.columns.items() if name in kept}
    }
    if isinstance(data, Text):
        left["frames"] = {}  # of one that is logged there is a digest, which says nothing of drift
    return judgement.model_copy(update={"data": data.model_copy(update=left)})


def _unshown(found: Represented, judgement: Judgement, rows: int) -> tuple[str, ...]:
    """What of the population is neither shown to hold nor to be broken."""
    if judgement.population is None:
        return ()
    gated = {JOINER.join(crossing(name)) for name in judgement.population.attributes}
    ratios = [r for r in found.ratios if r.attribute in gated and r.verdict is Verdict.INCONCLUSIVE]
    effects = [one for one in found.judged_effects if one.verdict is Verdict.INCONCLUSIVE]
    return (*ratio_problems(ratios, judgement.population, rows), *effect_problems(effects))


def _measured(name: str, kind: str, value: float, drift: Drift) -> ColumnDrift:
    limit = drift.maximum_number_distance if kind == "number" else drift.maximum_category_distance
    return ColumnDrift(
        column=name,
        statistic=STATISTICS[kind],
        value=round(value, 12),
        limit=limit,
        drifted=not value < limit,
    )


def _sentence(answer: ColumnDrift) -> str:
    return (
        f"the champion's answers: {answer.column}: {answer.statistic} distance {answer.value:.3f} from its "
        f"test part >= limit {answer.limit:g}"
    )
