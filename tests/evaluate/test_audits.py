"""An audit set's answers: what three classes mean where there are two."""

import numpy as np
import polars as pl
import pytest

from tasks.evaluate.classes import answers
from tasks.evaluate.records import CUBE, PREDICTIONS, file_of
from tasks.model.rule import ClassRule
from tasks.plan.judgement import Judgement

DATA = {
    "kind": "text",
    "sources": [{"name": "a.csv", "sha256": "0" * 64, "origins": ["file:a.csv"]}],
    "format": {"type": "csv"},
}
RULE = ClassRule(("hate", "offensive", "neither"), None, 0.5, (), 3)
SCORES = np.array([[0.4, 0.1, 0.5], [0.3, 0.4, 0.3], [0.1, 0.1, 0.8], [0.5, 0.5, 0.0]], np.float32)


def judgement(positive: str | None) -> Judgement:
    label = {"column": "y", "values": ["non-hateful", "hateful", "unclear"], "positive": positive}
    if positive is not None:
        label["values"] = ["non-hateful", "hateful"]
    limit = {"metric": "accuracy_difference", "attribute": "label", "limit": 0.2}
    neither = "non-hateful"
    offensive = "hateful" if positive is not None else "unclear"
    return Judgement.model_validate(
        {
            "data": {**DATA, "label": {"column": "y", "values": list(RULE.classes)}},
            "expectations": {"minimum_rows": {"train": 1}},
            "limits": [limit],
            "performance": [{"metric": "accuracy", "minimum": 0.5}],
            "audits": {
                "cases": {
                    "data": {**DATA, "label": label},
                    "answers": {"hate": "hateful", "offensive": offensive, "neither": neither},
                    "limits": [limit],
                }
            },
        }
    )


def test_the_decided_class_is_answered_in_the_sets_words() -> None:
    told = answers(SCORES, RULE, judgement("hateful"), "cases")
    # The decision is the model's own: of the first row "neither", though both others add up to as much.
    assert told["prediction"].to_list() == ["non-hateful", "hateful", "non-hateful", "hateful"]
    assert told["score"].to_list() == pytest.approx([0.5, 0.7, 0.2, 1.0])
    assert told.schema["score"] == pl.Float32
    assert told["score"].is_between(0, 1).all()


def test_without_a_positive_class_the_score_is_that_of_the_answer() -> None:
    told = answers(SCORES, RULE, judgement(None), "cases")
    assert told["prediction"].to_list() == ["non-hateful", "unclear", "non-hateful", "hateful"]
    assert told["score"].to_list() == pytest.approx([0.5, 0.4, 0.8, 0.5])


def test_files_of_a_set_bear_its_name() -> None:
    assert [file_of(CUBE, "test"), file_of(CUBE, "cases")] == ["cube.json", "cube-cases.json"]
    assert file_of(PREDICTIONS, "cases") == "predictions-cases.csv"
