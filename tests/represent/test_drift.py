"""Drift by Evidently: its values against the formulas, its pages, and each rule broken once."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from tasks.errors import SourceAltered
from tasks.evaluate.evaluate import count_labels
from tasks.evidence.digest import digest_file
from tasks.evidence.records import Dataset, FileRef, Part
from tasks.plan.judgement import Judgement
from tasks.plan.plan import Plan
from tasks.represent.drift import SAMPLE_ROWS, Drifted, measure_drift
from tasks.represent.represent import Rows, represent
from tests.represent.judgements import tiny

ADULT = Path(__file__).parents[2] / "data" / "adult"
RAKING = {"margins": ["sex", "race", "age_band", "sex x race"]}
COLUMNS = {"kind": {"type": "category"}, "size": {"type": "number"}}


def judgement(columns: dict[str, dict[str, Any]] = COLUMNS, **changes: Any) -> Judgement:
    return tiny(columns, "kind", **changes)


def frame(share: float = 0.5, shift: float = 0.0, rows: int = 400) -> pl.DataFrame:
    """``share`` of kind "a"; sizes on a line from ``shift`` to 1 + ``shift``."""
    kinds = ["a"] * round(share * rows) + ["b"] * (rows - round(share * rows))
    return pl.DataFrame({"kind": kinds, "size": np.linspace(0, 1, rows) + shift})


def by_name(drifted: Drifted) -> dict[str, float]:
    return {column.column: column.value for column in drifted.columns}


def test_the_values_are_the_pinned_effects(tmp_path: Path) -> None:
    before, now = frame(), frame(share=0.8, shift=0.25)
    found = by_name(measure_drift(now, before, judgement(), tmp_path))
    assert found["kind"] == pytest.approx(jensenshannon([0.8, 0.2], [0.5, 0.5]))
    assert found["size"] == pytest.approx(0.25 / np.std(before["size"].to_numpy()))


def test_the_pinned_effects_do_not_change_above_a_thousand_rows(tmp_path: Path) -> None:
    few, many = (
        by_name(measure_drift(frame(0.8, 0.25, rows), frame(rows=rows), judgement(), tmp_path))
        for rows in (900, 1100)
    )
    assert few == pytest.approx(many, rel=0.01)


def test_no_drift_is_no_problem_and_no_warning(tmp_path: Path) -> None:
    found = measure_drift(frame(), frame(), judgement(), tmp_path)
    assert (found.problems, found.warnings) == ((), ())
    assert [column.drifted for column in found.columns] == [False, False]


def test_drift_below_the_share_is_a_warning_beyond_it_a_problem(tmp_path: Path) -> None:
    one = measure_drift(frame(share=0.9), frame(), judgement(drift={"maximum_drifted_share": 0.5}), tmp_path)
    assert one.problems == ()
    assert one.warnings == ("drift: kind: jensenshannon distance 0.319 >= limit 0.1",)
    strict = measure_drift(
        frame(share=0.9), frame(), judgement(drift={"maximum_drifted_share": 0.4}), tmp_path
    )
    assert len(strict.problems) == 1
    assert "1 of 2 columns (50%) drifted > maximum_drifted_share 40%: kind" in strict.problems[0]


def test_each_kind_has_its_own_limit(tmp_path: Path) -> None:
    drift = {"maximum_category_distance": 0.4, "maximum_number_distance": 0.2}
    found = measure_drift(frame(share=0.9, shift=0.1), frame(), judgement(drift=drift), tmp_path)
    assert {c.column: (c.statistic, c.limit, c.drifted) for c in found.columns} == {
        "kind": ("jensenshannon", 0.4, False),
        "size": ("wasserstein", 0.2, True),
    }


def test_values_that_go_missing_are_seen(tmp_path: Path) -> None:
    columns = {name: {**column, "nullable": True} for name, column in COLUMNS.items()}
    now = frame().with_row_index().select(pl.when(pl.col("index") % 2 == 0).then(pl.col("kind", "size")))
    found = by_name(measure_drift(now, frame(), judgement(columns), tmp_path))
    assert found["kind"] == pytest.approx(jensenshannon([0.25, 0.25, 0.5], [0.5, 0.5, 0]))
    assert found["size is there"] == pytest.approx(jensenshannon([0.5, 0.5], [1, 0]))
    assert found["size"] == pytest.approx(
        stats.wasserstein_distance(frame()["size"], now["size"].drop_nulls())
        / np.std(frame()["size"].to_numpy())
    )


def test_a_column_on_a_tiny_scale_is_measured_on_its_own(tmp_path: Path) -> None:
    # Evidently norms by at least 0.001, on which this column would seem still.
    before, now = (part.with_columns(size=pl.col("size") / 1e6) for part in (frame(), frame(shift=0.25)))
    expected = 0.25 / np.std(frame()["size"].to_numpy())
    assert by_name(measure_drift(now, before, judgement(), tmp_path))["size"] == pytest.approx(expected)


def test_columns_that_differ_by_design_are_left_out(tmp_path: Path) -> None:
    columns = {**COLUMNS, "person": {"type": "category"}, "ticket": {"type": "integer", "unique": True}}
    columns["year"] = {"type": "integer"}
    parts = [
        frame().with_columns(person=pl.lit(name), ticket=pl.int_range(400) + start, year=pl.lit(start))
        for name, start in (("x", 0), ("y", 10_000))
    ]
    found = measure_drift(
        *parts, judgement(columns, unit="person", test_set={"where": {"year": ["10000"]}}), tmp_path
    )
    assert set(by_name(found)) == {"kind", "size"}


def test_what_cannot_be_compared_is_a_problem(tmp_path: Path) -> None:
    absent = measure_drift(frame(), frame().drop("size"), judgement(), tmp_path)
    assert any("'size' is absent before" in problem for problem in absent.problems)
    empty = frame().with_columns(size=pl.lit(None, pl.Float64))
    hollow = measure_drift(empty, frame(), judgement(), tmp_path)
    assert any("'size' holds no finite number" in problem for problem in hollow.problems)
    nothing = measure_drift(frame().select(y="kind"), frame().select(y="kind"), judgement(), tmp_path)
    assert any("no column could be compared" in problem for problem in nothing.problems)
    assert nothing.reports == ()


def test_personal_columns_are_measured_and_shown_nowhere(tmp_path: Path) -> None:
    columns = {**COLUMNS, "name": {"type": "category", "personal": True}}
    before, now = (frame().with_columns(name=pl.lit(who)) for who in ("Zacharias", "Quintilian"))
    found = measure_drift(now, before, judgement(columns), tmp_path)
    assert by_name(found)["name"] == pytest.approx(np.sqrt(np.log(2)))
    assert any(warning.startswith("drift: name:") for warning in found.warnings)
    for reference in found.reports:
        text = (tmp_path / reference.path).read_text()
        assert "size" in text
        assert "Zacharias" not in text
        assert "Quintilian" not in text
    metrics = json.loads((tmp_path / found.reports[1].path).read_text())["metrics"]
    assert "name" not in {metric["config"].get("column") for metric in metrics}


def test_the_sample_is_the_same_every_time_and_of_the_stated_size(tmp_path: Path) -> None:
    rows = 3 * SAMPLE_ROWS
    generator = np.random.default_rng(5)
    parts = [
        pl.DataFrame({"kind": generator.choice(["a", "b", "c"], rows), "size": generator.normal(size=rows)})
        for _ in range(2)
    ]
    first, second = (measure_drift(*parts, judgement(), tmp_path / name) for name in ("first", "second"))
    assert first.columns == second.columns
    assert first.reports == second.reports
    assert by_name(first)["size"] < 0.05


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
from test_drift import frame, judgement
from tasks.represent.drift import measure_drift
found = measure_drift(frame(share=0.7, shift=0.1), frame(), judgement(), Path({folder!r}))
print([c.model_dump_json() for c in found.columns], [r.sha256 for r in found.reports])
"""


def test_the_reports_have_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    # Evidently's pages carry random identifiers, and its sums run over a set of strings.
    found = measure_drift(frame(share=0.7, shift=0.1), frame(), judgement(), tmp_path / "here")
    code = SCRIPT.format(here=str(Path(__file__).parent), folder=str(tmp_path / "there"))
    run = [sys.executable, "-W", "ignore", "-c", code]
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    there = subprocess.run(run, capture_output=True, text=True, check=True, env=environment).stdout
    told = [c.model_dump_json() for c in found.columns], [r.sha256 for r in found.reports]
    assert there == f"{told[0]} {told[1]}\n"


def test_the_page_stands_alone_and_evidently_is_told_not_to_track(tmp_path: Path) -> None:
    found = measure_drift(frame(), frame(), judgement(), tmp_path)
    html, figures = (tmp_path / reference.path for reference in found.reports)
    assert os.environ["DO_NOT_TRACK"] == "1"
    page = html.read_text()
    assert not [tag for tag in ("<script src", "<link", "<iframe src", '<img src="http') if tag in page]
    metrics = json.loads(figures.read_text())["metrics"]
    assert [metric["config"].get("column") for metric in metrics] == [None, "kind", "size"]
    assert [digest_file(path) for path in (html, figures)] == [r.sha256 for r in found.reports]


def test_evidently_is_imported_by_the_measurement_alone() -> None:
    code = "import sys, tasks.represent.represent; print('evidently' in sys.modules, 'pandas' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["False", "False"]


def test_adult_train_against_test(
    adult: Callable[[str], pl.DataFrame],
    described: pl.DataFrame,
    adult_plan: Callable[..., Plan],
    tmp_path: Path,
) -> None:
    plan = adult_plan(raking=RAKING)
    rows = Rows(adult("train"), described, adult("test"), adult("test"), "the test part")
    found = represent(rows, count_labels(described, plan.judgement), plan, ADULT, tmp_path)
    assert found.problems == ()
    assert found.drift_against == "the test part"
    assert {column.column for column in found.drift} == set(plan.judgement.data.columns)
    assert "income" not in {column.column for column in found.drift}  # no label is looked at
    assert not any(column.drifted for column in found.drift)  # divided at random by its authors
    assert any(warning.startswith("sex: Female") for warning in found.warnings)
    assert [reference.path for reference in found.reports] == ["reports/drift.html", "reports/drift.json"]


def test_adult_with_other_people_is_refused(
    adult: Callable[[str], pl.DataFrame],
    described: pl.DataFrame,
    adult_plan: Callable[..., Plan],
    tmp_path: Path,
) -> None:
    young = adult("test").filter(pl.col("age") < 25)
    plan = adult_plan(raking=RAKING)
    rows = Rows(adult("train"), described, adult("test"), young, "persons under 25")
    found = represent(rows, count_labels(described, plan.judgement), plan, ADULT, tmp_path)
    assert any("maximum_drifted_share 30%" in problem for problem in found.problems)


def test_the_task_checks_what_it_reads(
    adult: Callable[[str], pl.DataFrame], adult_plan: Callable[..., Plan], tmp_path: Path
) -> None:
    from tasks.represent.task import represent as task

    parts = {}
    for name in ("train", "test"):
        path = tmp_path / f"{name}.parquet"
        adult(name).write_parquet(path)
        parts[name] = Part(file=FileRef.of(path), rows=adult(name).height)
    dataset = Dataset(name="adult", sources=(), train=parts["train"], test=parts["test"], digest="0" * 64)
    plan = adult_plan(raking=RAKING)
    found = task.fn(dataset, plan, ADULT, tmp_path / "run", champion=parts["test"].file)
    assert found.problems == ()
    assert found.drift_against == "the champion's training part"
    altered = parts["test"].file.model_copy(update={"sha256": "1" * 64})
    with pytest.raises(SourceAltered, match="dvc pull"):
        task.fn(dataset, plan, ADULT, tmp_path / "run", champion=altered)
