"""What is kept of test rows, whatever the label is: read from cube.json, and judged."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from tasks.fairness.cube import Cube
from tasks.fairness.gate import Case, cases_of, judge_cases
from tasks.fairness.regression_cube import KIND, RegressionCube
from tasks.fairness.regression_gate import regression_cases
from tasks.fairness.verdict import Judged
from tasks.plan.judgement import TEST, Judgement

Counts: TypeAlias = Cube | RegressionCube
"""Enough of the test rows to judge every limit again."""

READERS: Mapping[str | None, Callable[[bytes], Counts]] = MappingProxyType(
    {None: Cube.from_json, KIND: RegressionCube.from_json}
)
CASES: Mapping[type, Callable[..., list[Case]]] = MappingProxyType(
    {Cube: cases_of, RegressionCube: regression_cases}
)


def read_counts(content: bytes) -> Counts:
    """Read cube.json of either kind of label.

    Raises:
        ValueError: for content that is neither.
    """
    value: Any = json.loads(content)
    kind = value.get("kind") if isinstance(value, dict) else None
    if kind not in READERS:
        raise ValueError(f"a cube of classes or of kind {KIND!r} is expected, found {kind!r}")
    return READERS[kind](content)


def judge_sets(
    counts: Mapping[str, Counts], training: Cube | None, judgement: Judgement, alpha: float
) -> list[Judged]:
    """Judge the limits of every set of rows together; see `tasks.fairness.gate` and its like for numbers.

    All comparisons, of the test part and of the audit sets, share the error rate of FAIL.

    Args:
        counts: what is kept of each set.
        training: counts of the training part, which settle which groups of the test part are judged; of an
            audit set all are.
        judgement: of the plan, which has a judgement for each set.
        alpha: the level in force.

    Returns:
        One record a limit: those of the test part, then those of each audit set, in the plan's order.
    """
    cases = [
        (on, case)
        for on, own in judgement.sets.items()
        for case in CASES[type(counts[on])](
            counts[on], own.limits, own.too_small, training if on == TEST else None
        )
    ]
    judged = judge_cases([case for _, case in cases], alpha)
    return [_judged_on(on, one) for (on, _), one in zip(cases, judged, strict=True)]


def _judged_on(on: str, one: Judged) -> Judged:
    if on == TEST:
        return one
    return one.model_copy(update={"on": on, "sentence": f"on {on}, {one.sentence}"})
