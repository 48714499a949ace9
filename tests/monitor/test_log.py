"""The predictions log: what is written, and what is refused when it is read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tasks.errors import EvidenceError, Refusal
from tasks.ingest.parts import read_rows
from tasks.monitor.log import read_log, write_log
from tasks.monitor.looking import answer_drift, broken_rules
from tasks.monitor.records import NewRows
from tasks.monitor.rows import read_new
from tasks.plan.deidentification import Privacy
from tasks.plan.judgement import Judgement
from tasks.plan.monitoring import Monitoring
from tasks.privacy.deidentify import deidentify
from tasks.privacy.keys import Key
from tests.represent.judgements import tiny

AT = datetime(2026, 11, 1, 8, tzinfo=UTC)
COLUMNS = {
    "sex": {"type": "category", "values": ["F", "M"], "personal": True},
    "income": {"type": "integer", "minimum": 0},
    "name": {"type": "category", "personal": True},
}
ROWS = pl.DataFrame(
    {"sex": ["F", "M", "F", "M"], "income": [10, 20, 30, 40], "name": ["Ada", "Ben", "Cay", "Dan"]}
)
ANSWERS = pl.DataFrame({"prediction": ["1", "0", "1", "0"], "score": [0.9, 0.1, 0.8, 0.2]})


@pytest.fixture(scope="module")
def judgement() -> Judgement:
    return tiny(COLUMNS, "sex", protected={"sex": {"column": "sex"}})


def read(folder: Path, judgement: Judgement, **watched: Any) -> NewRows:
    monitoring = Monitoring(log=str(folder / "*.*"), minimum_rows=2, **watched)
    return read_new(monitoring, judgement, "2", folder, folder.parent / "snapshot.parquet", AT)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "log").mkdir()
    return tmp_path / "log"


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_a_log_comes_back_as_it_was_and_holds_nothing_personal(
    folder: Path, judgement: Judgement, ending: str
) -> None:
    keys = write_log(ROWS, ANSWERS, judgement, "2", folder / f"a.{ending}", AT)
    assert len(set(keys)) == 4
    back = read_log([folder / f"a.{ending}"], judgement)
    assert back["row_key"].to_list() == keys
    assert back["time"].unique().to_list() == [AT]
    assert "name" not in back.columns  # personal, and nothing asks for it; sex is asked for
    assert b"Ben" not in (folder / f"a.{ending}").read_bytes()
    labels = pl.DataFrame({"row_key": keys[:3], "label": ["1", "0", "0"]})
    labels.write_csv(folder.parent / "labels.csv")
    found = read(folder, judgement, labels=str(folder.parent / "labels.csv"))
    assert (found.rows, found.labelled, found.left_out, found.short) == (4, 3, {}, "")
    kept = pl.read_parquet(folder.parent / "snapshot.parquet")
    assert kept["income"].to_list() == [10, 20, 30, 40]
    assert kept["y"].to_list() == ["1", "0", "0", None]
    assert kept["score"].to_list() == pytest.approx([0.9, 0.1, 0.8, 0.2])
    with pytest.raises(ValueError, match="a new file"):
        write_log(ROWS, ANSWERS, judgement, "2", folder / f"a.{ending}", AT)


def test_raw_rows_of_a_de_identified_plan_are_refused_before_they_are_kept(folder: Path) -> None:
    columns: dict[str, dict[str, Any]] = {"who": {"type": "category"}, "sex": COLUMNS["sex"]}
    changes: dict[str, Any] = {"protected": {"sex": {"column": "sex"}}}
    changes["privacy"] = {"columns": {"who": "token"}}
    judgement = tiny(columns, "sex", unit="who", **changes)
    rows = ROWS.select("sex", pl.col("name").alias("who"))
    write_log(rows, ANSWERS, judgement, "2", folder / "a.csv", AT)
    with pytest.raises(Refusal, match=r"de-identified; who held what judgement\.privacy replaces") as refused:
        read(folder, judgement)
    assert "Ada" not in str(refused.value)
    assert not (folder.parent / "snapshot.parquet").exists()
    (folder / "a.csv").unlink()
    made, _ = deidentify(rows, Privacy.model_validate(changes["privacy"]), Key(bytes(range(32)), "small"))
    write_log(made, ANSWERS, judgement, "2", folder / "a.csv", AT)
    assert read(folder, judgement).rows == 4


def test_rows_of_other_versions_and_of_before_the_window_are_left_out_and_counted(
    folder: Path, judgement: Judgement
) -> None:
    write_log(ROWS, ANSWERS, judgement, "1", folder / "a.csv", AT)
    with pytest.raises(Refusal, match=r"4 rows, and none of the champion, version 2; .* names: 1"):
        read(folder, judgement)
    write_log(ROWS, ANSWERS, judgement, "2", folder / "b.csv", datetime(2026, 9, 1, tzinfo=UTC))
    with pytest.raises(Refusal, match="no row of the last 30 days; the last is of 2026-09-01"):
        read(folder, judgement, window_days=30)
    write_log(ROWS[:1], ANSWERS[:1], judgement, "2", folder / "c.csv", datetime(2026, 10, 31, tzinfo=UTC))
    found = read(folder, judgement, window_days=30)
    assert found.left_out == {"of another version of the model": 4, "older than 30 days": 4}
    assert (found.rows, found.short) == (
        1,
        "1 new rows, operations.monitoring.minimum_rows 2: too few to judge",
    )


def test_a_log_of_texts_holds_a_frame_as_its_digest_and_only_where_it_is_asked_for(folder: Path) -> None:
    data = {
        "kind": "text",
        "format": {"type": "csv"},
        "text": "said",
        "frames": {"frame": "who"},
        "identities": {"who": {"women": ["woman"], "men": ["man"]}},
        "sources": [{"name": "x.csv", "sha256": "0" * 64, "origins": ["file:x.csv"]}],
        "label": {"column": "y", "values": ["0", "1"], "positive": "1"},
    }
    (folder / "x.csv").write_text("said,y\nthat woman sings,1\nthat man sings,0\n")
    for number, unit in enumerate(({}, {"unit": "frame"})):
        own = tiny({}, "who", protected={"who": {"column": "who"}}, data=data, **unit)
        rows = read_rows([folder / "x.csv"], own.data)
        assert rows["frame"].to_list() == ["that _ sings"] * 2
        write_log(rows, ANSWERS[:2], own, "2", folder / f"{number}.parquet", AT)
        log = read_log([folder / f"{number}.parquet"], own)
        assert "sings" not in log.write_csv()
        assert ("frame" in log.columns) is bool(unit)
    assert log["frame"].n_unique() == 1
    assert log["who"].to_list() == ["women", "men"]


def log_of(judgement: Judgement, folder: Path) -> pl.DataFrame:
    write_log(ROWS, ANSWERS, judgement, "2", folder / "a.csv", AT)
    log = pl.read_csv(folder / "a.csv", infer_schema=False)
    (folder / "a.csv").unlink()
    return log


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda log: log.drop("income", "score"), "columns score, income are missing"),
        (
            lambda log: pl.concat([log, log[:1]]),
            "2 rows share their `row_key` with another, the first is row 1",
        ),
        (lambda log: log.with_columns(row_key=pl.lit(None, pl.String)), "4 rows have no `row_key`"),
        (lambda log: log.with_columns(time=pl.lit("yesterday")), "4 rows have no `time` in ISO 8601"),
        (
            lambda log: log.with_columns(prediction=pl.lit("2")),
            "4 labels or predictions are none that the plan",
        ),
        (lambda log: log.with_columns(y=pl.lit("perhaps")), "4 labels or predictions are none that the plan"),
        (lambda log: log[:0], "0 rows, and none of the champion"),
    ],
)
def test_a_log_that_is_none_is_refused(
    folder: Path, judgement: Judgement, change: Callable[[pl.DataFrame], pl.DataFrame], problem: str
) -> None:
    change(log_of(judgement, folder)).write_csv(folder / "a.csv")
    with pytest.raises(Refusal, match=problem):
        read(folder, judgement)


def test_scores_that_are_none_and_files_that_are_none_are_refused(folder: Path, judgement: Judgement) -> None:
    with pytest.raises(Refusal, match="no file is there by"):
        read(folder, judgement)
    log_of(judgement, folder).with_columns(score=pl.lit("1.5")).write_csv(folder / "a.csv")
    with pytest.raises(EvidenceError, match=r"4 scores lie outside \[0, 1\]"):
        read(folder, judgement)
    (folder / "b.parquet").write_bytes(b"PAR1, or not")
    with pytest.raises(Refusal, match="not readable as parquet"):
        read(folder, judgement)


@pytest.mark.parametrize(
    ("keys", "labels", "problem"),
    [
        (["0123", None], ["1", "0"], "1 rows have no `row_key`"),
        (["", ""], ["1", "1"], "rows have no `row_key`|share their"),
        (["unknown"], ["1"], "1 of 1 labels are of rows that the log does not have, the first in row 1"),
    ],
)
def test_labels_of_unknown_rows_are_refused(
    folder: Path, judgement: Judgement, keys: list[str | None], labels: list[str], problem: str
) -> None:
    write_log(ROWS, ANSWERS, judgement, "2", folder / "a.csv", AT)
    pl.DataFrame({"row_key": keys, "label": labels}).write_csv(folder.parent / "labels.csv")
    with pytest.raises(Refusal, match=problem):
        read(folder, judgement, labels=str(folder.parent / "*.csv"))


def test_answers_are_compared_with_those_on_the_test_part(judgement: Judgement) -> None:
    """Of shares (1/2, 1/2) and (1, 0) the Jensen-Shannon distance is the root of 3/4 ln 4/3."""
    same = list(answer_drift(ANSWERS, ANSWERS, judgement))
    assert [(one.column, one.value, one.drifted) for one in same] == [
        ("prediction", 0.0, False),
        ("score", 0.0, False),
    ]
    half = pl.DataFrame({"prediction": ["1", "1"], "score": [0.9, 0.9]})
    (told, score) = answer_drift(half, ANSWERS, judgement)
    assert told.value == pytest.approx((0.75 * 0.28768207245) ** 0.5)
    assert told.drifted
    assert score.value == pytest.approx(0.4 / ANSWERS["score"].std(ddof=0))


def test_values_that_the_plan_does_not_allow_are_told(judgement: Judgement) -> None:
    rows = ROWS.with_columns(income=pl.Series([None, -1, 5, 6]), sex=pl.Series(["F", "X", "F", "M"]))
    columns = {name: column for name, column in judgement.data.described().items() if name != "name"}
    assert list(broken_rules(ROWS, columns)) == []
    assert list(broken_rules(rows, columns)) == [
        "sex: 1 of 4 new rows hold a value that the plan does not allow",
        "income: 1 of 4 new rows hold no integer, and the plan allows none to be missing",
        "income: 1 of 4 new rows hold a value that the plan does not allow",
    ]
