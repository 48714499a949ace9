"""An audit of anyone's predictions: published counts, planted verdicts, and spellings brought together."""

from pathlib import Path

import polars as pl
import pytest

from tasks.audit.audit import Asked, audit
from tasks.audit.counting import count_file
from tasks.audit.places import privacy
from tasks.audit.records import Columns
from tasks.audit.store import write_audit
from tasks.errors import PlanError
from tasks.fairness.verdict import Verdict

from .conftest import Write, asked

# propublica/compas-analysis, "Compas Analysis.ipynb" @bafff5da (Larson, Mattu, Kirchner, Angwin 2016).
PUBLISHED = {
    "African-American": {"tn": 990, "fp": 805, "fn": 532, "tp": 1369},
    "Caucasian": {"tn": 1139, "fp": 349, "fn": 461, "tp": 505},
}
ALL = {"tn": 2681, "fp": 1282, "fn": 1216, "tp": 2035}
RATES = {"African-American": (0.4485, 0.2799, 0.63), "Caucasian": (0.2345, 0.4772, 0.59)}


def test_propublicas_counts_and_rates(compas: Asked) -> None:
    found = audit(compas)
    cube = found.counted
    counts = cube.marginal(["race"]).counts
    for race, published in PUBLISHED.items():
        table = counts[cube.axes["race"].index(race)]
        assert {"tn": table[0, 0], "fp": table[0, 1], "fn": table[1, 0], "tp": table[1, 1]} == published
    total = counts.sum(axis=0)
    assert {"tn": total[0, 0], "fp": total[0, 1], "fn": total[1, 0], "tp": total[1, 1]} == ALL
    assert found.rows == 7214
    for race, expected in RATES.items():
        row = cube.rates(["race"]).filter(pl.col("race") == race).row(0, named=True)
        assert (round(row["fpr"], 4), round(row["fnr"], 4), round(row["ppv"], 2)) == expected
    verdicts = {(one.metric, one.attribute): one.verdict for one in found.judged}
    assert verdicts["demographic_parity_ratio", "race"] is Verdict.FAIL
    assert verdicts["demographic_parity_difference", "sex"] is Verdict.PASS
    assert "conventional, not from a plan" in found.limits.origin
    assert all("conventional, not from a plan" in str(one.because) for one in found.limits.limits)


@pytest.mark.parametrize(
    ("rows", "gap", "verdict"),
    [(20_000, 0.0, Verdict.PASS), (20_000, 0.2, Verdict.FAIL), (200, 0.05, Verdict.INCONCLUSIVE)],
)
@pytest.mark.parametrize("name", ["planted.csv", "planted.parquet"])
def test_planted_gaps(planted: Write, rows: int, gap: float, verdict: Verdict, name: str) -> None:
    found = audit(asked(planted(rows, gap, name)))
    difference = next(one for one in found.judged if one.metric == "demographic_parity_difference")
    assert difference.verdict is verdict
    assert difference.measurement == pytest.approx(gap, abs=1e-9)


def test_limits_of_a_file_are_judged_and_named(planted: Write, tmp_path: Path) -> None:
    limits = tmp_path / "limits.yaml"
    limits.write_text(
        "- {metric: demographic_parity_difference, attribute: group, limit: 0.3, because: agreed}\n"
    )
    found = audit(asked(planted(20_000, 0.2), limits=limits))
    assert [(one.metric, one.verdict) for one in found.judged] == [
        ("demographic_parity_difference", Verdict.PASS)
    ]
    assert found.limits.file is not None
    assert found.limits.origin == f"from {limits}"
    limits.write_text(f"limits:\n{limits.read_text()}")  # as a plan writes them
    assert audit(asked(planted(20_000, 0.2), limits=limits)).judged == found.judged
    assert audit(asked(planted(20_000, 0.2))).verdicts.verdict is Verdict.FAIL


def test_the_same_question_gives_the_same_bytes(planted: Write, tmp_path: Path) -> None:
    path = planted(1_000, 0.1)
    for name in ("one.json", "two.json"):
        write_audit(audit(asked(path)), tmp_path / name)
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


SPELLINGS: list[tuple[pl.Series, pl.Series, str | None]] = [
    (pl.Series([1, 0, 1, 0]), pl.Series(["1", "0", "1", "1"]), None),
    (pl.Series([1.0, 0.0, 1.0, 0.0]), pl.Series([True, False, True, True]), None),
    (pl.Series(["true", "FALSE", "True", "false"]), pl.Series([1, 0, 1, 1]), None),
    (pl.Series([True, False, True, False]), pl.Series([1.0, 0.0, 1.0, 1.0]), "True"),
    (pl.Series([" yes", "no ", "yes", "no"]), pl.Series(["yes", "no", "yes", "yes"]), "yes"),
]


@pytest.mark.parametrize(("truth", "guess", "positive"), SPELLINGS)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_classes_are_spelled_alike(
    tmp_path: Path, truth: pl.Series, guess: pl.Series, positive: str | None, suffix: str
) -> None:
    table = pl.DataFrame({"truth": truth, "guess": guess, "group": ["a", "b", "a", "b"]})
    path = tmp_path / f"table.{suffix}"
    if suffix == "csv":
        table.write_csv(path)
    else:
        table.write_parquet(path)
    counted = count_file(path, Columns(label="truth", prediction="guess", groups=("group",)), positive)
    assert counted.cube.positive in {"1", "yes"}
    assert counted.cube.counts.sum(axis=0).tolist() == [[1, 1], [0, 2]]


def test_a_missing_group_is_a_level_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "gaps.csv"
    path.write_text("truth;guess;group\n1;1;a\n0;1;\n1;0;NA\n0;0;NaN\n")
    counted = count_file(path, Columns(label="truth", prediction="guess", groups=("group",)), None)
    assert counted.cube.axes["group"] == ("NA", "NaN", "a", "unknown")
    assert counted.cube.counts.sum(axis=(1, 2)).tolist() == [1, 1, 1, 1]
    assert [note.partition(" is a group")[0] for note in counted.notes] == [
        "group: the level 'NA'",
        "group: the level 'NaN'",
    ]


def test_empty_text_of_parquet_is_missing_too(tmp_path: Path) -> None:
    path = tmp_path / "gaps.parquet"
    table = pl.DataFrame(
        {"truth": [0, 1, 1], "guess": [0, 1, 1], "group": ["a", "", None], "age": [1.0, 2.5, None]}
    )
    table.write_parquet(path)
    columns = Columns(label="truth", prediction="guess", groups=("group", "age"))
    cube = count_file(path, columns, None).cube
    assert dict(cube.axes) == {"group": ("a", "unknown"), "age": ("1", "2.5", "unknown")}


def test_batches_count_as_one(planted: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    question = asked(planted(1_000, 0.1))
    whole = count_file(question.file, question.columns, None).cube
    monkeypatch.setattr("tasks.audit.looking.BATCH", 7)
    assert count_file(question.file, question.columns, None).cube == whole


def test_units_and_weights_of_all_batches_count_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "units.csv"
    rows = [(i % 3 % 2, i % 5 % 2, "ab"[i % 7 % 2], i % 11, 1 + i % 4 / 4) for i in range(300)]
    pl.DataFrame(rows, ["truth", "guess", "group", "person", "w"], orient="row").write_csv(path)
    columns = asked(path, unit="person", weight="w").columns
    whole = count_file(path, columns, None).cube
    assert whole.units is not None
    assert whole.units.size == 11
    monkeypatch.setattr("tasks.audit.looking.BATCH", 7)
    monkeypatch.setattr("tasks.fairness.batches.HELD", 5)
    assert count_file(path, columns, None).cube == whole


def test_several_classes_take_limits_that_need_no_positive_class(tmp_path: Path) -> None:
    path, limits = tmp_path / "three.csv", tmp_path / "limits.yaml"
    pl.DataFrame(
        {"truth": ["x", "y", "z"] * 2000, "guess": ["x", "y", "z"] * 2000, "group": ["a", "b"] * 3000}
    ).write_csv(path)
    limits.write_text("- {metric: accuracy_difference, attribute: group, limit: 0.05}\n")
    found = audit(asked(path, limits=limits))
    assert (found.positive, found.verdicts.verdict) == (None, Verdict.PASS)
    assert audit(asked(path, positive="x")).positive == "x"
    limits.write_text("- {metric: macro_tpr_difference, attribute: group, limit: 0.1}\n")
    assert audit(asked(path, limits=limits)).positive is None
    with pytest.raises(PlanError, match=r"--positive must name .*: x, y or z"):
        audit(asked(path))


def test_classes_of_one_column_alone_are_told(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    pl.DataFrame({"truth": [0, 1, 0, 1], "guess": [0, 0, 0, 0], "group": ["a", "b"] * 2}).write_csv(path)
    assert audit(asked(path)).notes == ("label has the classes 0, 1; prediction has 0",)


def test_weights_and_units_reach_the_cube(tmp_path: Path) -> None:
    path = tmp_path / "weighted.csv"
    table = pl.DataFrame(
        {
            "truth": [0, 1] * 10,
            "guess": [1, 1] * 10,
            "group": (["a"] * 2 + ["b"] * 2) * 5,
            "w": [0.5, 2.0] * 10,
            "person": [i // 4 for i in range(20)],
        }
    )
    table.write_csv(path)
    cube = audit(asked(path, weight="w", unit="person")).counted
    assert cube.weights is not None
    assert cube.weights.sum() == pytest.approx(25)
    assert cube.units is not None
    told = privacy(audit(asked(path, weight="w", unit="person")))
    assert "lists each sampling unit's group, label and prediction (without its name)" in told
    assert "no row" not in told
    assert "counts and no row. 4 of its cells hold fewer than 10" in privacy(audit(asked(path, weight="w")))
