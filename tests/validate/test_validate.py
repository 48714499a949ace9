"""Validation: good data passes, and each bad input is refused with a sentence that can be acted on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from tasks.errors import Refusal
from tasks.ingest.division import validation_rows
from tasks.ingest.parts import read_part
from tasks.validate import validate as room
from tasks.validate.records import Validated
from tasks.validate.validate import validate
from tests.ingest.conftest import HEADER, Small, rows, small

__all__ = ["small"]  # the fixture of ingest's tests


def judged(data: Small) -> Validated:
    plan, dataset = data.dataset()
    return validate(dataset, plan, data.top / "run")


def changed(lines: list[str], index: int, **values: str) -> list[str]:
    """One row with other values."""
    fields = dict(zip(HEADER.split(","), lines[index].split(","), strict=True)) | values
    return [*lines[:index], ",".join(fields.values()), *lines[index + 1 :]]


def test_good_data_keeps_every_rule(small: Small) -> None:
    found = judged(small)
    assert found.problems == ()
    assert len(found.expectations) > 30
    assert {e.column for e in found.expectations} >= {*HEADER.split(","), None}
    assert all(e.met for e in found.expectations)


def test_the_true_classes_are_groups_too(small: Small) -> None:
    for attribute in ("label", "sex x label"):
        limit = {"metric": "accuracy_difference", "attribute": attribute, "limit": 0.3}
        small.document["judgement"]["limits"].append(limit)
    found = judged(small)
    assert found.problems == ()
    rules = {e.rule for e in found.expectations}
    assert {"at least two groups by label", "at least two groups by sex x label"} <= rules


BAD: dict[str, tuple[Callable[[Small], None], str]] = {
    "missing column": (
        lambda s: s.put("train", [row.partition(",")[2] for row in rows(60)], "job,score,sex,income"),
        "train part: expected every declared column and no other, found missing: age (protected",
    ),
    "protected attribute absent": (
        lambda s: s.put(
            "test",
            [",".join(r.split(",")[:3] + r.split(",")[4:]) for r in rows(30, 60)],
            "age,job,score,income",
        ),
        "test part: expected every declared column and no other, found missing: sex (protected",
    ),
    "extra column": (
        lambda s: s.put("test", [f"{row},1" for row in rows(30, 60)], f"{HEADER},more"),
        "test part: expected every declared column and no other, found extra: more",
    ),
    "wrong type": (
        lambda s: s.put("train", changed(rows(60), 7, age="forty")),
        "train part, column age: expected whole numbers, found 1 of 60 rows break it: 'wrong type' (rows 7)",
    ),
    "fraction in whole numbers": (
        lambda s: s.put("train", changed(rows(60), 7, age="40.5")),
        "train part, column age: expected whole numbers, found 1 of 60 rows break it: 'wrong type' (rows 7)",
    ),
    "NaN": (
        lambda s: s.put("train", changed(rows(60), 3, score="NaN")),
        "train part, column score: expected finite numbers, found 1 of 60 rows break it: 'not finite' (row",
    ),
    "infinity": (
        lambda s: s.put("test", changed(rows(30, 60), 4, score="-inf")),
        "test part, column score: expected finite numbers, found 1 of 30 rows break it: 'not finite' (row",
    ),
    "out of range": (
        lambda s: s.put("train", changed(rows(60), 9, age="91")),
        "train part, column age: expected at least 17 and at most 90, found 1 of 60 rows break it (rows 9)",
    ),
    "undeclared value": (
        lambda s: s.put("train", changed(rows(60), 5, job="Thief")),
        "train part, column job: expected one of the 2 declared values, found 1 of 60 rows break it: 'Thief'",
    ),
    "missing value": (
        lambda s: s.put("train", changed(rows(60), 5, sex="")),
        "train part, column sex: expected never missing, found 1 of 60 rows break it (rows 5)",
    ),
    "too many missing": (
        lambda s: s.put("train", [row.replace("Clerk", "?") for row in rows(60)]),
        "train part, column job: expected at most 10.00% missing",
    ),
    "undeclared label": (
        lambda s: s.put("test", changed(rows(30, 60), 2, income="middling")),
        "test part, column income: expected one of the classes low, high, found 1 of 30 rows break it: 'midd",
    ),
    "one class": (
        lambda s: s.put("test", [row.replace("high", "low") for row in rows(30, 60)]),
        "test part, column income: expected every class occurs, found no row is high",
    ),
    "one level": (
        lambda s: s.put("train", [row.replace(",M,", ",F,") for row in rows(60)]),
        "train part, column sex: expected at least two groups by sex, found 1",
    ),
    "unseen group": (
        lambda s: s.put(
            "train", [row.replace(",M,", ",F,") if int(row[:2]) > 64 else row for row in rows(60)]
        ),
        "test part, column sex, age: expected only groups by sex x age_band that training has seen, found",
    ),
    "unseen category": (
        lambda s: (
            s.document["judgement"]["data"]["columns"]["job"].pop("values"),
            s.put("test", changed(rows(30, 60), 4, job="Smith")),
        ),
        "test part, column job: expected only values that the rows to fit have, found 1 of 30 rows break it",
    ),
    "missing only in the test part": (
        lambda s: s.put("train", [row.replace("?", "Clerk") for row in rows(60)]),
        "test part, column job: expected never missing, as in the rows to fit, found 1 of 30 rows break it",
    ),
    "too few rows": (
        lambda s: s.put("train", rows(19)),
        "train part: expected at least 20 rows, found 19",
    ),
    "only a header": (lambda s: s.put("test", []), "test part: expected at least 10 rows, found 0"),
    "a blank line": (lambda s: s.put_bytes("test", b"\n"), "test part: expected at least 10 rows, found 0"),
    "duplicates": (
        lambda s: s.put("train", rows(20) * 3),
        "train part: expected at most 20.00% duplicated rows, found",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_with_both_sides_and_the_place(small: Small, case: str) -> None:
    spoil, sentence = BAD[case]
    spoil(small)
    problems = judged(small).problems
    assert any(problem.startswith(sentence) for problem in problems), problems


@pytest.mark.parametrize("declared", [["Clerk", "Baker"], ["Clerk", "Baker", "Caf\ufffd"]])
def test_values_whose_bytes_were_lost_are_refused_with_rows_column_and_remedy(
    small: Small, declared: list[str]
) -> None:
    """Else two categories would be one, even of a plan that lists what came of them."""
    small.document["judgement"]["data"]["columns"]["job"]["values"] = declared
    small.document["recipe"]["features"] = {"exclude": ["job"]}
    lines = changed(changed(changed(rows(60), 3, job="Caf#"), 5, job="Caf~"), 7, age="91")
    content = "\n".join([HEADER, *lines]).encode().replace(b"#", b"\xe9").replace(b"~", b"\xe8")
    small.put_bytes("train", content)
    age, job = sorted(judged(small).problems)
    assert "column age: expected at least 17" in age
    rule = (
        "one of the 2 declared values"
        if declared == ["Clerk", "Baker"]
        else "no U+FFFD, the sign of lost bytes"
    )
    assert job.startswith(
        f"train part, column job: expected {rule}, found 2 of 60 rows break it: 'Caf\ufffd' (rows 3, 5); "
    )
    assert "convert the file from the encoding that it has" in job


def test_all_problems_come_at_once(small: Small) -> None:
    small.put("train", changed(changed(rows(60), 3, age="x"), 4, job="Thief", income="?"))
    small.put("test", [], f"{HEADER},more")
    assert len(judged(small).problems) >= 5


def test_values_of_personal_and_protected_columns_are_never_shown(small: Small) -> None:
    small.put("train", changed(rows(60), 3, sex="SECRET1", score="SECRET2", age="SECRET3", job="Thief"))
    found = judged(small)
    text = found.model_dump_json() + (small.top / "run" / "validation.html").read_text()
    assert "SECRET" not in text
    assert "Thief" in text
    assert len(found.problems) >= 4


@pytest.mark.parametrize("marked", ["protected", "personal"])
def test_unseen_value_of_a_personal_or_protected_column_is_counted_and_not_shown(
    small: Small, marked: str
) -> None:
    column, where = ("sex", "group") if marked == "protected" else ("job", "value")
    columns = small.document["judgement"]["data"]["columns"]
    columns[column].pop("values")
    columns["job"]["personal"] = True
    small.put("test", changed(rows(30, 60), 5, **{column: "SECRET"}))
    found = judged(small)
    assert "SECRET" not in found.model_dump_json()
    assert any(
        problem.startswith(f"test part, column {column}: expected only {where}s")
        and "found 1 of 30 rows break it (rows 5); add training rows" in problem
        for problem in found.problems
    ), found.problems


def test_unseen_value_comes_with_a_remedy(small: Small) -> None:
    small.document["judgement"]["data"]["columns"]["job"].pop("values")
    small.put("test", changed(rows(30, 60), 4, job="Smith"))
    (problem,) = judged(small).problems
    assert "'Smith' (rows 4); add training rows that have it, replace it in the source" in problem
    assert problem.endswith("or name the column in recipe.features.exclude")


def test_value_that_only_validation_rows_have_is_refused_before_training(small: Small) -> None:
    """No encoder learns it: the opened test part would find out, after the training."""
    small.document["judgement"]["data"]["columns"]["job"]["values"].append("Smith")
    train, test = rows(60), changed(rows(30, 60), 4, job="Smith")
    small.put("test", test)
    told = {True: 0, False: 0}
    for position in range(0, 60, 3):
        small.put("train", changed(train, position, job="Smith"))
        plan, dataset = small.dataset()
        frame = read_part(dataset, "train", plan.judgement)
        split = plan.recipe.split
        held = validation_rows(frame["row_digest"], split.validation, plan.recipe.seed)[position]
        if told[bool(held)] < 1:
            told[bool(held)] += 1
            problems = validate(dataset, plan, small.top / "run").problems
            assert any("rows to fit" in problem for problem in problems) == bool(held)
    assert all(told.values())


def test_column_that_the_model_does_not_take_may_hold_new_values(small: Small) -> None:
    small.document["judgement"]["data"]["columns"]["job"].pop("values")
    small.document["recipe"]["features"] = {"exclude": ["job"]}
    small.put("test", changed(rows(30, 60), 4, job="Smith"))
    assert judged(small).problems == ()


def test_a_value_of_a_wrong_type_is_one_problem_and_not_missing(small: Small) -> None:
    small.put("train", changed(changed(rows(60), 3, age="thirty"), 4, age=""))
    wrong, missing = sorted(judged(small).problems, reverse=True)
    assert wrong.endswith("age: expected whole numbers, found 1 of 60 rows break it: 'wrong type' (rows 3)")
    assert missing.endswith("age: expected never missing, found 1 of 60 rows break it: 'missing' (rows 4)")


def test_failing_rows_are_counted_and_the_first_twenty_named(small: Small) -> None:
    small.put("train", [row.replace("Clerk", "Thief") for row in rows(60)])
    broken = next(e for e in judged(small).expectations if e.rule.startswith("one of the 2") and not e.met)
    assert len(broken.failing_rows) == 20
    assert broken.found == "58 of 60 rows break it: 'Thief'"


def test_personal_unit_in_both_parts_is_refused(small: Small) -> None:
    small.document["judgement"]["unit"] = "score"
    small.put("test", changed(rows(30, 60), 2, score="5.25"))
    problems = judged(small).problems
    expected = (
        "test part, column score: expected no unit of the training part, found 1 of 30 rows break it (rows 2)"
    )
    assert expected in problems


def test_a_unit_in_both_parts_is_found_however_its_number_is_spelled(small: Small) -> None:
    small.document["judgement"]["unit"] = "who"
    small.document["judgement"]["data"]["columns"]["who"] = {"type": "integer"}
    small.put("train", [f"{row},{who}" for who, row in enumerate(rows(60))], f"{HEADER},who")
    tested = [f"{row},{'007' if who == 62 else who}" for who, row in enumerate(rows(30, 60), start=60)]
    small.put("test", tested, f"{HEADER},who")
    expected = "column who: expected no unit of the training part, found 1 of 30 rows break it (rows 2)"
    assert judged(small).problems == (f"test part, {expected}",)


def test_below_the_first_band_is_refused(small: Small) -> None:
    small.document["judgement"]["data"]["columns"]["age"].pop("minimum")
    small.put("train", changed(rows(60), 2, age="12"))
    assert any("not below 17, the first band of age_band" in problem for problem in judged(small).problems)


def test_unique_column_is_checked(small: Small) -> None:
    small.document["judgement"]["data"]["columns"]["score"]["unique"] = True
    assert judged(small).problems == ()
    small.put("train", changed(rows(60), 2, score="0.25"))
    assert any("no value twice" in problem for problem in judged(small).problems)


def test_rule_that_was_not_evaluated_is_no_pass(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    import great_expectations.expectations as gxe

    lost = gxe.ExpectColumnValuesToNotBeNull(column="nowhere", meta={"rule": "is there", "column": "nowhere"})
    monkeypatch.setattr(room, "rules_of", lambda *_: [lost])
    with pytest.raises(Refusal, match="not: nowhere is there"):
        judged(small)


def test_empty_suite_is_no_pass(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "rules_of", lambda *_: [])
    with pytest.raises(Refusal, match="0 of 0 rules"):
        judged(small)


def test_page_is_self_contained_escaped_and_the_same_every_time(small: Small) -> None:
    small.put("train", changed(rows(60), 3, job="<script>x</script>"))
    first = judged(small)
    page = small.top / "run" / "validation.html"
    text = page.read_text()
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert first.reports[0].path == "validation.html"
    content = page.read_bytes()
    assert judged(small) == first
    assert page.read_bytes() == content


def test_parquet_with_true_numbers_is_judged_alike(small: Small) -> None:
    small.document["judgement"]["data"]["format"] = {"type": "parquet"}
    small.files.clear()
    for part, lines in (("train", rows(60)), ("test", rows(30, 60))):
        table = pl.DataFrame([row.split(",") for row in lines], schema=HEADER.split(","), orient="row")
        typed = table.with_columns(
            pl.col("age").cast(pl.Int64), pl.col("score").cast(pl.Float64), pl.col("job").replace("?", None)
        )
        path = small.top / f"{part}.parquet"
        typed.write_parquet(path)
        small.put_bytes(part, path.read_bytes(), "parquet")
    assert judged(small).problems == ()
    typed = typed.with_columns(
        score=pl.when(pl.int_range(pl.len()) == 3).then(float("nan")).otherwise("score")
    )
    typed.write_parquet(path)
    small.put_bytes("test", path.read_bytes(), "parquet")
    assert [problem for problem in judged(small).problems if "finite numbers" in problem]


def test_adult_keeps_every_rule(mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.ingest.rebuild import fetch_parts
    from tasks.plan.load import load_plan

    plan = load_plan("adult", Path(__file__).parents[2] / "data")
    dataset = fetch_parts(plan, tmp_path, mirror)
    found = validate(dataset, plan, tmp_path / "run")
    assert found.problems == ()
    # adult.names: 52 exact duplicates in the whole; 24 and 5 within the parts, as counted by hand.
    duplicates = [e.found for e in found.expectations if "duplicated" in e.rule]
    assert duplicates == [f"{24 / 32561:.2%} of rows", f"{5 / 16281:.2%} of rows"]
