"""A model whose answers have other noise than its plan promises does not replay."""

from dataclasses import replace
from pathlib import Path

import pytest

from tasks.evaluate.predict import noise_of
from tasks.model.predictor import Predictor
from tasks.plan.load import load_plan, parse_plan
from tasks.replay.replay import Replay
from tests.model.test_model import predictor


def noisy_replay() -> tuple[Replay, Predictor]:
    document = load_plan("adult", Path("data")).model_dump(mode="json")
    document["judgement"]["performance"] = [{"metric": "accuracy", "minimum": 0.6}]
    document["recipe"]["answers"] = {"epsilon": 1, "budget": 20}
    replay = Replay(Path(), (), parse_plan("adult", document, "test"))
    return replay, replace(predictor(), noise=noise_of(replay.plan))


@pytest.mark.parametrize(
    ("change", "told"), [({"epsilon": 2.0}, "at epsilon 2"), ({"budget": 99.0}, "epsilon 99")]
)
def test_other_noise_than_the_plan_promises_is_a_mismatch(change: dict[str, float], told: str) -> None:
    replay, model = noisy_replay()
    replay._compare_noise(model)
    assert (len(replay.checked), replay.mismatches) == (1, [])
    assert model.noise is not None
    replay._compare_noise(replace(model, noise=replace(model.noise, **change)))
    replay._compare_noise(model.without_noise())
    one, none = replay.mismatches
    assert told in one
    assert "no noise in the model" in none
