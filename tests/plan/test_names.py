"""Columns that a judgement names must be there, and be what they are named for."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tasks.errors import PlanError
from tests.ingest.conftest import DOCUMENT, parsed

RECORDINGS: dict[str, Any] = {
    "kind": "audio",
    "rate": 8000,
    "label": {"column": "digit", "values": ["0", "1"], "positive": "1"},
    "format": {"type": "files", "pattern": r"(?P<digit>\d)_(?P<loudness>[a-z]+)\.wav$"},
    "columns": {"form": {"type": "category"}},
}


def document(**judgement: Any) -> dict[str, Any]:
    made = copy.deepcopy(DOCUMENT)
    made["judgement"] |= judgement
    origin = {"name": "rows.csv", "sha256": "0" * 64, "origins": ["file:rows.csv"]}
    made["judgement"]["data"]["sources"] = [origin]
    made["judgement"]["test_set"] = {"fraction": 0.3}
    return made


def test_a_nullable_unit_is_refused_with_the_way_out() -> None:
    with pytest.raises(
        PlanError, match=r"judgement\.unit: column 'job' is `nullable`.*unit of its own"
    ) as caught:
        parsed(document(unit="job"))
    assert len(caught.value.problems) == 1
    parsed(document(unit="score"))


def test_a_column_may_not_stand_in_place_of_what_is_measured() -> None:
    """A recording that can't be read would pass as one that a path or a sidecar calls sound."""
    wanted = document(data=copy.deepcopy(RECORDINGS), protected={}, limits=[])
    wanted["judgement"]["limits"] = [{"metric": "accuracy_difference", "attribute": "label", "limit": 0.1}]
    wanted["recipe"]["model"] = {"kind": "cnn"}
    with pytest.raises(PlanError) as caught:
        parsed(wanted)
    for name, problem in zip(("form", "loudness"), caught.value.problems, strict=True):
        assert problem.startswith(f"judgement.data: {name!r} is what is read or measured of each sample")
