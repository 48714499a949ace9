"""docs/metrics.md says what the metric table says."""

from pathlib import Path
from typing import get_args

from tasks.fairness import individual
from tasks.fairness.metrics_page import INDIVIDUAL, METHODS, PAGE, metrics_page
from tasks.fairness.table import EVERY, Method

PROJECT = Path(__file__).parents[2]


def test_the_page_is_the_tables() -> None:
    written = (PROJECT / PAGE).read_text(encoding="utf-8")
    assert written == metrics_page(), "write it again: python -m tasks.fairness.metrics_page"


def test_every_metric_has_one_row_with_as_many_cells_as_the_head() -> None:
    lines = metrics_page().splitlines()
    for name in EVERY:
        (row,) = [line for line in lines if line.startswith(f"| `{name}` |")]
        assert row.replace("\\|", "").count("|") == 8


def test_every_method_and_every_individual_metric_is_explained() -> None:
    assert set(METHODS) == set(get_args(Method))
    for one in INDIVIDUAL:
        assert callable(getattr(individual, one.name.split("`")[1]))
