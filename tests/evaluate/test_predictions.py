"""predictions.csv has one spelling, and reads back as what was written."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.errors import EvidenceError
from tasks.evaluate import classes
from tasks.evaluate.evaluate import HUNDREDTHS
from tasks.evaluate.kinds import kind_of
from tasks.evaluate.opening import edges_on
from tasks.evaluate.predictions import read_predictions, write_predictions
from tasks.model.predictor import Predictor
from tasks.model.rule import ClassRule, NumberRule, Rule
from tasks.plan.data import Classes
from tasks.plan.judgement import TEST, Judgement

DATA = {
    "kind": "tabular",
    "sources": [{"name": "a.csv", "sha256": "0" * 64, "origins": ["file:a.csv"]}],
    "format": {"type": "csv"},
    "columns": {"sex": {"type": "category"}, "age": {"type": "integer"}},
}
REST = {"protected": {"sex": {"column": "sex"}}, "expectations": {"minimum_rows": {"train": 1}}}
CLASSES = Judgement.model_validate(
    {
        **REST,
        "data": {**DATA, "label": {"column": "y", "values": ["no", "yes"], "positive": "yes"}},
        "limits": [{"metric": "tpr_difference", "attribute": "sex", "limit": 0.1}],
        "performance": [{"metric": "accuracy", "minimum": 0.5}],
    }
)
NUMBERS = Judgement.model_validate(
    {
        **REST,
        "data": {**DATA, "label": {"column": "y", "type": "number", "minimum": 0, "maximum": 99}},
        "limits": [{"metric": "mae_maximum", "attribute": "sex", "limit": 9}],
        "performance": [{"metric": "r2", "minimum": 0.2}],
    }
)


def frame(scores: list[float]) -> pl.DataFrame:
    n = len(scores)
    return pl.DataFrame(
        {
            "row_id": range(n),
            "row_digest": [f"{i:016d}" for i in range(n)],
            "score": scores,
            "prediction": [">50K" if score >= 0.5 else 'a "quoted", class' for score in scores],
        },
        schema=dict(classes.SCHEMA),
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=30))
def test_scores_read_back_to_the_bit_and_write_the_same_bytes(tmp_path: Path, scores: list[float]) -> None:
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    write_predictions(frame(scores), CLASSES, one)
    again = read_predictions(one, CLASSES)
    assert again.equals(frame(scores))
    assert (again["score"].to_numpy().view(np.uint32) == np.float32(scores).view(np.uint32)).all()
    write_predictions(again, CLASSES, other)
    assert one.read_bytes() == other.read_bytes()


def test_the_file_is_plain(tmp_path: Path) -> None:
    write_predictions(frame([0.1, 0.75]), CLASSES, tmp_path / "p.csv")
    assert (tmp_path / "p.csv").read_text() == (
        "row_id,row_digest,score,prediction\n"
        '0,0000000000000000,0.1,"a ""quoted"", class"\n'
        "1,0000000000000001,0.75,>50K\n"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("row_id,row_digest,score\n0,aa,0.5\n", "missing: prediction"),
        ("row_id,row_digest,score,prediction\n0,aa,,x\n", "score has 1 missing"),
        ("row_id,row_digest,score,prediction\n0,aa,1.5,x\n", "1 scores lie outside"),
        ("row_id,row_digest,score,prediction\n0,aa,nan,x\n", "1 scores lie outside"),
        ("row_id,row_digest,score,prediction\n0,aa,0.5,x\n0,bb,0.5,x\n", "1 rows occur twice"),
        ("row_id,row_digest,score,prediction\n0,aa,half,x\n", "predictions are expected"),
        ("", "predictions are expected"),
    ],
)
def test_a_file_that_is_no_predictions_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "predictions.csv"
    path.write_text(text)
    with pytest.raises(EvidenceError, match=words):
        read_predictions(path, CLASSES)


def test_numbers_have_no_score_and_read_back_to_the_bit(tmp_path: Path) -> None:
    told = pl.DataFrame(
        {"row_id": [0, 1], "row_digest": ["a" * 16, "b" * 16], "prediction": [40.125, 0.1]},
        schema={"row_id": pl.UInt32, "row_digest": pl.String, "prediction": pl.Float32},
    )
    write_predictions(told, NUMBERS, tmp_path / "p.csv")
    assert (tmp_path / "p.csv").read_text() == (
        "row_id,row_digest,prediction\n0,aaaaaaaaaaaaaaaa,40.125\n1,bbbbbbbbbbbbbbbb,0.1\n"
    )
    assert read_predictions(tmp_path / "p.csv", NUMBERS).equals(told)


def test_audit_sets_of_numbers_have_the_test_parts_edges_and_those_of_classes_hundredths() -> None:
    number = NumberRule(40.0, 12.0, 1.0, 99.0, score_edges=(20.0, 41.5))
    classes_ = ClassRule(("no", "yes"), "yes", 0.5, score_edges=(0.25, 0.5), outputs=1)
    expected: list[tuple[Rule, tuple[float, ...]]]
    expected = [(number, number.score_edges), (classes_, HUNDREDTHS)]
    for rule, on_audit in expected:
        predictor = cast(Predictor, SimpleNamespace(rule=rule))
        assert edges_on(predictor, "test") == rule.score_edges
        assert edges_on(predictor, "templates") == on_audit


def test_numbers_that_lie_a_last_bit_apart_are_not_another_prediction() -> None:
    one = pl.Series([0.1, 40.125, 98.5, 7.0], dtype=pl.Float32)
    other = pl.Series([np.nextafter(np.float32(0.1), np.float32(1)), 40.125 - 0.0098, 98.49, 9.0])
    assert kind_of(NUMBERS).changed(one, other.cast(pl.Float32), NUMBERS) == 2  # beyond 0.0099 of 0 to 99
    classes_ = pl.Series(["no", "yes", "yes"]), pl.Series(["no", "no", "yes"])
    assert kind_of(CLASSES).changed(*classes_, CLASSES) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("row_id,row_digest\n0,aa\n", "missing: prediction"),
        ("row_id,row_digest,prediction\n0,aa,nan\n", "1 predictions are no finite number"),
        ("row_id,row_digest,prediction\n0,aa,inf\n", "1 predictions are no finite number"),
        ("row_id,row_digest,prediction\n0,aa,\n", "prediction has 1 missing"),
        ("row_id,row_digest,prediction\n0,aa,many\n", "predictions are expected"),
    ],
)
def test_a_file_that_is_no_numbers_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "predictions.csv"
    path.write_text(text)
    with pytest.raises(EvidenceError, match=words):
        read_predictions(path, NUMBERS)


@pytest.mark.parametrize("positive", [None, "None"])
def test_of_three_classes_what_is_served_is_what_was_judged(positive: str | None) -> None:
    """The score is that of the positive class where there is one; else a model could not be registered."""
    label = {"column": "y", "values": ["None", "b", "c"], "positive": positive}
    judgement = CLASSES.model_copy(
        update={"data": CLASSES.data.model_copy(update={"label": Classes.model_validate(label)})}
    )
    rule = ClassRule(("None", "b", "c"), positive, 0.5, (), 3)
    scores = np.array([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1]], np.float32)
    judged = classes.answers(scores, rule, judgement, TEST)
    assert judged["score"].to_list() == pytest.approx([0.2 if positive else 0.5, 0.6])
    assert classes.served(rule.answers(scores), judgement).equals(judged)
