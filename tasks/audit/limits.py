"""What is judged where nobody said what must hold: conventions, named as such in every output."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tasks.audit.records import Limits
from tasks.errors import PlanError
from tasks.evidence.records import FileRef
from tasks.plan.judgement import Limit
from tasks.plan.limits import read_limits
from tasks.plan.metrics import NUMBERS

ORIGIN = "conventional, not from a plan"
CONVENTIONS = (
    ("demographic_parity_ratio", 0.8, "the four-fifths rule of thumb, 29 CFR 1607.4(D)"),
    ("demographic_parity_difference", 0.1, "a gap of 0.10, as often used"),
    ("equal_opportunity_difference", 0.1, "a gap of 0.10, as often used"),
)
"""Metric, limit and where the convention comes from."""


def limits_for(groups: Sequence[str], file: Path | None) -> Limits:
    """The limits of a file, or the conventional ones for each group attribute.

    Raises:
        PlanError: for a file that can't be read as limits, or limits a predicted number, with every problem.
    """
    if file is None:
        return Limits(limits=tuple(conventional(groups)), file=None)
    limits = read_limits(file, groups)
    if strange := [
        f"[{i}].metric: {limit.metric} is of a predicted number; `assay audit` is of predicted classes"
        for i, limit in enumerate(limits)
        if limit.metric in NUMBERS
    ]:
        raise PlanError(str(file), strange)
    return Limits(limits=limits, file=FileRef.of(file))


def conventional(groups: Sequence[str]) -> list[Limit]:
    """Four-fifths of the selection rate, and 0.10 of selection and true positive rate, for each attribute."""
    return [
        Limit.model_validate(
            {
                "metric": metric,
                "attribute": name,
                "limit": limit,
                "because": f"{ORIGIN}: {why}",
            }
        )
        for name in groups
        for metric, limit, why in CONVENTIONS
    ]
