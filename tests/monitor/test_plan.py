"""What a plan may say of monitoring."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tasks.plan.monitoring import Monitoring, monitoring_problems
from tasks.plan.operations import Operations
from tests.represent.judgements import tiny

COLUMNS = {"sex": {"type": "category"}, "income": {"type": "integer"}}


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({}, "one of the two"),
        ({"log": "a", "rows": "b"}, "one of the two"),
        ({"rows": "b", "labels": "c"}, "of a log"),
        ({"rows": "b", "window_days": 3}, "of a log"),
        ({"log": "a", "window_days": 0}, "greater than or equal to 1"),
        ({"log": "a", "limit": 0.2}, "Extra inputs are not permitted"),  # limits are the judgement's alone
    ],
)
def test_what_cannot_be_watched_is_refused_with_the_plan(said: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Monitoring.model_validate(said)


def test_raw_files_of_a_plan_that_de_identifies_are_refused() -> None:
    private = tiny(
        COLUMNS, "sex", protected={"sex": {"column": "sex"}}, privacy={"columns": {"income": "token"}}
    )
    (problem,) = monitoring_problems(private, Monitoring(rows="new/*.csv"))
    assert "operations.monitoring.rows" in problem
    assert not list(monitoring_problems(private, Monitoring(log="log/*.csv")))
    plain = tiny(COLUMNS, "sex", protected={"sex": {"column": "sex"}})
    assert not list(monitoring_problems(plain, Monitoring(rows="new/*.csv")))


def test_a_plan_that_watches_nothing_keeps_its_digest() -> None:
    assert "monitoring" not in Operations().model_dump(mode="json")
    watched = Operations(monitoring=Monitoring(log="log/*.csv")).model_dump(mode="json")
    assert watched["monitoring"]["minimum_rows"] == 500
