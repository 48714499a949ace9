"""Audit a table of labels, predictions and groups: count it, judge it, and say what was done."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tasks.audit.counting import count_file
from tasks.audit.laws import law_tables
from tasks.audit.limits import limits_for
from tasks.audit.records import Audit, Columns, Limits, Versions
from tasks.errors import PlanError
from tasks.evidence.records import FileRef
from tasks.fairness.cube import Cube
from tasks.fairness.gate import judge
from tasks.fairness.quantities import Score
from tasks.fairness.table import METRICS
from tasks.fairness.verdict import Judged
from tasks.plan.judgement import Limit

LARGEST_ALPHA = 0.1


@dataclass(frozen=True)
class Asked:
    """What a person asks of an audit.

    Attributes:
        file: CSV or Parquet.
        columns: which column is what.
        positive: the class whose rates are compared, in any spelling.
        limits: a YAML file of limits; None for the conventional ones.
        alpha: the level, in (0, 0.1].
    """

    file: Path
    columns: Columns
    positive: str | None = None
    limits: Path | None = None
    alpha: float = 0.05


def audit(asked: Asked) -> Audit:
    """Count and judge a file.

    Raises:
        PlanError: with every problem of the question, the file, its columns or the limits.
    """
    limits, problems = _limits(asked)
    if limits is not None and asked.columns.score is None:
        problems += _scoreless(limits)
    if not 0 < asked.alpha <= LARGEST_ALPHA:
        problems.append(
            f"--alpha: a level above 0 and at most {LARGEST_ALPHA} is expected, found {asked.alpha:g}"
        )
    with ThreadPoolExecutor(1) as beside:  # hashing leaves the interpreter free to count
        try:
            digested = beside.submit(FileRef.of, asked.file) if asked.file.is_file() else None
            needed = limits is not None and not all(map(_of_all_classes, limits.limits))
            counted = count_file(asked.file, asked.columns, asked.positive, needed=needed)
        except PlanError as error:
            problems += error.problems
        if problems or limits is None or digested is None:
            raise PlanError(f"assay audit {asked.file}", problems)
        judged = judged_all(counted.cube, limits, asked.alpha)
        return Audit(
            file=digested.result(),
            rows=counted.cube.rows,
            columns=asked.columns,
            positive=counted.cube.positive,
            notes=counted.notes,
            limits=limits,
            alpha=asked.alpha,
            cube=json.loads(counted.cube.to_json()),
            judged=judged,
            laws=law_tables(counted.cube, asked.columns.groups),
            made_by=Versions.here(),
        )


def judged_all(cube: Cube, limits: Limits, alpha: float) -> tuple[Judged, ...]:
    """Judge all limits together.

    Raises:
        PlanError: for limits that these counts can't answer, such as AUC without a score.
    """
    try:
        return tuple(judge(cube, limits.limits, alpha))
    except ValueError as error:
        raise PlanError("assay audit", [str(error)]) from error


def _scoreless(limits: Limits) -> Iterator[str]:
    """Limits on the score, which was not named."""
    for name in dict.fromkeys(limit.metric for limit in limits.limits):
        if any(isinstance(quantity, Score) for quantity in METRICS[name].quantities):
            yield f"--score must name the column of the positive class's probability: {name} is of the score"


def _of_all_classes(limit: Limit) -> bool:
    """Whether a limit needs no positive class: shares of right rows, means over classes."""
    return limit.metric.startswith(("accuracy_", "macro_"))


def _limits(asked: Asked) -> tuple[Limits | None, list[str]]:
    try:
        return limits_for(asked.columns.groups, asked.limits), []
    except PlanError as error:
        return None, [f"{error.where}: {problem}" for problem in error.problems]
