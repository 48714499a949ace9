"""The representativeness step: population, raking and drift in one record."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from tasks.plan.plan import Plan
from tasks.represent.compare import compare
from tasks.represent.drift import measure_drift
from tasks.represent.raking import weights_for
from tasks.represent.records import Represented

__all__ = ["represent", "weights_for"]


def represent(
    train_described: pl.DataFrame,
    train_frame: pl.DataFrame,
    compare_frame: pl.DataFrame,
    against: str,
    plan: Plan,
    plan_folder: Path,
    folder: Path,
) -> Represented:
    """Judge whom the training part represents and whether its columns have moved.

    Args:
        train_described: the training part's described table.
        train_frame: the training part's columns.
        compare_frame: what drift is measured from; only input columns are read, never the label.
        against: what ``compare_frame`` is, in words.
        plan: its judgement sets every limit.
        plan_folder: holds the reference population.
        folder: the run's folder, for the reports.

    Returns:
        the record; any of its problems ends the run as Refused.

    Raises:
        SourceError: the reference is absent or has other bytes than the plan pins.
        Refusal: the reference can't be read as counts.
    """
    represented = compare(train_described, plan.judgement, plan_folder)
    drifted = measure_drift(train_frame, compare_frame, plan.judgement, folder)
    return represented.model_copy(
        update={
            "drift": drifted.columns,
            "drift_against": against,
            "warnings": (*represented.warnings, *drifted.warnings),
            "problems": (*represented.problems, *drifted.problems),
            "reports": drifted.reports,
        }
    )
