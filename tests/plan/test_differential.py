"""What a plan under differential privacy may hold."""

from pathlib import Path
from typing import Any

import pytest

from tasks.errors import PlanError
from tasks.plan.load import load_plan, parse_plan
from tasks.plan.plan import Plan

PRIVATE = {"kind": "dp_sgd", "epsilon": 3}
TRAINING = {"patience": None, "clip_norm": None}


def document(name: str, **recipe: Any) -> dict[str, Any]:
    """A shipped plan with neither raking nor mitigation, and differential privacy."""
    found = load_plan(name, Path("data")).model_dump(mode="json")
    found["judgement"]["population"] = None
    training = {**TRAINING, **recipe.pop("training", {})}
    found["recipe"] = {"privacy": PRIVATE, "model": {"kind": "mlp"}, "training": training, **recipe}
    return found


def adult(**recipe: Any) -> dict[str, Any]:
    return document("adult", **{"features": {"exclude": ["fnlwgt"]}, **recipe})


def problems(found: dict[str, Any]) -> str:
    with pytest.raises(PlanError) as caught:
        parse_plan("test", found, "test")
    return str(caught.value)


@pytest.mark.parametrize(
    "found",
    [
        adult(),
        document("mnist", model={"kind": "cnn", "norm": "group"}),
        document("hate-speech", features={"tokenizer": "byte"}, model={"kind": "rnn"}),
        document("spoken-digits", features={"kind": "audio"}, model={"kind": "transformer"}),
    ],
    ids=["table", "image", "text", "audio"],
)
def test_what_learns_nothing_of_rows_but_its_weights_is_taken(found: dict[str, Any]) -> None:
    assert isinstance(parse_plan("test", found, "test"), Plan)


@pytest.mark.parametrize(
    ("privacy", "words"),
    [
        ({"epsilon": 0}, "greater than 0"),
        ({"epsilon": -1}, "greater than 0"),
        ({"delta": 0}, "greater than 0"),
        ({"delta": 1}, "less than 1"),
        ({"clip": 0}, "greater than 0"),
        ({"budget": 2}, "at least `epsilon` (3) is expected, found 2"),
    ],
)
def test_a_promise_that_is_none_is_refused(privacy: dict[str, float], words: str) -> None:
    assert words in problems(adult(privacy={**PRIVATE, **privacy}))


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ({"training": {"patience": 4}}, "recipe.training.patience: null is expected, found 4"),
        ({"training": {"clip_norm": 1.0}}, "recipe.training.clip_norm: null is expected"),
        ({"training": {"workers": 2}}, "recipe.training.workers: 1 is expected, found 2"),
        ({"training": {"accumulate": 2}}, "recipe.training.accumulate: 1 is expected"),
        ({"training": {"compile": True}}, "recipe.training.compile: false is expected, found true"),
        ({"training": {"precision": "bfloat16"}}, "precision: float32 is expected"),
        ({"training": {"optimizer": {"kind": "gradient_descent"}}}, "sgd, adam or adamw is expected"),
        ({"training": {"schedule": {"kind": "plateau"}}}, "plateau follows the loss"),
        ({"training": {"loss": {"kind": "cross_entropy", "class_weights": "root"}}}, "class_weights: none"),
        ({"mitigation": [{"kind": "reweighing", "attribute": "sex"}]}, "recipe.mitigation must be empty"),
        ({"model": {"kind": "mlp", "members": 2}}, "recipe.model.members: 1 is expected"),
        ({"features": {}}, "columns.fnlwgt lacks `maximum`"),
        (
            {"tuning": {"trials": 2, "search": {"training.batch": {"values": [64, 128]}}}},
            "recipe.tuning must be null",
        ),
    ],
)
def test_whatever_learns_from_private_rows_unpaid_is_refused(recipe: dict[str, Any], words: str) -> None:
    assert words in problems(adult(**recipe))


def test_batch_normalisation_is_refused() -> None:
    assert "recipe.model.norm: group or none" in problems(document("mnist", model={"kind": "cnn"}))


def test_raking_is_refused() -> None:
    found = adult()
    found["judgement"]["population"] = load_plan("adult", Path("data")).model_dump(mode="json")["judgement"][
        "population"
    ]
    assert "judgement.population.raking weighs each row" in problems(found)


def test_tokens_that_texts_decide_are_refused() -> None:
    assert "tokenizer: byte is expected, or a pretrained model" in problems(
        document("hate-speech", model={"kind": "rnn"})
    )


def test_of_a_pretrained_encoder_the_head_alone_may_learn() -> None:
    found = document("hate-speech-minilm")
    model = load_plan("hate-speech-minilm", Path("data")).recipe.model.model_dump(mode="json")
    found["recipe"]["model"] = {**model, "frozen_layers": 6}
    assert isinstance(parse_plan("test", found, "test"), Plan)
    found["recipe"]["model"] = model
    assert "frozen_layers: 6, which is all, is expected, found 3: the head alone" in problems(found)
