"""The representativeness step: population, coverage, labels, proxies, repeats and drift in one record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from tasks.fairness import Cube
from tasks.fairness.coverage import coverage
from tasks.fairness.showable import coverage_warnings
from tasks.plan.judgement import Judgement
from tasks.plan.plan import Plan
from tasks.represent.anonymity import anonymity_warnings
from tasks.represent.compare import compare
from tasks.represent.drift import measure_drift
from tasks.represent.labels import label_bias
from tasks.represent.proxies import find_proxies, proxy_warnings
from tasks.represent.raking import weights_for
from tasks.represent.records import Anonymity, Represented
from tasks.represent.repeats import (
    find_leak,
    find_repeats,
    leak_problems,
    leak_warnings,
    repeat_problems,
    repeat_warnings,
)

__all__ = ["Rows", "represent", "weights_for"]


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows that the step looks at, all in the plan's types.

    Attributes:
        train: the training part: its columns and the label.
        described: the training part as an audit sees it, with its label.
        test: the test part: its columns and the label, which only settles whether equal rows are
            labelled alike.
        before: what drift is measured from; only input columns are read, never the label.
        against: what ``before`` is, in words.
        audits: by name the audit sets, their columns and the label, with their counts by group and label.
        anonymity: of both parts.
    """

    train: pl.DataFrame
    described: pl.DataFrame
    test: pl.DataFrame
    before: pl.DataFrame
    against: str
    audits: Mapping[str, tuple[pl.DataFrame, Cube]] = field(default_factory=dict)
    anonymity: Anonymity | None = None


def represent(rows: Rows, training: Cube, plan: Plan, plan_folder: Path, folder: Path) -> Represented:
    """Judge whom the training part represents, what the parts can show, and whether columns have moved.

    Args:
        rows: of the parts, and of what drift is measured from.
        training: counts of the training part by group and label.
        plan: its judgement sets every limit.
        plan_folder: holds the reference population.
        folder: the run's folder, for the reports.

    Returns:
        the record; any of its problems ends the run as Refused.

    Raises:
        SourceError: the reference is absent or has other bytes than the plan pins.
        Refusal: the reference can't be read as counts.
    """
    judgement = plan.gate  # whose limits say what the test set must show
    compared = compare(rows.described, judgement, plan_folder)
    looked = _look(rows, training, judgement)
    drifted = measure_drift(rows.train, rows.before, judgement, folder)
    return compared.model_copy(
        update={
            "coverage": looked.coverage,
            "proxies": looked.proxies,
            "repeats": looked.repeats,
            "leaks": looked.leaks,
            "label_bias": looked.label_bias,
            "anonymity": rows.anonymity,
            "drift": drifted.columns,
            "drift_against": rows.against,
            "warnings": (*compared.warnings, *looked.warnings, *drifted.warnings),
            "problems": (*compared.problems, *looked.problems, *drifted.problems),
            "reports": drifted.reports,
        }
    )


def _look(rows: Rows, training: Cube, judgement: Judgement) -> Represented:
    """What needs neither a population nor another version."""
    covered = coverage(training, rows.test.height, judgement)
    for on, (frame, counts) in rows.audits.items():
        # Fixed before any model: the set's own labels say what each of its groups brings.
        covered += coverage(counts, frame.height, judgement.sets[on], on)
    proxies = find_proxies(rows.train, rows.described, judgement)
    repeats = find_repeats(rows.train, rows.test, judgement)
    leaks = tuple(find_leak(on, rows.train, frame, judgement) for on, (frame, _) in rows.audits.items())
    repeated = [*repeat_warnings(repeats), *(line for leak in leaks for line in leak_warnings(leak))]
    hidden = anonymity_warnings(rows.anonymity, judgement)
    warnings = (*coverage_warnings(covered), *proxy_warnings(proxies), *repeated, *hidden)
    return Represented(
        ratios=(),
        effects={},
        raked=None,
        drift=(),
        drift_against="nothing",
        warnings=warnings,
        problems=(*repeat_problems(repeats), *(line for leak in leaks for line in leak_problems(leak))),
        coverage=covered,
        proxies=proxies,
        repeats=repeats,
        leaks=leaks,
        label_bias=label_bias(training),
    )
