"""Audit sets from their sources to checked parts: divided off, validated, and compared with training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tasks.errors import Refusal, SourceAltered
from tasks.ingest.parts import read_part
from tasks.ingest.pin import pin
from tasks.represent.repeats import find_leak, leak_problems, leak_warnings
from tasks.validate.validate import validate

from .conftest import DOCUMENT, Small, rows, sha256

HEADER = "age,job,score,sex,town,pay"
ROWS = [
    f"{line.rpartition(',')[0]},{'NS'[i % 2]},{('little', 'much')[i // 2 % 2]}"
    for i, line in enumerate(rows(40, start=200))
]


def add(small: Small, lines: list[str] = ROWS, **values: Any) -> Path:
    """Give the plan an audit set with these rows."""
    content = "".join(f"{line}\n" for line in [HEADER, *lines]).encode()
    origin = small.top / "origin" / "town.csv"
    origin.parent.mkdir(exist_ok=True)
    origin.write_bytes(content)
    data = DOCUMENT["judgement"]["data"]
    source = {"name": "town.csv", "sha256": sha256(content), "origins": [origin.as_uri()]}
    columns = {**data["columns"], "town": {"type": "category", "values": ["N", "S"]}}
    label = {"column": "pay", "values": ["little", "much"], "positive": "much"}
    small.document["judgement"]["audits"] = {
        "towns": {
            "data": {**data, "sources": [source], "columns": columns, "label": label},
            "answers": {"low": "little", "high": "much"},
            "protected": {"town": {"column": "town"}},
            "limits": [{"metric": "accuracy_difference", "attribute": "town", "limit": 0.2}],
            **values,
        }
    }
    return origin


def test_a_set_is_fetched_pinned_and_read_like_a_part(small: Small) -> None:
    add(small)
    plan = small.plan()
    before = pin(plan, small.top)
    assert before.audits["towns"].rows == 40
    assert before.audits["towns"].file.path == "data/small/prepared/audit-towns.parquet"
    frame = read_part(before, "towns", plan.judgement.sets["towns"])
    assert (frame["pay"].unique().sort().to_list(), frame.schema["age"]) == (["little", "much"], pl.Int64)
    path = small.folder / "prepared" / "audit-towns.parquet"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(SourceAltered, match="audit-towns"):
        read_part(before, "towns", plan.judgement.sets["towns"])
    assert "towns" in before.rows


def test_a_new_limit_fetches_nothing_again(small: Small) -> None:
    origin = add(small)
    first = pin(small.plan(), small.top)
    origin.unlink()
    small.document["judgement"]["audits"]["towns"]["minimum_rows"] = 20
    assert pin(small.plan(), small.top).digest == first.digest


def test_only_wanted_rows_are_judged_on(small: Small) -> None:
    add(small, where={"town": ["N"]})
    plan, dataset = small.dataset()
    frame = read_part(dataset, "towns", plan.judgement.sets["towns"])
    assert frame["town"].unique().to_list() == ["N"]
    assert frame["row_id"].to_list() == list(range(20))
    add(small, where={"town": ["W"]})
    with pytest.raises(Refusal, match="audit set towns: none of 40 rows"):
        small.dataset()


def test_good_rows_keep_every_rule(small: Small) -> None:
    add(small, minimum_rows=40)
    plan, dataset = small.dataset()
    found = validate(dataset, plan, small.folder)
    assert found.problems == ()
    ours = [e.rule for e in found.expectations if e.part == "towns"]
    assert "at least two groups by town" in ours
    assert "only values that the rows to fit have" in ours
    assert "Audit set towns" in (small.folder / "validation.html").read_text()


@pytest.mark.parametrize(
    ("lines", "values", "told"),
    [
        (ROWS, {"minimum_rows": 41}, "audit set towns: expected at least 41 rows, found 40"),
        (ROWS[::2], {}, "audit set towns, column town: expected at least two groups by town"),
        ([*ROWS, "30,Clerk,7.5,F,N,rich"], {}, "expected one of the classes little, much"),
        ([*ROWS, "30,Smith,7.5,F,N,much"], {}, "column job: expected"),
        ([line for line in ROWS if "much" not in line], {}, "expected every class occurs"),
    ],
)
def test_bad_rows_are_refused_with_their_set(
    small: Small, lines: list[str], values: dict[str, Any], told: str
) -> None:
    add(small, lines, **values)
    plan, dataset = small.dataset()
    problems = validate(dataset, plan, small.folder).problems
    assert any(told in problem for problem in problems), problems


def test_rows_that_training_has_are_counted(small: Small) -> None:
    known = f"{rows(60)[0].rpartition(',')[0]},N,much"
    add(small, [*ROWS, known])
    small.document["judgement"]["expectations"]["maximum_leakage_share"] = 0.01
    plan, dataset = small.dataset()
    train = read_part(dataset, "train", plan.judgement)
    found = find_leak(
        "towns", train, read_part(dataset, "towns", plan.judgement.sets["towns"]), plan.judgement
    )
    assert (found.rows, found.leaked) == (41, 1)
    assert leak_warnings(found)
    assert "1 of 41 rows of audit set towns (2.44%)" in leak_problems(found)[0]
