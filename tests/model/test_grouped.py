"""Decisions that read the group: from a column to a level, and from a level to what is done for it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

from tasks.errors import Refusal
from tasks.evaluate.predict import predict_part
from tasks.evaluate.together import Crew, predict_together
from tasks.ingest.described import describe, type_frame
from tasks.model.grouped import Adjustment, Attribute, Grouped, read_levels
from tasks.model.network import Network
from tasks.model.predictor import Predictor, rule_in
from tasks.model.rule import ClassRule, rule_from_json
from tasks.model.tabular import TabularFeatures, Wanted
from tasks.plan.judgement import TEST, Judgement

RAW = pd.DataFrame(
    {
        "hours": [40, 13, 38, 40, 40, 45, 50, 20],
        "sex": [" Male", "Female ", "?", "Male", "Female", "Male", "Other", None],
        "age": [39.0, 17, 25, 64, 65, 16.5, np.nan, 24],
        "code": [1.0, 2.0, np.nan, 1.0, 2.0, 3.0, 1.0, 2.0],
        "y": ["no", "yes"] * 4,
    }
)
JUDGEMENT = Judgement.model_validate(
    {
        "data": {
            "kind": "tabular",
            "sources": [{"name": "a.csv", "sha256": "0" * 64, "origins": ["file:a.csv"]}],
            "format": {"type": "csv", "null_values": ["?"]},
            "columns": {
                "hours": {"type": "integer"},
                "sex": {"type": "category", "nullable": True},
                "age": {"type": "number", "nullable": True},
                "code": {"type": "category", "nullable": True},
            },
            "label": {"column": "y", "values": ["no", "yes"], "positive": "yes"},
        },
        "protected": {
            "sex": {"column": "sex"},
            "age_band": {"column": "age", "bins": [17, 25, 65]},
            "code": {"column": "code"},
        },
        "expectations": {"minimum_rows": {"train": 1}},
        "limits": [{"metric": "tpr_difference", "attribute": "sex", "limit": 0.1}],
        "performance": [{"metric": "accuracy", "minimum": 0.5}],
    }
)
SEX = Attribute("sex", "sex")
BAND = Attribute("age_band", "age", (17, 25, 65), ("17-24", "25-64", "65+"))
NULLS = ("", "?")
LEVELS = {"Female": Adjustment(0.3), "Male": Adjustment(0.6, 2.0, -0.5), "unknown": Adjustment(0.9)}
BY_SEX = Grouped((SEX,), NULLS, "equalized_odds", LEVELS, Adjustment(0.5))
RULE = ClassRule(("no", "yes"), "yes", 0.5, (0.2, 0.4), 1)
SETTINGS = {"kind": "mlp", "hidden": [4], "dropout": 0.0, "members": 1}


def prepared() -> pl.DataFrame:
    """The rows as ingest leaves them: texts stripped, null spellings gone, the plan's types."""
    clean = RAW.astype({"code": "Int64"}).astype({"code": str}).replace({"<NA>": None})
    frame = pl.DataFrame(clean.to_dict("list"), strict=False).with_columns(
        pl.col("sex").str.strip_chars().replace({"?": None}), pl.col("age").fill_nan(None)
    )
    digests = pl.Series("row_digest", [f"{i:016d}" for i in range(len(frame))])
    return type_frame(frame, JUDGEMENT).with_columns(
        digests, row_id=pl.int_range(len(frame), dtype=pl.UInt32)
    )


def predictor(by: Grouped | None) -> Predictor:
    """Features of the hours alone: the group is read for the decision, and by nothing else."""
    torch.manual_seed(0)
    features = TabularFeatures.fit(RAW, [Wanted("hours", "integer", hidden=False)], NULLS, 4, 4)
    network = Network(features, SETTINGS, 1).eval()
    return Predictor(features, SETTINGS, network, replace(RULE, by=by))


def named(frame: pd.DataFrame | pl.DataFrame, *attributes: Attribute) -> list[str]:
    codes, names = read_levels(frame, attributes, NULLS)
    return [names[code] for code in codes]


@pytest.mark.parametrize("attribute", [SEX, BAND, Attribute("code", "code")], ids=lambda own: own.name)
def test_levels_are_those_of_the_audit_however_the_rows_are_read(attribute: Attribute) -> None:
    expected = describe(prepared(), JUDGEMENT)[attribute.name].to_list()
    assert named(prepared(), attribute) == expected
    assert named(RAW, attribute) == expected
    assert named(RAW.astype(object).astype(str).replace({"nan": "", "None": ""}), attribute) == expected


def test_bands_by_hand() -> None:
    assert named(RAW, BAND) == ["25-64", "17-24", "25-64", "25-64", "65+", "unknown", "unknown", "17-24"]


def test_a_crossing_is_of_the_levels_that_occur_together() -> None:
    codes, names = read_levels(RAW, [SEX, BAND], NULLS)
    assert names == tuple(sorted(names))
    assert [names[code] for code in codes][:5] == [
        "Male x 25-64", "Female x 17-24", "unknown x 25-64", "Male x 25-64", "Female x 65+",
    ]  # fmt: skip
    assert "Female x unknown" not in names
    none = read_levels(RAW[:0], [SEX, BAND], NULLS)
    assert (len(none[0]), none[1]) == (0, ())


def test_each_level_has_its_threshold_and_others_the_common_one() -> None:
    rule = replace(RULE, by=BY_SEX)
    positions = BY_SEX.positions(RAW)
    assert positions.tolist() == [1, 0, 2, 1, 0, 1, -1, 2]
    positive = np.array([0.6, 0.3, 0.9, 0.59, 0.29, 0.61, 0.5, 0.89], np.float32)
    decided = rule.decide(np.stack([1 - positive, positive], axis=1), positions)
    assert decided.tolist() == [1, 1, 1, 0, 0, 1, 1, 0], "the threshold itself is positive"
    nobody = replace(BY_SEX, levels=dict.fromkeys(LEVELS, Adjustment(1.0000001)))
    sure = np.tile(np.array([[0.0, 1.0]], np.float32), (8, 1))
    assert replace(rule, by=nobody).decide(sure, positions).tolist() == [0, 0, 0, 0, 0, 0, 1, 0]
    with pytest.raises(ValueError, match="each row's level is expected, found none"):
        rule.decide(sure)


def test_calibration_moves_log_odds_and_leaves_the_rest_to_the_bit() -> None:
    rule, positions = replace(RULE, by=BY_SEX), BY_SEX.positions(RAW)
    positive = np.array([0.25, 0.1, 0.7, 1.0, 0.0, 0.0, 0.3, 0.4], np.float32)
    scores = np.stack([1 - positive, positive], axis=1)
    moved = rule.calibrated(scores, positions)
    # logit(.25) = -ln 3; 2 x -ln 3 - .5 -> 1 / (1 + 9 e^.5)
    assert moved[0, 1] == pytest.approx(1 / (1 + 9 * np.exp(0.5)), rel=1e-6)
    assert moved.sum(axis=1) == pytest.approx(1)
    assert np.isfinite(moved).all(), "also of a score that a float32 takes for 0 or 1"
    others = positions != 1
    assert moved[others].tobytes() == scores[others].tobytes()


def test_it_comes_back_from_the_files_and_a_model_without_it_loads(tmp_path: Path) -> None:
    for by in (replace(BY_SEX, attributes=(SEX, BAND)), None):
        for name, content in predictor(by).contents().items():
            (tmp_path / name).write_bytes(content)
        loaded = Predictor.load(tmp_path)
        assert loaded.rule == predictor(by).rule == rule_in(tmp_path)
        assert loaded.predict(RAW).equals(predictor(by).predict(RAW))
        stored = json.loads((tmp_path / "model.json").read_text())["rule"]
        assert ("by" in stored) == (by is not None), "models of before keep their bytes"
        assert rule_from_json(stored) == loaded.rule


def test_every_number_of_a_part_is_rebuilt_from_the_files(tmp_path: Path) -> None:
    """What retraining filed, replay predicts again, and the registered model from the raw rows."""
    made = predictor(BY_SEX)
    for name, content in made.contents().items():
        (tmp_path / name).write_bytes(content)
    filed = predict_part(made, prepared(), JUDGEMENT)
    assert predict_part(Predictor.load(tmp_path), prepared(), JUDGEMENT).equals(filed)
    served = Predictor.load(tmp_path).predict(RAW)
    assert served["prediction"].tolist() == filed["prediction"].to_list()
    assert served["probability"].to_numpy().tobytes() == filed["score"].to_numpy().tobytes()
    least = np.array([0.6, 0.3, 0.9, 0.6, 0.3, 0.6, 0.5, 0.9], np.float32)
    expected = np.where(filed["score"].to_numpy() >= least, "yes", "no").tolist()
    assert filed["prediction"].to_list() == expected
    # Parts of the rows, as several processes predict them, are the whole.
    halves = [predict_part(made, prepared()[part], JUDGEMENT) for part in (slice(0, 5), slice(5, 8))]
    assert pl.concat(halves)["prediction"].equals(filed["prediction"])


def test_rows_that_lack_the_column_are_refused() -> None:
    model = predictor(replace(BY_SEX, attributes=(SEX, BAND)))
    with pytest.raises(ValueError, match=r"^2 problems") as caught:
        model.predict(RAW.drop(columns=["sex", "age"]))
    assert "column 'sex' is missing: the model decides by sex" in str(caught.value)
    with pytest.raises(ValueError, match=r"column 'age', row 3: a number is expected$"):
        model.predict(RAW.astype({"age": object}).assign(age=[39, 17, 25, "old", 65, 16, 20, 24]))
    with pytest.raises(Refusal, match=r"test part: the model can't take it: .*\n.*decides by sex"):
        predict_part(model, prepared().drop("sex"), JUDGEMENT)


def test_a_set_of_none_but_unknown_groups_is_refused(tmp_path: Path) -> None:
    """An audit set that spells the levels otherwise would quietly be decided without the steps."""
    for name, content in predictor(BY_SEX).contents().items():
        (tmp_path / name).write_bytes(content)
    alone, other = Crew(1, map), prepared().with_columns(sex=pl.lit("F"))
    with pytest.raises(Refusal, match=r"test part: no row has a group that the model knows.*Decides by sex"):
        predict_together(alone, tmp_path, other, JUDGEMENT, TEST)
    one_known = pl.concat([other.head(-1), prepared().head(1)])
    assert len(predict_together(alone, tmp_path, one_known, JUDGEMENT, TEST)) == len(other)


def test_the_sentence_says_what_is_read_and_done() -> None:
    plain = replace(BY_SEX, levels={"Female": Adjustment(0.414), "Male": Adjustment(1.0000001)})
    assert plain.sentence == (
        "Decides by sex: thresholds 0.41 for Female, none for Male, 0.50 for any other (equalized odds)"
    )
    crossed = replace(BY_SEX, attributes=(SEX, BAND), metric="")
    assert crossed.sentence == "Decides by sex x age_band: scores calibrated for Female, Male, unknown"
    many = {f"level {i:02d}": Adjustment(0.5) for i in range(20)}
    assert "8 more, 0.50 for any other" in replace(BY_SEX, levels=many).sentence
