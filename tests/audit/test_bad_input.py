"""What can't be audited is refused with its reason, all reasons at once, exit code 2."""

import re
from pathlib import Path

import polars as pl
import pytest

from flows.audit import run_audit
from tasks.audit.audit import audit
from tasks.audit.publishing import Wish
from tasks.errors import PlanError

from .conftest import Write, asked

GOOD = {
    "truth": [0, 1, 0, 1],
    "guess": [0, 1, 1, 1],
    "group": ["a", "a", "b", "b"],
    "s": [0.1, 0.9, 0.6, 1.0],
}
CASES: list[tuple[dict[str, list[object]], dict[str, object], str]] = [
    ({}, {"label": "trut"}, "--label 'trut': there is no such column; did you mean 'truth'"),
    ({}, {"groups": ("group", "group")}, "asked for 2 times, by --group and --group"),
    ({}, {"prediction": "truth"}, "'truth' is asked for 2 times, by --label and --prediction"),
    ({"group": ["a"] * 4}, {}, "at least two groups are compared"),
    ({"truth": [0, None, 0, 1]}, {}, "--label 'truth': 1 of 4 values are missing"),
    ({"truth": [0.0, float("nan"), 0.0, 1.0]}, {}, "--label.* missing"),
    ({"truth": ["0", "NA", "0", "1"]}, {}, "--label: NA marks a missing value and is no class"),
    ({"guess": ["0", "n/a", "0", "1"]}, {}, "--prediction: n/a marks a missing value and is no class"),
    ({"truth": ["x", "y", "z", "x"], "guess": ["x", "y", "z", "y"]}, {}, "compared: x, y or z"),
    (
        {"truth": ["No", "Yes"] * 2, "guess": ["No", "yes"] * 2},
        {"positive": "yes"},
        "label has the class 'Yes' and prediction has 'yes'",
    ),
    (
        {"truth": ["No", "Yes", "yes", "No"], "guess": ["No", "Yes"] * 2},
        {"positive": "yes"},
        "--positive 'yes' never occurs as prediction, which has 'Yes'",
    ),
    ({"group": ["unknown", None, "b", "b"]}, {}, "a level is called 'unknown', as the 1 missing values"),
    ({"s": ["u", "NaN", "u", "v"]}, {"unit": "s"}, "--unit 's': 1 of 4 values are missing"),
    ({"guess": [0, None, None, 1]}, {}, "--prediction 'guess': 2 of 4 values are missing"),
    ({"s": [0.1, float("nan"), 0.2, 0.3]}, {"score": "s"}, "1 of 4 values are missing or no number"),
    ({"s": [0.1, 1.2, 0.2, 0.3]}, {"score": "s"}, "found 0.1 to 1.2"),
    ({"s": [0.1, 0.0, 0.2, 0.3]}, {"weight": "s"}, "weights above 0 are expected, the smallest is 0"),
    ({"s": ["u", None, "u", "v"]}, {"unit": "s"}, "--unit 's': 1 of 4 values are missing"),
    ({"guess": ["no", "yes", "no", "yes"]}, {}, "share no class: 0, 1 against no, yes"),
    ({"guess": [0.25, 0.5, 0.75, 0.875]}, {}, "found fractions such as 0.25"),
    ({}, {"positive": "yes"}, "--positive 'yes' is none of the classes"),
    ({"truth": ["n", "y"] * 2, "guess": ["n", "y"] * 2}, {}, "--positive must name the class .*: n or y"),
    ({}, {"alpha": 0.5}, "--alpha: a level above 0 and at most 0.1 is expected"),
    ({"tpr": ["a", "a", "b", "b"]}, {"groups": ("tpr",)}, "the audit has a column of that name"),
    ({"a x b": ["a", "a", "b", "b"]}, {"groups": ("a x b",)}, "means a crossing"),
]


@pytest.mark.parametrize("score", [None, "s"])
def test_limits_on_a_predicted_number_are_refused(tmp_path: Path, score: str | None) -> None:
    table, limits = tmp_path / "table.csv", tmp_path / "limits.yaml"
    pl.DataFrame(GOOD).write_csv(table)
    limits.write_text(
        "- {metric: tpr_difference, attribute: group, limit: 0.1}\n"
        "- {metric: mae_difference, attribute: group, limit: 2}\n"
        "- {metric: parity_maximum, attribute: group, limit: 0.2}\n"
    )
    with pytest.raises(PlanError) as refused:
        audit(asked(table, limits=limits, score=score))
    assert refused.value.exit_code == 2
    said = "is of a predicted number; `assay audit` is of predicted classes"
    assert list(refused.value.problems) == [
        f"{limits}: [1].metric: mae_difference {said}",
        f"{limits}: [2].metric: parity_maximum {said}",
    ]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize(("change", "question", "reason"), CASES)
def test_each_is_refused_with_its_reason(
    tmp_path: Path, change: dict[str, list[object]], question: dict[str, object], reason: str, suffix: str
) -> None:
    table, path = pl.DataFrame(GOOD | change, strict=False), tmp_path / f"table.{suffix}"
    if suffix == "csv":
        table.write_csv(path)
    else:
        table.write_parquet(path)
    with pytest.raises(PlanError, match=reason) as refused:
        audit(asked(path, **question))
    assert refused.value.exit_code == 2
    assert len(refused.value.problems) == 1


def test_limits_that_need_a_score_are_refused_without_one(planted: Write, tmp_path: Path) -> None:
    limits = tmp_path / "limits.yaml"
    limits.write_text("- {metric: auc_difference, attribute: group, limit: 0.1}\n")
    with pytest.raises(PlanError, match=r"--score must name the column .*: auc_difference is of the score"):
        audit(asked(planted(100, 0.0), limits=limits))


def test_all_problems_are_told_at_once(planted: Write, tmp_path: Path) -> None:
    limits = tmp_path / "limits.yaml"
    limits.write_text(
        "- {metric: demografic_parity_difference, attribute: group, limit: 0.1}\n"
        "- {metric: accuracy_difference, attribute: group x rase, limit: 0.2, why: so}\n"
        "- {metric: accuracy_difference, attribute: group, limit: 2}\n"
    )
    with pytest.raises(PlanError) as refused:
        audit(asked(planted(10, 0.0), limits=limits, groups=("group", "race"), alpha=1.0))
    told = "\n".join(refused.value.problems)
    for words in (
        "did you mean 'demographic_parity_difference'",
        "'rase' is no group of this audit; did you mean 'race'",
        "[2]",
        "[1].why: unknown key",
        "--alpha",
        "--group 'race': there is no such column",
    ):
        assert words in told, told


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("none.csv", None, "there is no such file"),
        ("table.xlsx", b"PK", "CSV or Parquet is expected"),
        ("empty.csv", b"", "not readable as CSV"),
        ("header.csv", b"truth,guess,group\n", "there are no rows"),
        ("broken.parquet", b"truth,guess,group\n1,1,a\n", "not readable as Parquet"),
        ("latin.csv", "truth,guess,group\n1,1,é\n0,0,b\n".encode("latin-1"), "not readable as CSV in UTF-8"),
        ("ragged.csv", b"truth,guess,group\n1,1,a\n0,0,b,c,d\n", "line 3 has 5 of 3 fields"),
        (
            "short.csv",
            b'truth,guess,group\n1,1,"a\nb"\n0,1\n1,0\n0,0,b\n',
            "line 4 has 2 of 3 fields.*1 more",
        ),
        (".", None, "found a folder"),
        ("twice.csv", b"truth,guess,group,truth\n1,1,a,0\n", "the header names this column twice"),
    ],
)
def test_files_that_are_no_table(tmp_path: Path, name: str, content: bytes | None, reason: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PlanError, match=reason):
        audit(asked(path))


@pytest.mark.parametrize("content", ["", "metric: x\n", "- a\n- b\n", "{", "[]"])
def test_files_that_are_no_limits(planted: Write, tmp_path: Path, content: str) -> None:
    limits = tmp_path / "limits.yaml"
    limits.write_text(content)
    with pytest.raises(PlanError, match=r"limits\.yaml"):
        audit(asked(planted(10, 0.0), limits=limits))
    limits.unlink()
    with pytest.raises(PlanError, match="no such file of limits"):
        audit(asked(planted(10, 0.0), limits=limits))


def test_values_of_people_are_not_told(tmp_path: Path) -> None:
    path = tmp_path / "names.csv"
    pl.DataFrame(
        {"truth": [0, 1] * 600, "guess": [0, 1] * 600, "group": [f"Jane{i}" for i in range(1200)]}
    ).write_csv(path)
    with pytest.raises(PlanError, match="found 1,200") as refused:
        audit(asked(path))
    assert "Jane" not in str(refused.value)


def test_nan_is_no_mark_of_a_missing_group(tmp_path: Path) -> None:
    path = tmp_path / "nan.parquet"
    pl.DataFrame(GOOD | {"group": [1.0, float("nan"), 2.0, 2.0]}).write_parquet(path)
    with pytest.raises(PlanError, match=r"--group 'group': 1 values are NaN.*mark missing values as null"):
        audit(asked(path))


def test_no_output_takes_the_place_of_another_file(planted: Write, tmp_path: Path) -> None:
    path, limits = planted(10, 0.0), tmp_path / "limits.yaml"
    limits.write_text("- {metric: accuracy_difference, attribute: group, limit: 0.3}\n")
    before, link = path.read_bytes(), tmp_path / "link.html"
    link.symlink_to(limits)
    question, folder = asked(path, limits=limits), tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(PlanError) as refused:
        run_audit(question, folder / ".." / path.name, link, Wish(limits))
    assert refused.value.exit_code == 2
    assert len(refused.value.problems) == 3
    told = "\n".join(refused.value.problems)
    for words in (
        "FILE and --json are one file",
        "--limits and --html are one",
        "a folder for counts.json and index.html is expected, found a file",
    ):
        assert re.search(words, told), told
    with pytest.raises(PlanError, match="--json and --html are one file"):
        run_audit(question, tmp_path / "new", folder / ".." / "new")
    assert path.read_bytes() == before
    assert not (tmp_path / "new").exists()


def test_unknown_groups_and_missing_ones_are_told_apart_in_all_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.audit.looking.BATCH", 2)
    path = tmp_path / "late.csv"
    path.write_text("truth,guess,group\n1,1,unknown\n0,0,b\n1,0,b\n0,1,b\n1,1,\n")
    with pytest.raises(PlanError, match="a level is called 'unknown', as the 1 missing values"):
        audit(asked(path))


def test_counts_too_many_to_be_protected_are_not_published(tmp_path: Path) -> None:
    path, published = tmp_path / "many.csv", tmp_path / "published"
    pl.DataFrame(
        {"truth": [0, 1] * 600, "guess": [0, 1] * 600, "group": [i // 8 for i in range(1200)]}
    ).write_csv(path)
    with pytest.raises(PlanError, match="at most 1200 counts are published at once, these tables have 1359"):
        run_audit(asked(path), tmp_path / "record.json", None, Wish(published), tmp_path / "var")
    assert not published.exists()
    assert not (tmp_path / "record.json").exists()
