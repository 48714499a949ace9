"""The least judgement that a plan can state, for tests of one step."""

from typing import Any

from pydantic import TypeAdapter

from tasks.plan.judgement import Judgement


def tiny(columns: dict[str, dict[str, Any]], attribute: str, **changes: Any) -> Judgement:
    """A judgement of one file with these columns, with one limit on an attribute."""
    return TypeAdapter(Judgement).validate_python(
        {
            "data": {
                "kind": "tabular",
                "sources": [{"name": "x.csv", "sha256": "0" * 64, "origins": ["file:x.csv"]}],
                "format": {"type": "csv"},
                "columns": columns,
                "label": {"column": "y", "values": ["0", "1"], "positive": "1"},
            },
            "expectations": {"minimum_rows": {"train": 1, "test": 1}},
            "limits": [{"metric": "demographic_parity_difference", "attribute": attribute, "limit": 0.1}],
            "performance": [{"metric": "accuracy", "minimum": 0.5}],
            **changes,
        }
    )
