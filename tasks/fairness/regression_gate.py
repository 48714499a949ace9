"""The gate of a regression: limits on means, errors and distributions by group.

PASS and FAIL have the same meaning and error rates as for classes (`tasks.fairness.gate`). The
limits that they follow from hold for any numbers in the label's range, so no verdict rests on a simulation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tasks.fairness.columns import natural_order
from tasks.fairness.counted import count_groups
from tasks.fairness.cube import Cube
from tasks.fairness.gate import Case, judge_cases, require_of, tables_of
from tasks.fairness.regression_cube import RegressionCube
from tasks.fairness.regression_quantities import Summed
from tasks.fairness.table import NUMBERS
from tasks.fairness.verdict import Judged
from tasks.plan.base import crossing
from tasks.plan.judgement import Limit, TooSmall
from tasks.plan.limits import parse_limits


def judge_regression(
    cube: RegressionCube,
    limits: Sequence[Limit | Mapping[str, Any]],
    alpha: float = 0.05,
    too_small: TooSmall | None = None,
    training_counts: Cube | None = None,
) -> list[Judged]:
    """Judge limits on a predicted number together; one record each, in their order.

    Args:
        cube: the test part.
        limits: as the plan has them, or as it writes them.
        alpha: the level in force, in (0, 1).
        too_small: the plan's policy for small groups; by default they make a limit INCONCLUSIVE.
        training_counts: rows of the training part by group, from which `too_small: report` settles which
            groups are judged; without it every group is.

    Raises:
        ValueError: for a metric of classes, an attribute that the cube lacks or that has fewer than two
            levels, or a level that is none.
    """
    return judge_cases(regression_cases(cube, limits, too_small, training_counts), alpha)


def regression_cases(
    cube: RegressionCube,
    limits: Sequence[Limit | Mapping[str, Any]],
    too_small: TooSmall | None = None,
    training_counts: Cube | None = None,
) -> list[Case]:
    """The limits with what they compare, as `judge_regression` takes them.

    Raises:
        ValueError: as `judge_regression`.
    """
    wanted = parse_limits(limits)
    require_of(NUMBERS, wanted, "of classes, this is a predicted number")
    if absent := sorted({limit.attribute for limit in wanted} - set(cube.tables)):
        raise ValueError(f"the cube has tables by {', '.join(cube.tables)}, none by {', '.join(absent)}")
    policy = too_small or TooSmall()
    names = dict.fromkeys(limit.attribute for limit in wanted)
    summed = {name: _summed(cube, name, policy, training_counts) for name in names}
    metrics = ((limit, NUMBERS[limit.metric]) for limit in wanted)
    return [Case(limit, metric, tables_of(metric, summed[limit.attribute])) for limit, metric in metrics]


def _summed(cube: RegressionCube, attribute: str, policy: TooSmall, training: Cube | None) -> Summed:
    """An attribute's table with the levels of both parts, and whom the training part lets be judged."""
    table, counts = cube.tables[attribute], _counts(training, attribute)
    table = table.widened(sorted({*table.levels, *counts}, key=natural_order))
    if len(table.levels) < 2:
        raise ValueError(f"{attribute}: at least two groups are compared, found {', '.join(table.levels)}")
    if training is None or policy.policy == "inconclusive":
        return Summed(table, np.ones(len(table.levels), bool))
    scale = cube.rows / max(1, training.rows)
    expected = np.array([counts.get(level, 0) * scale for level in table.levels])
    return Summed(table, expected >= policy.smallest_denominator)


def _counts(training: Cube | None, attribute: str) -> dict[str, int]:
    if training is None:
        return {}
    counted = count_groups(training, crossing(attribute), TooSmall(), None)
    return dict(zip(counted.names, counted.rows.tolist(), strict=True))
