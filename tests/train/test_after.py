"""A model with group thresholds, trained and frozen: its files decide by the group, and come out the same."""

from pathlib import Path

import polars as pl

from tasks.evaluate.predict import predict_part
from tasks.model.predictor import Predictor
from tasks.plan.load import load_plan
from tasks.train.train import train
from tests.train.conftest import QUICK, Sample, one_thread

STEPS = (
    "[{kind: calibration, attribute: sex}, "
    "{kind: thresholds, attribute: sex, metric: demographic_parity, slack: 0.02}]"
)


def test_the_frozen_model_decides_by_group(sample: Sample, tmp_path: Path) -> None:
    plan = one_thread(
        load_plan(
            "adult",
            Path("data"),
            [
                *QUICK,
                "recipe.training.epochs=8",
                "recipe.training.optimizer.rate=0.01",
                f"recipe.mitigation={STEPS}",
            ],
        )
    )
    weights = sample.described["sex"].replace_strict({"Female": 1.4, "Male": 0.8}, return_dtype=pl.Float64)
    made = [
        train(
            sample.frame,
            sample.described,
            weights.to_numpy(),
            plan,
            tmp_path / name / "model",
            tmp_path / "c",
        )
        for name in ("one", "other")
    ]
    assert made[0].digest == made[1].digest
    assert made[0].decision is not None
    assert [one.level for one in made[0].decision.groups] == ["Female", "Male"]
    shares = [one.selection_rate for one in made[0].decision.groups]
    assert abs(shares[0] - shares[1]) <= 0.02
    assert sum(one.rows for one in made[0].decision.groups) == made[0].validation_rows
    predictor = Predictor.load(tmp_path / "one" / "model")
    assert predictor.rule.by.sentence == made[0].decision.sentence
    assert predictor.rule.score_edges == made[0].score_edges
    known = ~predictor.features.unknown_rows(sample.frame)
    frame = sample.frame.filter(known).with_row_index("row_id")
    one, other = (
        predict_part(predictor, frame.with_columns(sex=pl.lit(sex)), plan.judgement)
        for sex in ("Female", "Male")
    )
    assert (one["prediction"] != other["prediction"]).any()
