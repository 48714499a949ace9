"""Steps before training within the training part: rows are made of fit rows; validation stays as it was."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from tasks.errors import Refusal
from tasks.ingest.described import describe
from tasks.ingest.text import made_of_text
from tasks.mitigate.before import CHANGES, before_training, made_by
from tasks.mitigate.sample import Sample
from tasks.model.text import TextFeatures
from tasks.plan import mitigation
from tasks.plan.load import parse_plan
from tasks.plan.mitigation import Resampling, Reweighing
from tasks.plan.plan import Plan
from tasks.train.prepare import Prepared, held_out, prepare
from tests.ingest.conftest import DOCUMENT
from tests.mitigate.samples import LABEL, SOURCES
from tests.train.conftest import Sample as Training
from tests.train.conftest import sample  # noqa: F401 - a fixture

IDENTITIES = {"gender": {"women": ["woman", "old lady"], "men": ["man"]}}


def with_steps(plan: Plan, *steps: Any) -> Plan:
    recipe = plan.recipe.model_dump() | {"mitigation": list(steps)}
    return plan.model_copy(update={"recipe": type(plan.recipe).model_validate(recipe)})


def text_plan(*steps: dict[str, Any]) -> Plan:
    document = copy.deepcopy(DOCUMENT)
    data = {"kind": "text", "format": {"type": "csv"}, "identities": IDENTITIES}
    document["judgement"] |= {
        "data": {"sources": SOURCES, "label": LABEL, **data},
        "protected": {"gender": {"column": "gender"}},
    }
    document["judgement"]["limits"][0]["attribute"] = "gender"
    document["recipe"] = {
        "features": {"kind": "text", "tokenizer": "word", "length": 8},
        "model": {"kind": "rnn"},
        "mitigation": list(steps),
    }
    return parse_plan("small", document, where="test")


def texts(plan: Plan) -> pl.DataFrame:
    data: Any = plan.judgement.data
    who, said = ("a Man", "the WOMAN", "an old lady", "nobody"), ("came", "went", "spoke")
    found = [f"{who[i % 4]} {said[i % 3]} {i}" for i in range(120)]
    frame = pl.DataFrame({"text": found, "label": ["low", "high"] * 60, "form": ["sound"] * 120})
    return frame.with_columns(**made_of_text(data)).with_columns(row_digest=pl.col("text"))


def prepared(plan: Plan) -> Prepared:
    frame = texts(plan)
    return prepare(frame, describe(frame, plan.judgement), None, plan)


def test_every_step_of_rows_has_its_change() -> None:
    members = [found for found in vars(mitigation).values() if getattr(found, "stage", "") == "rows"]
    assert set(CHANGES) == set(members)


@pytest.mark.parametrize(
    "step",
    [
        {"kind": "resampling", "attribute": "sex", "way": "over"},
        {"kind": "resampling", "attribute": "sex", "way": "over", "strength": 0.5},
        {"kind": "counterfactual", "attribute": "sex"},
        {"kind": "counterfactual", "attribute": "age_band", "share": 0.5},
        {"kind": "synthesis", "attribute": "sex", "minimum": 200},
    ],
)
def test_made_rows_are_fit_rows_and_never_validation_rows(sample: Training, step: dict[str, Any]) -> None:  # noqa: F811
    """A table's: what was learned differs, and says the same of the same validation rows."""
    plain, stepped = with_steps(sample.plan), with_steps(sample.plan, step)
    without = prepare(sample.frame, sample.described, None, plain)
    after = prepare(sample.frame, sample.described, None, stepped)
    assert list(after.made) == [step["kind"]]
    assert after.made[step["kind"]] > 0
    assert not without.made
    own = sample.frame.filter(held_out(sample.frame, stepped))
    own = own.filter(~after.features.unknown_rows(own))
    told = own["income"].replace_strict({"<=50K": 0, ">50K": 1})
    assert after.validation.labels.tolist() == told.to_list()
    assert torch.equal(after.validation.labels, without.validation.labels)
    assert torch.equal(after.validation.weights, without.validation.weights)
    expected = after.features.encode(own).tensors
    assert all(torch.equal(found, expected[name]) for name, found in after.validation.tensors().items())


def test_a_category_that_only_rows_left_out_had_sets_validation_rows_aside(sample: Training) -> None:  # noqa: F811
    plan = with_steps(sample.plan, {"kind": "resampling", "attribute": "sex", "way": "under"})
    after = prepare(sample.frame, sample.described, None, plan)
    assert not after.made
    assert after.set_aside > prepare(sample.frame, sample.described, None, with_steps(sample.plan)).set_aside
    held = int(held_out(sample.frame, plan).sum())
    assert after.set_aside + after.validation.labels.shape[0] == held


def test_the_same_plan_gives_the_same_rows(sample: Training) -> None:  # noqa: F811
    steps = [
        {"kind": "counterfactual", "attribute": "sex", "share": 0.5},
        {"kind": "synthesis", "attribute": "sex", "minimum": 150},
        {"kind": "resampling", "attribute": "sex"},
        {"kind": "reweighing", "attribute": "age_band"},
    ]
    plan = with_steps(sample.plan, *steps)
    one, two = (prepare(sample.frame, sample.described, None, plan) for _ in range(2))
    assert one.features == two.features
    assert one.made == two.made
    for name, found in (one.fit.tensors() | one.fit.beside_inputs()).items():
        assert torch.equal(found, (two.fit.tensors() | two.fit.beside_inputs())[name])
    # Cells are equally large, and then weighed: half the rows are women's in either class.
    assert one.fit.weights.std() > 0
    other = prepare(sample.frame, sample.described, None, with_steps(sample.plan, *steps[:2]))
    assert other.fit.labels.shape != one.fit.labels.shape


def test_each_step_works_on_what_the_one_before_left(sample: Training) -> None:  # noqa: F811
    judgement = sample.plan.judgement
    frame, described = sample.frame, sample.described
    rows = Sample.of(frame, described, np.ones(frame.height))
    over = Resampling(kind="resampling", attribute="sex", way="over")
    weigh = Reweighing(kind="reweighing", attribute="sex")
    both = before_training(rows, [over, weigh], judgement, seed=1)
    assert both.weights == pytest.approx(np.ones(len(both.made)))  # nothing is left to weigh
    assert before_training(rows, [weigh, over], judgement, seed=1).weights.std() > 0


def test_each_made_row_is_counted_for_the_step_that_made_it_last(sample: Training) -> None:  # noqa: F811
    """Swapped, then generated, then drawn again: by kind, and never of a row that is held out."""
    plan = with_steps(
        sample.plan,
        {"kind": "counterfactual", "attribute": "sex", "share": 0.5},
        {"kind": "synthesis", "attribute": "sex", "minimum": 350},
        {"kind": "resampling", "attribute": "sex", "way": "over"},
    )
    steps, held = plan.recipe.mitigation, held_out(sample.frame, plan)
    frame = sample.frame.with_columns(row=pl.int_range(sample.frame.height))
    rows = Sample.of(frame, sample.described, np.ones(frame.height)).at((~held).nonzero()[0])
    alone = [before_training(rows, steps[:end], plan.judgement, seed=1) for end in (1, 2, 3)]
    swapped, generated, _ = (made_by(found, steps) for found in alone)
    assert swapped == {"counterfactual": round(0.5 * len(rows.maker))}
    assert generated == {**swapped, "synthesis": len(alone[1].maker) - len(alone[0].maker)}
    last = alone[2]
    assert made_by(last, steps) == {**generated, "resampling": len(last.maker) - len(alone[1].maker)}
    assert sum(made_by(last, steps).values()) == last.made.sum() == len(last.maker) - len(rows.maker)
    assert last.frame.filter(~last.made).equals(rows.frame)
    assert not set(last.frame["row"]) & set(frame.filter(held)["row"])
    # Of rows that are left out nothing is told.
    under = [steps[0], Resampling(kind="resampling", attribute="sex", way="under")]
    fewer = made_by(before_training(rows, under, plan.judgement, seed=1), under)
    assert list(fewer) == ["counterfactual"]
    assert fewer["counterfactual"] < swapped["counterfactual"]
    twice = [under[1], steps[0], steps[2]]
    assert list(made_by(before_training(rows, twice, plan.judgement, seed=1), twice)) == [
        *("counterfactual", "resampling"),
    ]


def test_swapped_texts_are_fit_rows_and_their_words_are_learned() -> None:
    swaps = [("woman", "person"), ("man", "guy")]
    without = prepared(text_plan())
    after = prepared(text_plan({"kind": "counterfactual", "swaps": swaps}))
    assert after.made["counterfactual"] == (after.fit.labels.shape[0] - without.fit.labels.shape[0]) > 20
    assert torch.equal(after.validation.labels, without.validation.labels)
    frame = pl.DataFrame({"text": ["person guy"]})
    assert 1 not in after.features.encode(frame)["tokens"]
    assert 1 in without.features.encode(frame)["tokens"]  # unknown


def test_altered_images_are_fit_rows_alone() -> None:
    document = copy.deepcopy(DOCUMENT)
    form = {"type": "files", "pattern": r"(?P<label>\w+)_(?P<voice>\w+)\.png$"}
    data = {
        "kind": "image",
        "format": form,
        "height": 4,
        "width": 4,
        "columns": {"voice": {"type": "category"}},
    }
    document["judgement"] |= {
        "data": {"sources": SOURCES, "label": LABEL, **data},
        "protected": {"voice": {"column": "voice"}},
    }
    document["judgement"]["limits"][0]["attribute"] = "voice"
    document["recipe"] = {"features": {"kind": "image"}, "model": {"kind": "mlp"}}
    plain = parse_plan("small", document, where="test")
    pixels = np.random.default_rng(0).integers(0, 256, (90, 16), np.uint8)
    frame = pl.DataFrame(
        {
            "image": [one.tobytes() for one in pixels],
            "voice": ["ann", "bob", "ann"] * 30,
            "label": ["low", "high", "high"] * 15 + ["high", "low", "high"] * 15,
            "row_digest": [str(i) for i in range(90)],
        }
    ).with_columns(form=pl.lit("sound"), brightness=0.5, contrast=0.5)
    described = describe(frame, plain.judgement)
    without = prepare(frame, described, None, plain)
    after = prepare(frame, described, None, with_steps(plain, {"kind": "augmentation", "copies": 1}))
    assert after.made == {"augmentation": after.fit.labels.shape[0] - without.fit.labels.shape[0]}
    counts = torch.bincount(after.fit.labels).tolist()
    assert counts == [2 * max(torch.bincount(without.fit.labels).tolist())] * 2
    assert torch.equal(after.validation.labels, without.validation.labels)
    expected = after.features.encode(frame.filter(held_out(frame, plain))).tensors
    assert all(torch.equal(found, expected[name]) for name, found in after.validation.tensors().items())


def test_masked_terms_are_those_of_the_identity_and_those_beside_it() -> None:
    masking = {"kind": "masking", "identities": ["gender"], "also": ["nobody"]}
    found = prepared(text_plan(masking))
    features = found.features
    assert isinstance(features, TextFeatures)
    assert features.masked == ("man", "nobody", "old lady", "woman")
    assert not found.made
    tokens = features.encode(
        pl.DataFrame({"text": [f"{who} came" for who in ("MAN", "old  lady", "nobody")]})
    )
    assert len({tuple(row) for row in tokens["tokens"].tolist()}) == 1
    other = prepared(text_plan()).features
    assert isinstance(other, TextFeatures)
    assert other.masked == ()


def test_rows_that_no_step_can_be_made_of_end_the_run_before_it_trains() -> None:
    with pytest.raises(Refusal, match=r"none of .* fit rows holds one of the terms"):
        prepared(text_plan({"kind": "counterfactual", "swaps": [("she", "he")]}))
